"""Read requests and render replies: protobuf on one side, rows and plain values on the other.

No I/O.
"""

import json

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as api
from ledger.domain.chart import BY_KIND, ChartAccount
from ledger.store.queries import EntryRow
from ledger.store.trial import Line
from walletkit.errors import invalid_field
from walletkit.ids import format_id, parse_wallet_id
from walletkit.rpc.times import MICROS, NANOS_OF_MICRO, fill_time

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


def moment(message: Message, field: str) -> int | None:
    """Return a request's time in microseconds, or None. Raise ``ServiceError`` (INVALID_FIELD)."""
    if not message.HasField(field):
        return None
    time: Timestamp = getattr(message, field)
    if not (
        -_MAX_SECONDS < time.seconds < _MAX_SECONDS and 0 <= time.nanos < MICROS * NANOS_OF_MICRO
    ):
        raise invalid_field(field, f"{time.seconds} s {time.nanos} ns", "a valid Timestamp")
    # Rounded up: whatever was recorded before it, in whole microseconds, is before the result too.
    return time.seconds * MICROS - (-time.nanos // NANOS_OF_MICRO)


def fill_entry(
    into: api.Entry, wallet_text: str, currency: str, exponent: int, row: EntryRow
) -> None:
    """Render an entry where it is to stand; ``exponent`` is the currency's."""
    into.wallet_id = wallet_text
    into.version = row.version
    into.transaction_id = format_id(row.tx_id)
    into.side = api.ENTRY_SIDE_DEBIT if row.delta < 0 else api.ENTRY_SIDE_CREDIT
    into.amount_minor = abs(row.delta)
    into.posted_after_minor = str(row.balance_after)
    into.currency_code = currency
    into.counterparty_wallet_id = format_id(row.counterparty)
    position = into.position
    position.shard, position.seq = row.shard, row.seq
    fill_time(into.create_time, row.time_us)
    into.exponent = exponent


def description(opaque: bytes) -> str:
    """Read the description in what a caller said; empty where there is none."""
    try:
        said = json.loads(opaque) if opaque else {}
    except (ValueError, RecursionError):
        return ""
    text = said.get("d") if isinstance(said, dict) else None
    # JSON can write half a character, which no message takes.
    return text.encode(errors="replace").decode() if isinstance(text, str) else ""


def state(value: int) -> events.TransactionState.ValueType:
    """Render a transaction's state: the journal keeps the records' numbers."""
    return events.TransactionState.ValueType(value)


def trial_line(line: Line, exponent: int) -> api.TrialBalanceLine:
    """Render a line of the trial balance; ``exponent`` is its currency's."""
    account = BY_KIND[line.kind]
    return api.TrialBalanceLine(
        shard=line.shard,
        currency_code=line.currency,
        account=account.name,
        debit_minor=str(line.debit),
        credit_minor=str(line.credit),
        net_minor=str(line.net),
        wallets=line.wallets,
        account_code=account.code,
        account_class=_class(account),
        normal_side=_side(account),
        balance_minor=str(account.balance(line.net)),
        exponent=exponent,
    )


def chart_account(account: ChartAccount) -> api.ChartAccount:
    """Render an account of the chart."""
    return api.ChartAccount(
        code=account.code,
        name=account.name,
        account_class=_class(account),
        normal_side=_side(account),
        description=account.description,
    )


def _class(account: ChartAccount) -> api.AccountClass.ValueType:
    # The numbers are the same, by design.
    return api.AccountClass.ValueType(account.account_class)


def _side(account: ChartAccount) -> api.EntrySide.ValueType:
    return api.EntrySide.ValueType(account.normal_side)


def balanced(lines: list[Line]) -> bool:
    """Tell whether each shard and currency sums to 0, and no line contradicts itself."""
    sums: dict[tuple[int, str], int] = {}
    for line in lines:
        key = (line.shard, line.currency)
        sums[key] = sums.get(key, 0) + line.net
    return not any(sums.values()) and all(line.credit - line.debit == line.net for line in lines)
