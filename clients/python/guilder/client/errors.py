"""Errors of calls, as exceptions by reason. Client room: knows gRPC statuses, opens no channel.

Every failed call raises a ``GuilderError``; its class follows the reason, or the code where the
reason has no class:

    GuilderError
    ├── InvalidArgumentError          INVALID_ARGUMENT: ``violations`` names each field and its rule
    ├── UnauthenticatedError          UNAUTHENTICATED: no token, or one that proves nothing
    │   └── CredentialsExpiredError   the token's time is over
    ├── PermissionDeniedError         PERMISSION_DENIED: none of the token's roles may do it
    ├── NotFoundError                 NOT_FOUND
    │   ├── WalletNotFoundError
    │   ├── AccountNotFoundError
    │   ├── HoldNotFoundError
    │   ├── TransactionNotFoundError
    │   ├── SubscriptionNotFoundError
    │   ├── KeyNotFoundError
    │   └── ShardNotFoundError
    ├── AlreadyExistsError            ALREADY_EXISTS
    │   ├── IdempotencyKeyReusedError    the key belongs to another request
    │   └── AliasTakenError
    ├── DeclinedError                 FAILED_PRECONDITION: a decision; the same key gives it again
    │   ├── InsufficientFundsError
    │   ├── CurrencyMismatchError
    │   ├── BalanceOverflowError
    │   ├── LimitError                TRANSACTION_LIMIT
    │   │   ├── VelocityLimitError
    │   │   ├── BalanceBelowMinimumError
    │   │   └── BalanceAboveMaximumError
    │   ├── OverdraftInUseError
    │   ├── WalletFrozenError
    │   │   └── AccountFrozenError    the wallet with its account
    │   ├── WalletNotFrozenError
    │   ├── AccountNotFrozenError
    │   ├── WalletClosedError
    │   ├── WalletNotEmptyError
    │   ├── WalletHasOpenIntentsError
    │   ├── HoldEndedError
    │   │   ├── HoldCapturedError
    │   │   ├── HoldVoidedError
    │   │   └── HoldExpiredError
    │   ├── HoldExpireTimeError
    │   ├── HoldOverCaptureError
    │   ├── HoldDestinationMismatchError
    │   ├── ReversalRefusedError      TRANSACTION_NOT_REVERSIBLE
    │   │   ├── TransactionProcessingError
    │   │   ├── TransactionReturnedError
    │   │   ├── TransactionReversedError
    │   │   └── ReversalExceedsOriginalError
    │   ├── MultiShardDebitError
    │   ├── AssetExistsError
    │   ├── AssetLimitError
    │   ├── AccountTooLargeError
    │   ├── SubscriptionLimitError
    │   ├── KeyLimitError
    │   ├── KeyRevokedError
    │   ├── ReplayTooLargeError
    │   ├── RecordRefusedError        of the streams between services: RECORD_GAP, CHAIN_BROKEN, …
    │   └── VersionMismatchError      ABORTED
    ├── CursorExpiredError            OUT_OF_RANGE
    ├── UnavailableError              UNAVAILABLE: try again with the same key
    │   ├── OutcomeUnknownError       it may have been done; the same key tells (also CANCELLED)
    │   └── DeadlineExceededError     DEADLINE_EXCEEDED: it may have been done; the same key tells
    └── InternalError                 INTERNAL, UNKNOWN, DATA_LOSS
"""

from collections.abc import Mapping

import grpc

from walletkit.errors import FieldViolation


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


class UnauthenticatedError(GuilderError):
    """The call has no token, or one that proves nothing; nothing was done."""


class CredentialsExpiredError(UnauthenticatedError):
    """The token's time is over; nothing was done."""


class PermissionDeniedError(GuilderError):
    """None of the token's roles may do this; nothing was done."""


class NotFoundError(GuilderError):
    """Something that the request names does not exist; nothing was done."""


class WalletNotFoundError(NotFoundError):
    """No wallet has this id or alias."""


class AccountNotFoundError(NotFoundError):
    """No wallet belongs to this account."""


class HoldNotFoundError(NotFoundError):
    """No hold has this id."""


class TransactionNotFoundError(NotFoundError):
    """No transaction has this id."""


class SubscriptionNotFoundError(NotFoundError):
    """No subscription has this id."""


class KeyNotFoundError(NotFoundError):
    """No API key has this id."""


class ShardNotFoundError(NotFoundError):
    """No shard has this number."""


class AlreadyExistsError(GuilderError):
    """What is to be unique is there already; nothing was done."""


class IdempotencyKeyReusedError(AlreadyExistsError):
    """The key was used for another request; nothing was done."""


class AliasTakenError(AlreadyExistsError):
    """Another wallet of the account has this alias, for good."""


class DeclinedError(GuilderError):
    """The service decided against it; asking again with the same key gives the same answer."""


class InsufficientFundsError(DeclinedError):
    """The available balance does not cover the amount; ``metadata`` has both."""


class CurrencyMismatchError(DeclinedError):
    """The amount's currency is not the wallet's."""


class BalanceOverflowError(DeclinedError):
    """The balance would exceed 2^63 - 1 minor units."""


class LimitError(DeclinedError):
    """A limit of the wallet or its account refuses it; by itself: too much for one transaction."""


class VelocityLimitError(LimitError):
    """What may be moved in this hour, day or month is used up."""


class BalanceBelowMinimumError(LimitError):
    """The wallet would fall below its minimum balance."""


class BalanceAboveMaximumError(LimitError):
    """The wallet would exceed its maximum balance."""


class OverdraftInUseError(DeclinedError):
    """The new overdraft limit does not cover what of it is in use."""


class WalletFrozenError(DeclinedError):
    """The wallet is frozen."""


class AccountFrozenError(WalletFrozenError):
    """The account is frozen, and its wallets with it."""


class WalletNotFrozenError(DeclinedError):
    """Only a frozen wallet can be unfrozen."""


class AccountNotFrozenError(DeclinedError):
    """Only a frozen account can be unfrozen."""


class WalletClosedError(DeclinedError):
    """The wallet is closed, for good."""


class WalletNotEmptyError(DeclinedError):
    """Only an empty wallet can be closed."""


class WalletHasOpenIntentsError(DeclinedError):
    """Money of this wallet is still on its way."""


class HoldEndedError(DeclinedError):
    """The hold reserves nothing any more; the classes below say why."""


class HoldCapturedError(HoldEndedError):
    """The hold was captured for the last time."""


class HoldVoidedError(HoldEndedError):
    """The hold was voided."""


class HoldExpiredError(HoldEndedError):
    """The hold's time is over."""


class HoldExpireTimeError(DeclinedError):
    """The time of expiry is not in the future, too far ahead, or not later than before."""


class HoldOverCaptureError(DeclinedError):
    """The hold reserves less, and the wallet's limits allow no capture that much beyond it."""


class HoldDestinationMismatchError(DeclinedError):
    """The hold names another wallet as the one that is paid."""


class ReversalRefusedError(DeclinedError):
    """The transaction can't be reversed so; the classes below say why."""


class TransactionProcessingError(ReversalRefusedError):
    """The transaction's money is still on its way."""


class TransactionReturnedError(ReversalRefusedError):
    """The transaction's money went back to its source: there is nothing to reverse."""


class TransactionReversedError(ReversalRefusedError):
    """All of the transaction has been reversed before."""


class ReversalExceedsOriginalError(ReversalRefusedError):
    """Less than that is left to reverse."""


class MultiShardDebitError(DeclinedError):
    """The wallets that one transaction debits must lie on one shard."""


class AssetExistsError(DeclinedError):
    """The asset is registered already, with another exponent."""


class AssetLimitError(DeclinedError):
    """As many assets are registered as there may be."""


class AccountTooLargeError(DeclinedError):
    """The account has more wallets than one call may list or change."""


class SubscriptionLimitError(DeclinedError):
    """There are as many subscriptions as allowed."""


class KeyLimitError(DeclinedError):
    """There are as many API keys as allowed."""


class KeyRevokedError(DeclinedError):
    """The API key was revoked, for good."""


class ReplayTooLargeError(DeclinedError):
    """The time range holds more events than one replay may queue."""


class RecordRefusedError(DeclinedError):
    """A record of the stream between services does not fit; callers of the API never meet it."""


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
