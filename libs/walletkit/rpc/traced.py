"""Answer a call that somebody follows, and tell of it.

Streams are not followed: how long one lives says nothing.
"""

from typing import Any, cast

import grpc
import grpc.aio

from walletkit.rpc.methods import Context, Handler, Method, rebuild
from walletkit.telemetry.spans import Spans
from walletkit.telemetry.tracing import ERROR, Told
from walletkit.trace import Span

_STATUSES = {status.value[0]: status for status in grpc.StatusCode}


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
                told.update(_failure(context))
                raise
            told["rpc.grpc.status_code"] = grpc.StatusCode.OK.value[0]
            return reply

    return rebuild(handler, unary_unary=answer)


def _failure(context: Context) -> Told:
    """Return what the caller was told, without its words: they name wallets and amounts.

    A caller who has gone away was told nothing.
    """
    # None before a call is ended, a number or a status after it, whatever the stubs say.
    code: Any = context.code()
    status = code or grpc.StatusCode.CANCELLED
    if isinstance(status, int):
        status = _STATUSES[status]
    return {"rpc.grpc.status_code": int(status.value[0]), ERROR: status.name}
