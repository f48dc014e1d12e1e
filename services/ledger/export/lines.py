"""Write and read the lines of an export's files: one JSON object each, in one form alone. Pure.

Amounts are texts of minor units, since readers of JSON may lose digits of large numbers; hashes are
hexadecimal; times are UTC to the microsecond. A line that is not written exactly so is refused:
whoever reads one and writes it again has the same bytes.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from guilder.events.v1 import record_pb2 as events
from ledger.domain.chart import BY_KIND
from ledger.domain.journal import Entry
from ledger.store.audit import RecordRow
from walletkit.clock import day_of, to_datetime, to_us
from walletkit.ids import format_id, parse_id, parse_wallet_id

_T = TypeVar("_T")

_PREFIX = "TRANSACTION_TYPE_"
_LEG = "LEG"
"""Type of an entry of a leg that landed: its transaction's home has its type."""

_TYPE_NAMES = {
    number: name.removeprefix(_PREFIX) for name, number in events.TransactionType.items() if number
} | {0: _LEG}
_TYPES = {name: number for number, name in _TYPE_NAMES.items()}
_KINDS = {account.name: int(account.kind) for account in BY_KIND.values()}

_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)
_ANY = re.compile(r".*", re.DOTALL)
_CURRENCY = re.compile(r"[A-Z0-9]{1,12}")
_DELTA = re.compile(r"-?[0-9]{1,19}")
_MINOR = re.compile(r"-?[0-9]{1,38}")
"""As many digits as the ledger keeps, so that what is summed up is within what a manifest says."""


class LineError(ValueError):
    """A line is not one that an export writes."""


class EntryLine(NamedTuple):
    """An entry, with what else the books know of it."""

    entry: Entry
    account_id: str
    currency: str
    effective_us: int
    """When it counts: the time that its transaction says, else that of its recording."""


class TrialLine(NamedTuple):
    """All that was ever debited and credited, up to the month's begin and up to its end."""

    shard: int
    currency: str
    kind: int
    """0 for all customers together, else that of a system wallet."""
    begin_debit: int
    begin_credit: int
    end_debit: int
    end_credit: int


def write_record(line: RecordRow) -> bytes:
    """Write a record: `record` is its bytes as they are hashed, in base64."""
    return _write(
        {
            "seq": line.seq,
            "prev_hash": line.prev_hash.hex(),
            "hash": line.hash.hex(),
            "recorded_at": _time(line.time_us),
            "record": base64.b64encode(line.payload).decode(),
        }
    )


def read_record(text: bytes) -> RecordRow:
    """Read a record. Raise ``LineError``."""
    return _read(text, _record_of, write_record)


def write_entry(line: EntryLine) -> bytes:
    """Write an entry. `n`: place of its transaction in the record; -1, -2 and so on of a leg."""
    wallet_id, version, _, seq, n, number, tx_id, other, delta, after, time_us, kind = line.entry
    return _write(
        {
            "wallet_id": shown_id(wallet_id),
            "version": version,
            "account_id": line.account_id,
            "currency_code": line.currency,
            "delta_minor": str(delta),
            "balance_after_minor": str(after),
            "recorded_at": _time(time_us),
            "effective_at": _time(line.effective_us),
            "transaction_id": shown_id(tx_id),
            "type": _TYPE_NAMES.get(kind, str(kind)),
            "counterparty": shown_id(other),
            "seq": seq,
            "n": n,
            "posting": number,
        }
    )


def read_entry(text: bytes) -> EntryLine:
    """Read an entry. Raise ``LineError``."""
    return _read(text, _entry_of, write_entry)


def write_trial(line: TrialLine) -> bytes:
    """Write a line of the trial balance; a net is credits less debits."""
    account = BY_KIND[line.kind]
    return _write(
        {
            "shard": line.shard,
            "currency_code": line.currency,
            "code": account.code,
            "account": account.name,
            "begin_debit_minor": str(line.begin_debit),
            "begin_credit_minor": str(line.begin_credit),
            "begin_net_minor": str(line.begin_credit - line.begin_debit),
            "end_debit_minor": str(line.end_debit),
            "end_credit_minor": str(line.end_credit),
            "end_net_minor": str(line.end_credit - line.end_debit),
        }
    )


def read_trial(text: bytes) -> TrialLine:
    """Read a line of the trial balance. Raise ``LineError``."""
    return _read(text, _trial_of, write_trial)


def differences(expected: bytes, found: bytes) -> str:
    """Say which fields of two lines of one kind differ."""
    wanted: Mapping[str, Any] = json.loads(expected)
    given: Mapping[str, Any] = json.loads(found)
    return "; ".join(
        f"{name}: expected {value!r}, found {given.get(name)!r}"
        for name, value in wanted.items()
        if given.get(name) != value
    )


def shown_id(id_: bytes) -> str:
    """Write an id as text, and what is none in hexadecimal: a forged record may hold anything."""
    try:
        return format_id(id_)
    except (ValueError, IndexError):
        return id_.hex()


def _write(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def _read(text: bytes, make: Callable[[Any], _T], write: Callable[[_T], bytes]) -> _T:
    try:
        line = make(json.loads(text))
        written = write(line)
    except _UNREADABLE as error:
        raise LineError(f"not a line of this file: {error!r}"[:200]) from None
    if written != text:
        raise LineError("not in the form in which an export writes it")
    return line


def _record_of(fields: Mapping[str, Any]) -> RecordRow:
    return RecordRow(
        _int(fields, "seq"),
        bytes.fromhex(fields["prev_hash"]),
        bytes.fromhex(fields["hash"]),
        _us(fields["recorded_at"]),
        base64.b64decode(fields["record"], validate=True),
    )


def _entry_of(fields: Mapping[str, Any]) -> EntryLine:
    time_us = _us(fields["recorded_at"])
    kind: str = fields["type"]
    entry: Entry = (
        *(parse_wallet_id(fields["wallet_id"]), _int(fields, "version"), day_of(time_us)),
        *(_int(fields, "seq"), _int(fields, "n"), _int(fields, "posting")),
        *(parse_id(fields["transaction_id"]), parse_wallet_id(fields["counterparty"])),
        int(_str(fields, "delta_minor", _DELTA)),
        int(_str(fields, "balance_after_minor", _MINOR)),
        time_us,
        _TYPES[kind] if kind in _TYPES else int(kind),
    )
    owner, currency = _str(fields, "account_id"), _str(fields, "currency_code", _CURRENCY)
    return EntryLine(entry, owner, currency, _us(fields["effective_at"]))


def _trial_of(fields: Mapping[str, Any]) -> TrialLine:
    return TrialLine(
        _int(fields, "shard"),
        _str(fields, "currency_code", _CURRENCY),
        _KINDS[fields["account"]],
        *(int(_str(fields, f"begin_{side}_minor", _MINOR)) for side in ("debit", "credit")),
        *(int(_str(fields, f"end_{side}_minor", _MINOR)) for side in ("debit", "credit")),
    )


def _int(fields: Mapping[str, Any], name: str) -> int:
    value = fields[name]
    if type(value) is not int:
        raise TypeError(name)
    return value


def _str(fields: Mapping[str, Any], name: str, form: re.Pattern[str] = _ANY) -> str:
    value = fields[name]
    if type(value) is not str or form.fullmatch(value) is None:
        raise TypeError(name)
    return value


def _time(time_us: int) -> str:
    try:
        return f"{to_datetime(time_us):%Y-%m-%dT%H:%M:%S.%f}Z"
    except OverflowError:
        # Of a forged record: no reader takes it.
        return f"{time_us} us"


def _us(text: str) -> int:
    return to_us(datetime.fromisoformat(text))
