"""The one catalogue of errors that callers see. Pure: no gRPC here, so that domains can use it.

``ServiceError`` carries a reason of the catalogue; one interceptor (walletkit.rpc) turns it into
``google.rpc.Status``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

DOMAIN = "guilder"
"""``ErrorInfo.domain`` of every error."""


class Code(StrEnum):
    """The gRPC codes in use; names as in ``grpc.StatusCode``."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Entry:
    """One reason: its code, what it means and what the caller can do."""

    code: Code
    meaning: str


CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    {
        "INVALID_FIELD": Entry(
            Code.INVALID_ARGUMENT,
            "A field is malformed; `BadRequest` names field, value and rule.",
        ),
        "CREDENTIALS_MISSING": Entry(
            Code.UNAUTHENTICATED,
            "The call needs credentials: metadata or header `authorization: Bearer <token>`.",
        ),
        "CREDENTIALS_INVALID": Entry(
            Code.UNAUTHENTICATED,
            "The token proves nothing here; `problem` says what is wrong with it.",
        ),
        "CREDENTIALS_EXPIRED": Entry(
            Code.UNAUTHENTICATED, "The token's time is over. Get a new one, and call again."
        ),
        "PERMISSION_DENIED": Entry(
            Code.PERMISSION_DENIED,
            "None of the caller's roles may do this; `roles` names those that may.",
        ),
        "ISSUER_UNAVAILABLE": Entry(
            Code.UNAVAILABLE,
            "The keys of the token's issuer can't be had at the moment; nothing was changed. Retry"
            " later with the same key.",
        ),
        "WALLET_NOT_FOUND": Entry(Code.NOT_FOUND, "No wallet has this id or alias."),
        "TRANSACTION_NOT_FOUND": Entry(Code.NOT_FOUND, "No transaction has this id."),
        "SUBSCRIPTION_NOT_FOUND": Entry(Code.NOT_FOUND, "No subscription has this id."),
        "SHARD_NOT_FOUND": Entry(Code.NOT_FOUND, "No shard has this number."),
        "HOLD_NOT_FOUND": Entry(Code.NOT_FOUND, "No hold has this id."),
        "HOLD_EXPIRED": Entry(
            Code.FAILED_PRECONDITION, "The hold's time is over; it reserves nothing any more."
        ),
        "HOLD_VOIDED": Entry(
            Code.FAILED_PRECONDITION, "The hold was voided; it reserves nothing any more."
        ),
        "HOLD_CAPTURED": Entry(
            Code.FAILED_PRECONDITION, "The hold was captured for the last time."
        ),
        "HOLD_EXPIRE_TIME": Entry(
            Code.FAILED_PRECONDITION,
            "`expire_time` must be in the future, at most 366 days ahead, and later than before.",
        ),
        "HOLD_DESTINATION_MISMATCH": Entry(
            Code.FAILED_PRECONDITION, "The hold names another wallet as the one that is paid."
        ),
        "HOLD_OVER_CAPTURE": Entry(
            Code.FAILED_PRECONDITION,
            "The hold reserves less, and the wallet's limits allow no capture that much beyond it.",
        ),
        "TRANSACTION_PROCESSING": Entry(
            Code.FAILED_PRECONDITION,
            "The transaction's money is still on its way. Reverse it later, with a fresh key.",
        ),
        "TRANSACTION_RETURNED": Entry(
            Code.FAILED_PRECONDITION,
            "The transaction's money went back to its source: there is nothing to reverse.",
        ),
        "TRANSACTION_REVERSED": Entry(
            Code.FAILED_PRECONDITION, "All of the transaction has been reversed before."
        ),
        "TRANSACTION_NOT_REVERSIBLE": Entry(
            Code.FAILED_PRECONDITION, "A reversal can't be reversed: make a transfer instead."
        ),
        "REVERSAL_EXCEEDS_ORIGINAL": Entry(
            Code.FAILED_PRECONDITION,
            "Less than that is left to reverse; `remaining` says how much.",
        ),
        "MULTI_SHARD_DEBIT": Entry(
            Code.FAILED_PRECONDITION,
            "The wallets that one transaction debits must lie on one shard.",
        ),
        "IDEMPOTENCY_KEY_REUSED": Entry(
            Code.ALREADY_EXISTS,
            "The key was used for another request. Use a fresh key.",
        ),
        "WALLET_FROZEN": Entry(Code.FAILED_PRECONDITION, "The wallet is frozen."),
        "WALLET_CLOSED": Entry(Code.FAILED_PRECONDITION, "The wallet is closed, for good."),
        "WALLET_NOT_FROZEN": Entry(
            Code.FAILED_PRECONDITION, "Only a frozen wallet can be unfrozen."
        ),
        "WALLET_NOT_EMPTY": Entry(
            Code.FAILED_PRECONDITION,
            "Only a wallet with posted = 0 and held = 0 can be closed.",
        ),
        "WALLET_HAS_OPEN_INTENTS": Entry(
            Code.FAILED_PRECONDITION,
            "Money of this wallet is still on its way. Try again with a fresh key.",
        ),
        "CURRENCY_MISMATCH": Entry(
            Code.FAILED_PRECONDITION, "The amount's currency is not the wallet's."
        ),
        "INSUFFICIENT_FUNDS": Entry(
            Code.FAILED_PRECONDITION, "The available balance does not cover the amount."
        ),
        "BALANCE_OVERFLOW": Entry(
            Code.FAILED_PRECONDITION,
            "Balance and credit line would exceed 2^63 - 1 minor units, or a hold 10^15.",
        ),
        "ACCOUNT_FROZEN": Entry(
            Code.FAILED_PRECONDITION, "The account is frozen, and its wallets with it."
        ),
        "ACCOUNT_NOT_FROZEN": Entry(
            Code.FAILED_PRECONDITION, "Only a frozen account can be unfrozen."
        ),
        "ACCOUNT_NOT_FOUND": Entry(Code.NOT_FOUND, "No wallet belongs to this account."),
        "ALIAS_TAKEN": Entry(
            Code.ALREADY_EXISTS, "Another wallet of the account has this alias, for good."
        ),
        "ASSET_LIMIT": Entry(
            Code.FAILED_PRECONDITION, "As many assets are registered as there may be: 10,000."
        ),
        "ASSET_EXISTS": Entry(
            Code.FAILED_PRECONDITION, "The asset is registered already, with another exponent."
        ),
        "TRANSACTION_LIMIT": Entry(
            Code.FAILED_PRECONDITION,
            "The amount exceeds what one transaction of the wallet or its account may move.",
        ),
        "VELOCITY_LIMIT": Entry(
            Code.FAILED_PRECONDITION,
            "The wallet or its account has used up what may be moved in this hour, day or month;"
            " `window_end_time` says until when.",
        ),
        "BALANCE_BELOW_MINIMUM": Entry(
            Code.FAILED_PRECONDITION,
            "What would be left in the wallet, less what is held, is below its minimum balance.",
        ),
        "BALANCE_ABOVE_MAXIMUM": Entry(
            Code.FAILED_PRECONDITION, "The balance would exceed the wallet's maximum balance."
        ),
        "OVERDRAFT_IN_USE": Entry(
            Code.FAILED_PRECONDITION,
            "The new overdraft limit does not cover what of it is in use.",
        ),
        "VERSION_MISMATCH": Entry(
            Code.ABORTED,
            "The wallet is not at `expected_version`. Read it and decide again, with a fresh key.",
        ),
        "SHARD_UNAVAILABLE": Entry(
            Code.UNAVAILABLE,
            "A shard does not answer; nothing was changed. Retry with the same key.",
        ),
        "OVERLOADED": Entry(
            Code.UNAVAILABLE,
            "The queue is full, too many reads wait, or too many watches are open; nothing was"
            " changed. Retry later with the same key.",
        ),
        "OUTCOME_UNKNOWN": Entry(
            Code.UNAVAILABLE,
            "The connection broke at the commit. Retry with the same key to learn the outcome.",
        ),
        "LEDGER_UNAVAILABLE": Entry(Code.UNAVAILABLE, "The ledger does not answer. Retry later."),
        "NOTIFY_UNAVAILABLE": Entry(
            Code.UNAVAILABLE,
            "Notify's Redis or database does not answer. Retry later with the same key.",
        ),
        "EDGE_UNAVAILABLE": Entry(
            Code.UNAVAILABLE, "Edge's database does not answer. Retry later."
        ),
        "KEY_NOT_FOUND": Entry(Code.NOT_FOUND, "No API key has this id."),
        "KEY_REVOKED": Entry(
            Code.FAILED_PRECONDITION, "The API key was revoked, for good. Make another one."
        ),
        "KEY_LIMIT": Entry(
            Code.FAILED_PRECONDITION,
            "There are as many API keys as allowed. Revoke one first.",
        ),
        "SUBSCRIPTION_LIMIT": Entry(
            Code.FAILED_PRECONDITION,
            "There are as many subscriptions as allowed. Delete one first.",
        ),
        "ACCOUNT_TOO_LARGE": Entry(
            Code.FAILED_PRECONDITION,
            "The account has more wallets than one call may list or change. Take them one by one.",
        ),
        "REPLAY_TOO_LARGE": Entry(
            Code.FAILED_PRECONDITION,
            "The time range holds more events than one replay may queue. Choose a shorter one.",
        ),
        "SHUTTING_DOWN": Entry(
            Code.UNAVAILABLE,
            "The process is stopping; nothing was changed. Retry with the same key.",
        ),
        "DEADLINE_EXCEEDED": Entry(
            Code.DEADLINE_EXCEEDED,
            "Time ran out; the outcome is unknown. Retry with the same key.",
        ),
        "CURSOR_EXPIRED": Entry(
            Code.OUT_OF_RANGE,
            "Events right behind this cursor are no longer kept. Start anew, or read the ledger.",
        ),
        "RECORD_GAP": Entry(
            Code.FAILED_PRECONDITION, "A record does not follow the last one taken in."
        ),
        "CHAIN_BROKEN": Entry(
            Code.FAILED_PRECONDITION,
            "A record's hash does not follow from its bytes and the one before.",
        ),
        "RECORD_CONFLICT": Entry(
            Code.FAILED_PRECONDITION,
            "Another record with this seq has been taken in before.",
        ),
        "RECORD_VERSION_UNKNOWN": Entry(
            Code.FAILED_PRECONDITION,
            "The record's format is newer than this program. Upgrade the reader first.",
        ),
        "JOURNAL_MISMATCH": Entry(
            Code.FAILED_PRECONDITION,
            "A record's balance-after is not what the journal gives.",
        ),
        "RECORD_DAY_UNKNOWN": Entry(
            Code.FAILED_PRECONDITION,
            "No partition takes the record's day. Run `ledger migrate`; compare the clocks.",
        ),
        "INTERNAL": Entry(Code.INTERNAL, "A fault of ours; the log has it under the request id."),
    }
)


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A malformed field: its path, and the rule that its value breaks."""

    field: str
    description: str


class ServiceError(Exception):
    """An error that the caller gets.

    A reason of the catalogue, a sentence, and values for machines.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        metadata: Mapping[str, str] | None = None,
        violations: tuple[FieldViolation, ...] = (),
    ) -> None:
        """Make an error; an unknown reason is a programmer's mistake and raises ``KeyError``."""
        super().__init__(message)
        self.entry = CATALOGUE[reason]
        self.reason = reason
        self.message = message
        self.metadata = metadata or {}
        self.violations = violations

    @property
    def code(self) -> Code:
        """The gRPC code."""
        return self.entry.code


_SHOWN_LENGTH = 64


def invalid_field(field: str, value: object, rule: str) -> ServiceError:
    """Make the error for one malformed field; the value is shown cut to 64 characters."""
    shown = repr(value)
    if len(shown) > _SHOWN_LENGTH:
        shown = f"{shown[:_SHOWN_LENGTH]}…"
    description = f"{field} = {shown}: {rule}"
    return ServiceError(
        "INVALID_FIELD",
        description,
        {"field": field},
        (FieldViolation(field, description),),
    )


def invalid_fields(faults: Sequence[ServiceError]) -> ServiceError:
    """Make one error of those of several fields, with an entry for each."""
    violations = tuple(violation for fault in faults for violation in fault.violations)
    message = "; ".join(fault.message for fault in faults[:3])
    return ServiceError("INVALID_FIELD", message, faults[0].metadata, violations)
