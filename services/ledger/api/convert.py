"""Read requests and render replies: protobuf on one side, rows and plain values on the other.

No I/O.
"""

from google.protobuf.timestamp_pb2 import Timestamp

from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.type.v1.position_pb2 import Position
from ledger.store.queries import EntryRow
from ledger.store.trial import Line
from walletkit.errors import invalid_field
from walletkit.ids import SystemKind, format_id, parse_wallet_id
from walletkit.money import EXPONENTS

_CUSTOMERS = "customers"
_MICRO = 1_000_000
_NANO_OF_MICRO = 1_000
_MAX_SECONDS = 253_402_300_800
"""Timestamp's end: the year 10000."""


def wallet_id(text: str) -> bytes:
    """Read a wallet's id. Raise ``ServiceError`` (INVALID_FIELD)."""
    try:
        return parse_wallet_id(text)
    except ValueError as error:
        raise invalid_field(
            "wallet_id", text, "a UUID, or sys:<shard>:<kind>:<currency>"
        ) from error


def moment(
    message: api.ListEntriesRequest | api.GetBalanceRequest | api.ListTransactionsRequest,
    field: str,
) -> int | None:
    """Return a request's time in microseconds, or None. Raise ``ServiceError`` (INVALID_FIELD)."""
    if not message.HasField(field):  # type: ignore[arg-type]  # the name is one of ours
        return None
    time: Timestamp = getattr(message, field)
    if not (
        -_MAX_SECONDS < time.seconds < _MAX_SECONDS and 0 <= time.nanos < _MICRO * _NANO_OF_MICRO
    ):
        raise invalid_field(field, f"{time.seconds} s {time.nanos} ns", "a valid Timestamp")
    # Rounded up: whatever was recorded before it, in whole microseconds, is before the result too.
    return time.seconds * _MICRO - (-time.nanos // _NANO_OF_MICRO)


def timestamp(time_us: int) -> Timestamp:
    """Render microseconds since 1970."""
    seconds, micros = divmod(time_us, _MICRO)
    return Timestamp(seconds=seconds, nanos=micros * _NANO_OF_MICRO)


def entry(wallet_text: str, currency: str, row: EntryRow) -> api.Entry:
    """Render an entry."""
    return api.Entry(
        wallet_id=wallet_text,
        version=row.version,
        transaction_id=format_id(row.tx_id),
        side=api.ENTRY_SIDE_DEBIT if row.delta < 0 else api.ENTRY_SIDE_CREDIT,
        amount_minor=abs(row.delta),
        posted_after_minor=str(row.balance_after),
        currency_code=currency,
        counterparty_wallet_id=format_id(row.counterparty),
        position=Position(shard=row.shard, seq=row.seq),
        create_time=timestamp(row.time_us),
    )


def exponent(currency: str) -> int:
    """Return the decimal digits of a currency's major unit.

    0 for one that this program does not know.
    """
    return EXPONENTS.get(currency, 0)


def trial_line(line: Line) -> api.TrialBalanceLine:
    """Render a line of the trial balance."""
    return api.TrialBalanceLine(
        shard=line.shard,
        currency_code=line.currency,
        account=SystemKind(line.kind).name.lower() if line.kind else _CUSTOMERS,
        debit_minor=str(line.debit),
        credit_minor=str(line.credit),
        net_minor=str(line.net),
        wallets=line.wallets,
    )


def balanced(lines: list[Line]) -> bool:
    """Tell whether each shard and currency sums to 0, and no line contradicts itself."""
    sums: dict[tuple[int, str], int] = {}
    for line in lines:
        key = (line.shard, line.currency)
        sums[key] = sums.get(key, 0) + line.net
    return not any(sums.values()) and all(line.credit - line.debit == line.net for line in lines)
