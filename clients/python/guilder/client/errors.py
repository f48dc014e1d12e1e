"""Errors of calls, as exceptions by reason. Client room: knows gRPC statuses, opens no channel.

Every failed call raises a ``GuilderError``; its class follows the reason, or the code where the
reason has no class:

    GuilderError
    ├── InvalidArgumentError          INVALID_ARGUMENT: ``violations`` names each field and its rule
    ├── NotFoundError                 NOT_FOUND
    │   ├── WalletNotFoundError
    │   ├── TransactionNotFoundError
    │   ├── SubscriptionNotFoundError
    │   └── ShardNotFoundError
    ├── IdempotencyKeyReusedError     ALREADY_EXISTS: the key belongs to another request
    ├── DeclinedError                 FAILED_PRECONDITION: a decision; the same key gives it again
    │   ├── InsufficientFundsError
    │   ├── CurrencyMismatchError
    │   ├── BalanceOverflowError
    │   ├── WalletFrozenError
    │   ├── WalletNotFrozenError
    │   ├── WalletClosedError
    │   ├── WalletNotEmptyError
    │   ├── WalletHasOpenIntentsError
    │   └── VersionMismatchError      ABORTED
    ├── CursorExpiredError            OUT_OF_RANGE
    ├── UnavailableError              UNAVAILABLE: try again with the same key
    │   ├── OutcomeUnknownError       it may have been done; the same key tells (also CANCELLED)
    │   └── DeadlineExceededError     DEADLINE_EXCEEDED: it may have been done; the same key tells
    └── InternalError                 INTERNAL, UNKNOWN, DATA_LOSS
"""

from collections.abc import Mapping

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from walletkit.errors import FieldViolation

_DETAILS_KEY = "grpc-status-details-bin"


class GuilderError(Exception):
    """A call that failed: gRPC code, reason of the catalogue, and what the service says."""

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        metadata: Mapping[str, str] | None = None,
        violations: tuple[FieldViolation, ...] = (),
    ) -> None:
        """Hold the parts of a status; ``reason`` is the code's name where the service gave none."""
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = violations

    def __str__(self) -> str:
        """Write reason and message on one line."""
        return f"{self.reason}: {self.message}"


class InvalidArgumentError(GuilderError):
    """A field is malformed; nothing was done."""


class NotFoundError(GuilderError):
    """Something that the request names does not exist; nothing was done."""


class WalletNotFoundError(NotFoundError):
    """No wallet has this id."""


class TransactionNotFoundError(NotFoundError):
    """No transaction has this id."""


class SubscriptionNotFoundError(NotFoundError):
    """No subscription has this id."""


class ShardNotFoundError(NotFoundError):
    """No shard has this number."""


class IdempotencyKeyReusedError(GuilderError):
    """The key was used for another request; nothing was done."""


class DeclinedError(GuilderError):
    """The service decided against it; asking again with the same key gives the same answer."""


class InsufficientFundsError(DeclinedError):
    """The available balance does not cover the amount; ``metadata`` has both."""


class CurrencyMismatchError(DeclinedError):
    """The amount's currency is not the wallet's."""


class BalanceOverflowError(DeclinedError):
    """The balance would exceed 2^63 - 1 minor units."""


class WalletFrozenError(DeclinedError):
    """The wallet is frozen."""


class WalletNotFrozenError(DeclinedError):
    """Only a frozen wallet can be unfrozen."""


class WalletClosedError(DeclinedError):
    """The wallet is closed, for good."""


class WalletNotEmptyError(DeclinedError):
    """Only an empty wallet can be closed."""


class WalletHasOpenIntentsError(DeclinedError):
    """Money of this wallet is still on its way."""


class VersionMismatchError(DeclinedError):
    """The wallet is not at the expected version."""


class CursorExpiredError(GuilderError):
    """Events right behind this cursor are no longer kept."""


class UnavailableError(GuilderError):
    """A part does not answer; the same request with the same key is safe to send again."""


class OutcomeUnknownError(UnavailableError):
    """The connection broke at the commit; the same key tells what became of it."""


class DeadlineExceededError(UnavailableError):
    """Time ran out; the same key tells what became of it."""


class InternalError(GuilderError):
    """A fault of the service; its log has it under the request id."""


_BY_REASON: Mapping[str, type[GuilderError]] = {
    "WALLET_NOT_FOUND": WalletNotFoundError,
    "TRANSACTION_NOT_FOUND": TransactionNotFoundError,
    "SUBSCRIPTION_NOT_FOUND": SubscriptionNotFoundError,
    "SHARD_NOT_FOUND": ShardNotFoundError,
    "IDEMPOTENCY_KEY_REUSED": IdempotencyKeyReusedError,
    "INSUFFICIENT_FUNDS": InsufficientFundsError,
    "CURRENCY_MISMATCH": CurrencyMismatchError,
    "BALANCE_OVERFLOW": BalanceOverflowError,
    "WALLET_FROZEN": WalletFrozenError,
    "WALLET_NOT_FROZEN": WalletNotFrozenError,
    "WALLET_CLOSED": WalletClosedError,
    "WALLET_NOT_EMPTY": WalletNotEmptyError,
    "WALLET_HAS_OPEN_INTENTS": WalletHasOpenIntentsError,
    "VERSION_MISMATCH": VersionMismatchError,
    "CURSOR_EXPIRED": CursorExpiredError,
    "OUTCOME_UNKNOWN": OutcomeUnknownError,
}

_BY_CODE: Mapping[grpc.StatusCode, type[GuilderError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: IdempotencyKeyReusedError,
    grpc.StatusCode.FAILED_PRECONDITION: DeclinedError,
    grpc.StatusCode.ABORTED: DeclinedError,
    grpc.StatusCode.OUT_OF_RANGE: CursorExpiredError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    # A server that stops cancels the calls that no handler has seen; our own cancelling raises
    # asyncio.CancelledError instead.
    grpc.StatusCode.CANCELLED: OutcomeUnknownError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.INTERNAL: InternalError,
    grpc.StatusCode.UNKNOWN: InternalError,
    grpc.StatusCode.DATA_LOSS: InternalError,
}

_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def from_rpc_error(error: grpc.aio.AioRpcError) -> GuilderError:
    """Turn gRPC's error into ours, with the details that its trailers carry."""
    status = trailing_status(error)
    if status is not None and status.code == error.code().value[0]:
        return from_status(status)
    return _make(error.code(), error.code().name, error.details() or error.code().name, {}, ())


def from_status(status: status_pb2.Status) -> GuilderError:
    """Turn a ``google.rpc.Status``, as batches carry them, into an exception, and return it."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(bad_request.DESCRIPTOR):
            detail.Unpack(bad_request)
    violations = tuple(
        FieldViolation(item.field, item.description) for item in bad_request.field_violations
    )
    reason = info.reason or code.name
    return _make(code, reason, status.message, info.metadata, violations)


def trailing_status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    """Return the status that a service put into the trailers; None where no service did."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def _make(
    code: grpc.StatusCode,
    reason: str,
    message: str,
    metadata: Mapping[str, str],
    violations: tuple[FieldViolation, ...],
) -> GuilderError:
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code, GuilderError)
    return kind(code, reason, message, metadata, violations)
