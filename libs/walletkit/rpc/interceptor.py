"""The one place where errors become gRPC statuses; handlers raise and never abort.

It also gives each call a request id, taken from the caller's ``x-request-id`` where that is well-
formed, and binds it to the log.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias, cast

import grpc
import grpc.aio
import structlog

from walletkit.errors import ServiceError
from walletkit.rpc.keys import has_key, keyed
from walletkit.rpc.status import DETAILS_KEY, GRPC_CODES, to_status

_OURS = "/guilder."
REQUEST_ID_KEY = "x-request-id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

log = structlog.get_logger()

# Quoted: these types are generic for the checker only.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler = Callable[[Any, Any], Any]
Admit = Callable[[], None]
Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
MaybeMethod: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


class StatusInterceptor(grpc.aio.ServerInterceptor):
    """Wrap every handler, once for each method."""

    def __init__(self) -> None:
        """Start with no method known."""
        self._wrapped: dict[str, Method] = {}
        self._keyed: dict[str, Method] = {}
        self._refusing = False

    def refuse(self) -> None:
        """Answer every new call with SHUTTING_DOWN; those that have begun go on."""
        self._refusing = True

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MaybeMethod]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MaybeMethod:
        """Return the method's handler with errors turned into statuses."""
        method: str = handler_call_details.method
        keyed_call = has_key(handler_call_details.invocation_metadata or ())
        known = self._keyed if keyed_call else self._wrapped
        wrapped = known.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None or not method.startswith(_OURS):
                return handler
            if keyed_call and handler.unary_unary:
                handler = _rebuild(handler, unary_unary=keyed(handler.unary_unary))
            wrapped = known[method] = _wrap(handler, method, self._admit)
        return wrapped

    def _admit(self) -> None:
        if self._refusing:
            raise ServiceError("SHUTTING_DOWN", "the process is stopping; nothing was changed")


def request_id_of(context: Context) -> str:
    """Return the caller's request id, or a fresh one."""
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID_KEY and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return secrets.token_hex(8)


def _wrap(handler: Method, method: str, admit: Admit) -> Method:
    if handler.unary_unary:
        return _rebuild(handler, unary_unary=_unary(handler.unary_unary, method, admit))
    if handler.stream_unary:
        return _rebuild(handler, stream_unary=_unary(handler.stream_unary, method, admit))
    if handler.unary_stream:
        return _rebuild(handler, unary_stream=_stream(handler.unary_stream, method, admit))
    call = cast("Handler", handler.stream_stream)
    return _rebuild(handler, stream_stream=_stream(call, method, admit))


def _rebuild(handler: Method, **behaviour: Handler) -> Method:
    ((shape, call),) = behaviour.items()
    make = getattr(grpc, f"{shape}_rpc_method_handler")
    rebuilt: Method = make(
        call,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return rebuilt


def _unary(call: Handler, method: str, admit: Admit) -> Handler:
    async def answer(request: object, context: Context) -> object:
        try:
            admit()
            return await call(request, context)
        except Exception as error:  # noqa: BLE001  # whatever went wrong, the caller gets a status
            await _abort(context, error, method)

    return answer


def _stream(call: Handler, method: str, admit: Admit) -> Handler:
    async def answer(request: object, context: Context) -> AsyncIterator[object]:
        try:
            admit()
            async for response in call(request, context):
                yield response
        except Exception as error:  # noqa: BLE001  # whatever went wrong, the caller gets a status
            await _abort(context, error, method)

    return answer


async def _abort(context: Context, error: Exception, method: str) -> NoReturn:
    """End the call with the error's status.

    What is not ours to explain becomes INTERNAL and is logged.
    """
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if not isinstance(error, ServiceError):
        request_id = request_id_of(context)
        if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
            error = ServiceError("DEADLINE_EXCEEDED", "time ran out; retry with the same key")
        else:
            log.error("call failed", method=method, request_id=request_id, exc_info=error)
            error = ServiceError(
                "INTERNAL",
                f"internal error, request id {request_id}",
                {"request_id": request_id},
            )
    status = to_status(error)
    trailers = ((DETAILS_KEY, status.SerializeToString()),)
    await context.abort(GRPC_CODES[error.code], error.message, trailers)
