"""Take an idempotency key from a call's header, where its request has none.

REST clients know the header `Idempotency-Key`. A request with a key never comes here: only one that
was refused for want of a key is looked at again, so that the others pay nothing for it.
"""

from typing import Any

import grpc.aio

from walletkit.errors import ServiceError

HEADER = "idempotency-key"
FIELD = "idempotency_key"


def take_from_header(
    error: Exception,
    request: Any,  # noqa: ANN401  # a request of any call
    context: "grpc.aio.ServicerContext[Any, Any]",
) -> bool:
    """Give a request that was refused for want of a key the header's; tell whether it has one now.

    The call can then be made again: nothing was done for it.
    """
    if not isinstance(error, ServiceError) or getattr(request, FIELD, None) != "":
        return False
    if all(violation.field != FIELD for violation in error.violations):
        return False
    found = [value for name, value in context.invocation_metadata() or () if name == HEADER]
    if not found or not isinstance(found[0], str):
        return False
    request.idempotency_key = found[0]
    return bool(request.idempotency_key)
