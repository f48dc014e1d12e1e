"""Take an idempotency key from the metadata `idempotency-key`: REST's header of that name.

Its request's own field may say it as well; two different keys are an error of the caller's.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc
import grpc.aio

from walletkit.errors import invalid_field

KEY = "idempotency-key"
FIELD = "idempotency_key"

Handler = Callable[[Any, Any], Awaitable[Any]]


def keyed(call: Handler) -> Handler:
    """Return a handler that reads the key first. It raises ``ServiceError`` for two keys."""

    async def answer(request: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> object:  # noqa: ANN401  # any message
        _take(request, context.invocation_metadata() or ())
        return await call(request, context)

    return answer


def _take(request: Any, metadata: Iterable[tuple[str, str | bytes]]) -> None:  # noqa: ANN401  # any message
    if FIELD not in request.DESCRIPTOR.fields_by_name:
        # A read, or a call whose parts have keys of their own.
        return
    for name, value in metadata:
        if name != KEY or not isinstance(value, str) or value == request.idempotency_key:
            continue
        if request.idempotency_key:
            rule = "must be the only key: another one is in the header Idempotency-Key"
            raise invalid_field(FIELD, request.idempotency_key, rule)
        request.idempotency_key = value
