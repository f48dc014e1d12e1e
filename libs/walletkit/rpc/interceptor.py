"""The one place where calls are let in, and where errors become gRPC statuses.

Handlers raise and never abort. Who calls and whether the table of roles (``rpc.roles``) admits it
is decided before the handler, which then runs on the caller's behalf (``walletkit.principal``).
It also gives each call a request id, taken from the caller's ``x-request-id`` where that is well-
formed, and binds it to the log.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeAlias, cast

import grpc
import grpc.aio
import structlog

from walletkit.auth.refusals import expired, missing
from walletkit.errors import ServiceError
from walletkit.principal import Role, become
from walletkit.rpc.admission import TRUSTING, Admission
from walletkit.rpc.keys import KEY, keyed
from walletkit.rpc.methods import Context, Handler, Method, rebuild
from walletkit.rpc.roles import OPEN, check, denied, roles_of
from walletkit.rpc.status import DETAILS_KEY, GRPC_CODES, to_status
from walletkit.telemetry import tracing
from walletkit.telemetry.metrics.calls import CallMeter
from walletkit.trace import TRACEPARENT

if TYPE_CHECKING:
    from walletkit.telemetry.spans import Spans

_OURS = ("/guilder.", "/envoy.")
"""Begin the methods that are counted: those of the suite, and what Envoy asks edge."""
_DEADLINE_SLACK_S = 0.05
"""A caller's own clock ends a call a little before ours would."""
AUTHORIZATION = "authorization"
_SHAPES = ("unary_unary", "stream_unary", "unary_stream", "stream_stream")
REQUEST_ID_KEY = "x-request-id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

log = structlog.get_logger()

Admit = Callable[[], None]
Introduce = Callable[[Context], None]
MaybeMethod: TypeAlias = "Method | None"


class Entry(NamedTuple):
    """How a method serves calls with credentials."""

    handler: Method
    roles: frozenset[Role] | None
    """Who may call; None: everybody, and the credentials are not looked at."""


class Ways(NamedTuple):
    """How methods serve, by their names: calls without credentials, and calls with them."""

    anonymous: dict[str, Method]
    entries: dict[str, Entry]


class StatusInterceptor(grpc.aio.ServerInterceptor):
    """Wrap every handler, once for each method, and let in only whom the table of roles admits.

    The handlers run in the task in which a call is let in, and so on behalf of its principal.
    """

    def __init__(self, admission: Admission = TRUSTING) -> None:
        """Start with no method known; callers without credentials are trusted unless told."""
        self._admission = admission
        self._plain = Ways({}, {})
        self._keyed = Ways({}, {})
        """Of calls that bring their idempotency key in the metadata."""
        self.last_call = 0.0
        """When the last call came since ``note_calls``, by ``time.monotonic``; 0: none has."""
        self._noting = self._refusing = False
        self._spans = tracing.active()

    def note_calls(self) -> None:
        """Tell from now on when calls come."""
        self._noting = True

    def refuse(self) -> None:
        """Answer every new call with SHUTTING_DOWN; those that have begun go on."""
        self._refusing = True

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MaybeMethod]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MaybeMethod:
        """Return the method's handler with errors turned into statuses, or one that refuses."""
        method: str = handler_call_details.method
        ways, credential, traceparent = self._plain, None, None
        # These were read to find the handler: asking the context for them would cost once more.
        for name, value in handler_call_details.invocation_metadata:
            if name == AUTHORIZATION:
                credential = credential or value
            elif name == KEY:
                ways = self._keyed
            elif name == TRACEPARENT:
                traceparent = value
        anonymous = ways.anonymous.get(method)
        if anonymous is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            if ways is self._keyed and handler.unary_unary and method.startswith(_OURS):
                handler = rebuild(handler, unary_unary=keyed(handler.unary_unary))
            anonymous = self._enter(ways, handler, method)
        if credential is None:
            served = anonymous
        else:
            served = await self._let_in(ways.entries[method], method, credential)
        if self._spans is not None and method.startswith(_OURS):
            return _followed(served, method, self._spans, traceparent)
        return served

    async def _let_in(self, entry: Entry, method: str, credential: str | bytes) -> Method:
        if entry.roles is None:
            return entry.handler
        try:
            principal = await self._admission.verify(credential)
            check(method, principal)
        except ServiceError as error:
            return _refusal(error, method)
        become(principal)
        if Role.INTERNAL in principal.roles:
            # Streams between our own services go on while their tokens are renewed.
            return entry.handler
        if entry.handler.stream_stream is not None:
            return _held_to(entry.handler, partial(self._admission.verify, credential))
        if entry.handler.unary_stream is not None:
            return _ended_with(entry.handler, self._admission, credential)
        return entry.handler

    def _enter(self, ways: Ways, handler: Method, method: str) -> Method:
        """Make a method's two ways, and return the one without credentials."""
        wrapped = _wrap(handler, method, self._admit) if method.startswith(_OURS) else handler
        roles = roles_of(method)
        if method in OPEN:
            anonymous, entry = wrapped, Entry(wrapped, None)
        elif not roles:
            anonymous = _refusal(denied(method), method)
            entry = Entry(anonymous, None)
        else:
            anonymous = self._without_token(handler, wrapped, method, roles)
            entry = Entry(wrapped, roles)
        ways.entries[method], ways.anonymous[method] = entry, anonymous
        return anonymous

    def _without_token(
        self, handler: Method, wrapped: Method, method: str, roles: frozenset[Role]
    ) -> Method:
        """Return what serves callers without a token: at once, by their certificate, or never."""
        if self._admission.trusting:
            return wrapped
        if Role.INTERNAL in roles and self._admission.internal_names:
            return _wrap(handler, method, self._admit, self._introduce)
        return _refusal(missing(), method)

    def _admit(self) -> None:
        if self._noting:
            self.last_call = monotonic()
        if self._refusing:
            raise ServiceError("SHUTTING_DOWN", "the process is stopping; nothing was changed")

    def _introduce(self, context: Context) -> None:
        become(self._admission.peer(context.auth_context()))


def request_id_of(context: Context) -> str:
    """Return the caller's request id, or a fresh one."""
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID_KEY and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return secrets.token_hex(8)


def _wrap(handler: Method, method: str, admit: Admit, introduce: Introduce | None = None) -> Method:
    """Wrap a method's handler; ``introduce`` finds out who calls, where a token does not say."""
    shape = next(shape for shape in _SHAPES if getattr(handler, shape))
    call: Handler = getattr(handler, shape)
    if introduce is not None:
        call = _introduced(call, introduce)
    wrap = _unary if shape.endswith("unary") else _stream
    return rebuild(handler, **{shape: wrap(call, method, admit, CallMeter(method))})


def _introduced(call: Handler, introduce: Introduce) -> Handler:
    def answer(request: object, context: Context) -> object:
        introduce(context)
        return call(request, context)

    return answer


def _followed(
    handler: Method, method: str, spans: "Spans", traceparent: str | bytes | None
) -> Method:
    followed, above = spans.follows(traceparent)
    if not followed:
        return handler
    from walletkit.rpc.traced import traced  # noqa: PLC0415  # its library is large

    return traced(handler, method, spans, above)


def _held_to(handler: Method, verify: Callable[[], Awaitable[object]]) -> Method:
    """Hold each message of a stream to the credential that began it: it may have ended since."""
    call = cast("Handler", handler.stream_stream)

    async def checked(requests: AsyncIterator[object]) -> AsyncIterator[object]:
        async for request in requests:
            await verify()
            yield request

    async def answer(requests: AsyncIterator[object], context: Context) -> AsyncIterator[object]:
        async for response in call(checked(requests), context):
            yield response

    return rebuild(handler, stream_stream=answer)


def _ended_with(handler: Method, admission: Admission, credential: str | bytes) -> Method:
    """End a server's stream when the credential that began it does, also while it is silent."""
    call = cast("Handler", handler.unary_stream)

    async def responses(request: object, context: Context) -> AsyncIterator[object]:
        until = asyncio.get_running_loop().time() + admission.remaining_s(credential)
        async with aclosing(call(request, context)) as answers:
            while True:
                try:
                    # Around the waiting alone: what is being sent is never cut off.
                    async with asyncio.timeout_at(until):
                        response = await anext(answers)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    raise expired() from None
                await admission.verify(credential)
                yield response

    async def answer(request: object, context: Context) -> AsyncIterator[object]:
        try:
            async for response in responses(request, context):
                yield response
        except ServiceError as error:
            # The method's own stream has counted itself as cancelled.
            await _abort(context, error)

    return rebuild(handler, unary_stream=answer)


def _unary(call: Handler, method: str, admit: Admit, meter: CallMeter) -> Handler:
    async def answer(request: object, context: Context) -> object:
        began = perf_counter()
        try:
            admit()
            reply: object = await call(request, context)
        except Exception as error:  # noqa: BLE001  # whatever went wrong, the caller gets a status
            told = _told(context, error, method)
            meter.failed(told.code, told.reason, began)
            await _abort(context, told)
        except BaseException:
            _count_gone(context, meter, began)
            raise
        meter.answered(began)
        return reply

    return answer


def _stream(call: Handler, method: str, admit: Admit, meter: CallMeter) -> Handler:
    async def answer(request: object, context: Context) -> AsyncIterator[object]:
        try:
            admit()
            async for response in call(request, context):
                yield response
        except Exception as error:  # noqa: BLE001  # whatever went wrong, the caller gets a status
            told = _told(context, error, method)
            meter.failed(told.code, told.reason)
            await _abort(context, told)
        except BaseException:
            _count_gone(context, meter)
            raise
        meter.ended()

    return answer


def _count_gone(context: Context, meter: CallMeter, began: float | None = None) -> None:
    """Count a call that was cut off: by its deadline, which is a failure, or by its caller."""
    left: float | None = context.time_remaining()
    if left is not None and left <= _DEADLINE_SLACK_S:
        meter.failed("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", began)
    else:
        meter.cancelled(began)


def _refusal(error: ServiceError, method: str) -> Method:
    """Return a handler that ends a call of any shape at once, before a message is read."""
    meter = CallMeter(method) if method.startswith(_OURS) else None

    async def answer(_requests: object, context: Context) -> AsyncIterator[object]:
        if meter is not None:
            meter.failed(error.code, error.reason)
        await _abort(context, error)
        yield  # never reached: it makes this a stream of answers

    refusal: Method = grpc.stream_stream_rpc_method_handler(answer)
    return refusal


def _told(context: Context, error: Exception, method: str) -> ServiceError:
    """Return what the caller is told.

    What is not ours to explain becomes INTERNAL and is logged.
    """
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
        return ServiceError("DEADLINE_EXCEEDED", "time ran out; retry with the same key")
    request_id = request_id_of(context)
    log.error("call failed", method=method, request_id=request_id, exc_info=error)
    text = f"internal error, request id {request_id}"
    return ServiceError("INTERNAL", text, {"request_id": request_id})


async def _abort(context: Context, error: ServiceError) -> NoReturn:
    """End the call with the error's status."""
    status = to_status(error)
    trailers = ((DETAILS_KEY, status.SerializeToString()),)
    await context.abort(GRPC_CODES[error.code], error.message, trailers)
