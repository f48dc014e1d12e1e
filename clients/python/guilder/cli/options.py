"""Options and arguments that several commands share, declared once.

A group is a function whose parameters are the options, and whose result is what the client takes;
``declare.command`` puts groups on a command.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import typer

from guilder.events.v1.record_pb2 import AuditAction
from guilder.wallet.v1.resources_pb2 import HoldState, TransactionState, TransactionType

TIME_FORMATS = [
    *("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f"),
    *("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

WalletArgument = Annotated[
    str, typer.Argument(metavar="WALLET", help="Id of the wallet, or alias:ACCOUNT/NAME.")
]

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Your id of the owner.")]

AmountArgument = Annotated[
    list[str], typer.Argument(metavar="AMOUNT", help="Decimal and currency, such as 12.50 EUR.")
]

CurrencyArgument = Annotated[
    str, typer.Argument(metavar="CURRENCY", help="ISO 4217 code, or a registered asset.")
]

HoldArgument = Annotated[str, typer.Argument(metavar="HOLD", help="Id of the hold.")]

TransactionArgument = Annotated[
    str, typer.Argument(metavar="TRANSACTION", help="Id of the transaction.")
]

FreezeScopeOption = Annotated[
    bool, typer.Option("--debits", help="Stop only what leaves: credits come in.")
]

KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="Idempotency key: the same key never moves money twice. A fresh one if left out.",
    ),
]

DryRunOption = Annotated[
    bool,
    typer.Option("--validate-only", "--dry-run", help="Say what it would do, and change nothing."),
]

MetadataOption = Annotated[
    list[str] | None,
    typer.Option("--metadata", metavar="NAME=VALUE", help="A pair of your own; may be repeated."),
]

ReferenceOption = Annotated[
    str, typer.Option("--reference", help="Your reference, at most 64 bytes.")
]

LimitOption = Annotated[
    int, typer.Option("--limit", min=1, max=100_000, help="Show at most so many.")
]


def time_option(name: str, text: str) -> Any:  # noqa: ANN401 - typer's own type is not public
    """Return an option that takes a time."""
    return typer.Option(name, formats=TIME_FORMATS, metavar="TIME", help=f"{text} UTC or +hh:mm.")


StartOption = Annotated[datetime | None, time_option("--from", "From this time on.")]
EndOption = Annotated[datetime | None, time_option("--to", "Until before this time.")]

Options = dict[str, Any]
Group = Callable[..., Options]


def change(*, key: KeyOption = None, validate_only: DryRunOption = False) -> Options:
    """Options of every change. An empty key is sent as it is: the service refuses it."""
    return {
        "idempotency_key": str(uuid4()) if key is None else key,
        "validate_only": validate_only,
    }


def version(
    *,
    expected_version: Annotated[
        int | None,
        typer.Option("--expected-version", min=0, help="Refuse if the wallet is not at it."),
    ] = None,
) -> Options:
    """Option of a change of one wallet."""
    return {} if expected_version is None else {"expected_version": expected_version}


def versions(
    *,
    expected_version: Annotated[
        list[str] | None,
        typer.Option(
            "--expected-version",
            metavar="WALLET=VERSION",
            help="Refuse if a wallet is not at it; may be repeated.",
        ),
    ] = None,
) -> Options:
    """Option of a change of several wallets."""
    pairs = read_pairs(expected_version, "--expected-version")
    wrong = [value for value in pairs.values() if not (value.isascii() and value.isdigit())]
    if wrong:
        message = f"{wrong[0]!r}: a version is a number"
        raise typer.BadParameter(message, param_hint="'--expected-version'")
    return {"expected_versions": {name: int(value) for name, value in pairs.items()}}


def texts(
    *,
    reference: ReferenceOption = "",
    description: Annotated[str, typer.Option("--description", help="Your description.")] = "",
    metadata: MetadataOption = None,
) -> Options:
    """Options of what you say about a movement of money."""
    return {
        "reference": reference,
        "description": description,
        "metadata": read_pairs(metadata, "--metadata"),
    }


def effective(
    *,
    effective_time: Annotated[
        datetime | None, time_option("--effective-time", "When it counts, if not now.")
    ] = None,
) -> Options:
    """Option of a movement that counts at another time than when it is recorded."""
    found = utc(effective_time)
    return {} if found is None else {"effective_time": found}


def because(
    *,
    reason: Annotated[
        str, typer.Option("--reason", help="Why, at most 256 bytes; it is in the audit log.")
    ] = "",
) -> Options:
    """Option of an admin action."""
    return {"reason": reason}


WALLET_CHANGE: tuple[Group, ...] = (change, version)
WALLET_ADMIN: tuple[Group, ...] = (*WALLET_CHANGE, because)
ADMIN: tuple[Group, ...] = (change, because)
HOLD: tuple[Group, ...] = (*WALLET_CHANGE, texts)
MOVEMENT: tuple[Group, ...] = (*HOLD, effective)
POSTINGS: tuple[Group, ...] = (change, versions, texts, effective)


def read_pairs(items: list[str] | None, option: str) -> dict[str, str]:
    """Read NAME=VALUE pairs; raise a usage error for anything else, and for a name given twice."""
    made: dict[str, str] = {}
    for item in items or ():
        name, equals, value = item.partition("=")
        if not equals or not name or name in made:
            message = f"{item!r}: must be NAME=VALUE, each name once"
            raise typer.BadParameter(message, param_hint=f"'{option}'")
        made[name] = value
    return made


class Period(TypedDict):
    """A span of time, as the client takes it."""

    start_time: datetime | None
    end_time: datetime | None


def period(start: datetime | None, end: datetime | None) -> Period:
    """Return a span of time of the command line."""
    return {"start_time": utc(start), "end_time": utc(end)}


def utc(moment: datetime | None) -> datetime | None:
    """Return a time with its zone: UTC where none was given."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)


class TypeName(StrEnum):
    """What a transaction is, as people type it."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"
    CAPTURE = "capture"
    REVERSAL = "reversal"
    POSTING = "posting"

    @property
    def number(self) -> TransactionType.ValueType:
        """The API's value."""
        return TransactionType.Value(f"TRANSACTION_TYPE_{self.name}")


class StateName(StrEnum):
    """How far a transaction has come, as people type it."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    RETURNED = "returned"

    @property
    def number(self) -> TransactionState.ValueType:
        """The API's value."""
        return TransactionState.Value(f"TRANSACTION_STATE_{self.name}")


class HoldStateName(StrEnum):
    """How far a hold has come, as people type it."""

    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"

    @property
    def number(self) -> HoldState.ValueType:
        """The API's value."""
        return HoldState.Value(f"HOLD_STATE_{self.name}")


class ActionName(StrEnum):
    """What an admin action does, as people type it."""

    FREEZE_WALLET = "freeze-wallet"
    UNFREEZE_WALLET = "unfreeze-wallet"
    CLOSE_WALLET = "close-wallet"
    SET_WALLET_LIMITS = "set-wallet-limits"
    FREEZE_ACCOUNT = "freeze-account"
    UNFREEZE_ACCOUNT = "unfreeze-account"
    SET_ACCOUNT_LIMITS = "set-account-limits"
    REGISTER_ASSET = "register-asset"
    REVERSE_TRANSACTION = "reverse-transaction"

    @property
    def number(self) -> AuditAction.ValueType:
        """The API's value."""
        return AuditAction.Value(f"AUDIT_ACTION_{self.name}")
