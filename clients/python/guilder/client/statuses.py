"""Turn statuses into exceptions, by reason. Client room: knows gRPC statuses, opens no channel."""

from collections.abc import Mapping

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from guilder.client import errors
from walletkit.errors import FieldViolation

_DETAILS_KEY = "grpc-status-details-bin"

BY_REASON: Mapping[str, type[errors.GuilderError]] = {
    "INVALID_FIELD": errors.InvalidArgumentError,
    "CREDENTIALS_MISSING": errors.UnauthenticatedError,
    "CREDENTIALS_INVALID": errors.UnauthenticatedError,
    "CREDENTIALS_EXPIRED": errors.CredentialsExpiredError,
    "PERMISSION_DENIED": errors.PermissionDeniedError,
    "WALLET_NOT_FOUND": errors.WalletNotFoundError,
    "ACCOUNT_NOT_FOUND": errors.AccountNotFoundError,
    "HOLD_NOT_FOUND": errors.HoldNotFoundError,
    "TRANSACTION_NOT_FOUND": errors.TransactionNotFoundError,
    "SUBSCRIPTION_NOT_FOUND": errors.SubscriptionNotFoundError,
    "KEY_NOT_FOUND": errors.KeyNotFoundError,
    "SHARD_NOT_FOUND": errors.ShardNotFoundError,
    "IDEMPOTENCY_KEY_REUSED": errors.IdempotencyKeyReusedError,
    "ALIAS_TAKEN": errors.AliasTakenError,
    "INSUFFICIENT_FUNDS": errors.InsufficientFundsError,
    "CURRENCY_MISMATCH": errors.CurrencyMismatchError,
    "BALANCE_OVERFLOW": errors.BalanceOverflowError,
    "TRANSACTION_LIMIT": errors.LimitError,
    "VELOCITY_LIMIT": errors.VelocityLimitError,
    "BALANCE_BELOW_MINIMUM": errors.BalanceBelowMinimumError,
    "BALANCE_ABOVE_MAXIMUM": errors.BalanceAboveMaximumError,
    "OVERDRAFT_IN_USE": errors.OverdraftInUseError,
    "WALLET_FROZEN": errors.WalletFrozenError,
    "ACCOUNT_FROZEN": errors.AccountFrozenError,
    "WALLET_NOT_FROZEN": errors.WalletNotFrozenError,
    "ACCOUNT_NOT_FROZEN": errors.AccountNotFrozenError,
    "WALLET_CLOSED": errors.WalletClosedError,
    "WALLET_NOT_EMPTY": errors.WalletNotEmptyError,
    "WALLET_HAS_OPEN_INTENTS": errors.WalletHasOpenIntentsError,
    "HOLD_CAPTURED": errors.HoldCapturedError,
    "HOLD_VOIDED": errors.HoldVoidedError,
    "HOLD_EXPIRED": errors.HoldExpiredError,
    "HOLD_EXPIRE_TIME": errors.HoldExpireTimeError,
    "HOLD_OVER_CAPTURE": errors.HoldOverCaptureError,
    "HOLD_DESTINATION_MISMATCH": errors.HoldDestinationMismatchError,
    "TRANSACTION_NOT_REVERSIBLE": errors.ReversalRefusedError,
    "TRANSACTION_PROCESSING": errors.TransactionProcessingError,
    "TRANSACTION_RETURNED": errors.TransactionReturnedError,
    "TRANSACTION_REVERSED": errors.TransactionReversedError,
    "REVERSAL_EXCEEDS_ORIGINAL": errors.ReversalExceedsOriginalError,
    "MULTI_SHARD_DEBIT": errors.MultiShardDebitError,
    "ASSET_EXISTS": errors.AssetExistsError,
    "ASSET_LIMIT": errors.AssetLimitError,
    "ACCOUNT_TOO_LARGE": errors.AccountTooLargeError,
    "SUBSCRIPTION_LIMIT": errors.SubscriptionLimitError,
    "KEY_LIMIT": errors.KeyLimitError,
    "KEY_REVOKED": errors.KeyRevokedError,
    "REPLAY_TOO_LARGE": errors.ReplayTooLargeError,
    "RECORD_GAP": errors.RecordRefusedError,
    "CHAIN_BROKEN": errors.RecordRefusedError,
    "RECORD_CONFLICT": errors.RecordRefusedError,
    "RECORD_VERSION_UNKNOWN": errors.RecordRefusedError,
    "RECORD_DAY_UNKNOWN": errors.RecordRefusedError,
    "JOURNAL_MISMATCH": errors.RecordRefusedError,
    "VERSION_MISMATCH": errors.VersionMismatchError,
    "CURSOR_EXPIRED": errors.CursorExpiredError,
    "ISSUER_UNAVAILABLE": errors.UnavailableError,
    "SHARD_UNAVAILABLE": errors.UnavailableError,
    "LEDGER_UNAVAILABLE": errors.UnavailableError,
    "NOTIFY_UNAVAILABLE": errors.UnavailableError,
    "EDGE_UNAVAILABLE": errors.UnavailableError,
    "OVERLOADED": errors.UnavailableError,
    "SHUTTING_DOWN": errors.UnavailableError,
    "OUTCOME_UNKNOWN": errors.OutcomeUnknownError,
    "DEADLINE_EXCEEDED": errors.DeadlineExceededError,
    "INTERNAL": errors.InternalError,
}
"""The class of each reason of the catalogue."""

BY_CODE: Mapping[grpc.StatusCode, type[errors.GuilderError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidArgumentError,
    grpc.StatusCode.UNAUTHENTICATED: errors.UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDeniedError,
    grpc.StatusCode.NOT_FOUND: errors.NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExistsError,
    grpc.StatusCode.FAILED_PRECONDITION: errors.DeclinedError,
    grpc.StatusCode.ABORTED: errors.DeclinedError,
    grpc.StatusCode.OUT_OF_RANGE: errors.CursorExpiredError,
    grpc.StatusCode.UNAVAILABLE: errors.UnavailableError,
    # A server that stops cancels the calls that no handler has seen; our own cancelling raises
    # asyncio.CancelledError instead.
    grpc.StatusCode.CANCELLED: errors.OutcomeUnknownError,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceededError,
    grpc.StatusCode.INTERNAL: errors.InternalError,
    grpc.StatusCode.UNKNOWN: errors.InternalError,
    grpc.StatusCode.DATA_LOSS: errors.InternalError,
}
"""The class of a reason that is newer than this program, and of statuses without one."""

_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def from_rpc_error(error: grpc.aio.AioRpcError) -> errors.GuilderError:
    """Turn gRPC's error into ours, with the details that its trailers carry."""
    status = trailing_status(error)
    if status is not None and status.code == error.code().value[0]:
        return from_status(status)
    return _make(error.code(), error.code().name, error.details() or error.code().name, {}, ())


def from_status(status: status_pb2.Status) -> errors.GuilderError:
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
) -> errors.GuilderError:
    kind = BY_REASON.get(reason) or BY_CODE.get(code, errors.GuilderError)
    return kind(code, reason, message, metadata, violations)
