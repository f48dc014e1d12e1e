"""Answer a call that somebody follows, and tell of it.

Streams are not followed: how long one lives says nothing.
"""

from typing import Any, cast

import grpc
import grpc.aio

from walletkit.rpc.methods import Context, Handler, Method, rebuild
from walletkit.telemetry.spans import Spans
from walletkit.telemetry.tracing import ERROR
from walletkit.trace import Span


def traced(handler: Method, method: str, spans: Spans, above: Span | None) -> Method:
    """Return the handler for this one call, which it answers below a span of its own."""
    if handler.unary_unary is None:
        return handler
    call = cast("Handler", handler.unary_unary)
    service, _, name = method.removeprefix("/").partition("/")

    async def answer(request: object, context: Context) -> object:
        with spans.call(f"{service}/{name}", above) as told:
            told |= {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
            try:
                reply: object = await call(request, context)
            except BaseException:
                told["rpc.grpc.status_code"] = _code(context)
                told[ERROR] = str(context.details() or "")
                raise
            told["rpc.grpc.status_code"] = grpc.StatusCode.OK.value[0]
            return reply

    return rebuild(handler, unary_unary=answer)


def _code(context: Context) -> int:
    """Return what the caller was told; a caller who has gone away was told nothing."""
    code: Any = context.code()
    if not code:
        return int(grpc.StatusCode.CANCELLED.value[0])
    return int(code.value[0] if isinstance(code, grpc.StatusCode) else code)
