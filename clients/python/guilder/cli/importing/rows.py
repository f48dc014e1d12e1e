"""Read the rows of a file to import, CSV or JSONL, and say of each malformed one what is wrong.

A row is one line, so that an unclosed quote spoils its own line and no other.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from guilder.cli.currency import exponent_of
from guilder.client import Money, parse_amount
from walletkit.errors import CATALOGUE

MAX_ROWS = 1_000_000
MAX_LINE_BYTES = 65_536
MAX_KEY_LENGTH = 128
MAX_REFERENCE_BYTES = 64

OK = "OK"
RETURNED = "RETURNED"
"""A transfer whose money came back: the destination was closed while it was on its way."""

COLUMNS = (
    *("key", "op", "label", "account", "currency"),
    *("source", "destination", "amount", "reference", "expect"),
)

EXISTING = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|alias:[A-Za-z0-9._-]{1,64}/[A-Za-z0-9._-]{1,64}",
    re.ASCII,
)
"""A wallet that is there before the import: its id, or its alias."""

_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)


class FileRefusedError(Exception):
    """The file as a whole can't be read: missing, no header, too many rows."""


class Op(StrEnum):
    """What a row does."""

    CREATE_WALLET = "create_wallet"
    DEPOSIT = "deposit"
    WITHDRAW = "withdraw"
    TRANSFER = "transfer"


_REQUIRED: Mapping[Op, tuple[str, ...]] = {
    Op.CREATE_WALLET: ("label", "account", "currency"),
    Op.DEPOSIT: ("destination", "amount", "currency"),
    Op.WITHDRAW: ("source", "amount", "currency"),
    Op.TRANSFER: ("source", "destination", "amount", "currency"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A well-formed row; what its op does not need is empty.

    Source and destination are labels of wallets that rows above create, or ids, or aliases.
    """

    line: int
    key: str
    op: Op
    currency: str
    label: str = ""
    account: str = ""
    source: str = ""
    destination: str = ""
    amount_minor: int = 0
    reference: str = ""
    expect: str = OK

    @property
    def wallets(self) -> tuple[str, ...]:
        """The wallets that it moves money of."""
        return tuple(name for name in (self.source, self.destination) if name)

    @property
    def existing(self) -> tuple[str, ...]:
        """Those of them that are named by id or alias: no row creates them."""
        return tuple(name for name in self.wallets if EXISTING.fullmatch(name))


@dataclass(frozen=True, slots=True)
class Malformed:
    """A row that is left out: its line, and each rule that it breaks."""

    line: int
    problems: tuple[str, ...]


@dataclass(slots=True)
class Sheet:
    """What a file holds, in its order."""

    rows: list[Row] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)
    unknown_currencies: set[str] = field(default_factory=set)
    """Codes of malformed rows, which may be registered assets that nobody has asked for yet."""


def read_sheet(path: Path) -> Sheet:
    """Read a file; raise ``FileRefusedError`` where it can't be read at all."""
    sheet = Sheet()
    keys: dict[str, int] = {}
    labels: dict[str, int] = {}
    try:
        with path.open("rb") as file:
            for line, record in _records(file, is_json=path.suffix in {".jsonl", ".ndjson"}):
                if len(sheet.rows) + len(sheet.malformed) == MAX_ROWS:
                    raise FileRefusedError(f"{path} has more than {MAX_ROWS:,} rows: split it")
                _take(sheet, line, record, keys, labels)
    except OSError as error:
        raise FileRefusedError(f"{path}: {error.strerror}") from error
    return sheet


def _take(
    sheet: Sheet,
    line: int,
    record: dict[str, str] | str,
    keys: dict[str, int],
    labels: dict[str, int],
) -> None:
    """Add a record to the rows or the malformed ones; ``keys`` and ``labels`` name their lines."""
    if isinstance(record, str):
        sheet.malformed.append(Malformed(line, (record,)))
        return
    problems = list(_problems(record))
    if not problems:
        problems += _clashes(record, keys, labels)
    if problems:
        sheet.malformed.append(Malformed(line, tuple(problems)))
        currency = record.get("currency", "")
        if currency and exponent_of(currency) is None:
            sheet.unknown_currencies.add(currency)
        return
    keys[record["key"]] = line
    if record["op"] == Op.CREATE_WALLET:
        labels[record["label"]] = line
    sheet.rows.append(_row(line, record))


def _row(line: int, record: Mapping[str, str]) -> Row:
    amount, currency = record.get("amount", ""), record["currency"]
    return Row(
        line=line,
        key=record["key"],
        op=Op(record["op"]),
        currency=currency,
        label=record.get("label", ""),
        account=record.get("account", ""),
        source=record.get("source", ""),
        destination=record.get("destination", ""),
        amount_minor=_amount(amount, currency).amount_minor if amount else 0,
        reference=record.get("reference", ""),
        expect=record.get("expect", "") or OK,
    )


def _amount(text: str, currency: str) -> Money:
    return parse_amount(text, currency, exponent_of(currency))


def _problems(record: Mapping[str, str]) -> Iterator[str]:
    """Yield each rule that a record breaks by itself."""
    key, op = record.get("key", ""), record.get("op", "")
    if not (1 <= len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        yield f"key: must be 1 to {MAX_KEY_LENGTH} printable ASCII characters"
    if op not in set(Op):
        yield f"op: must be one of {', '.join(Op)}"
        return
    required = _REQUIRED[Op(op)]
    optional = {"key", "op", "expect"} | (set() if op == Op.CREATE_WALLET else {"reference"})
    for name, value in record.items():
        if value and name not in required and name not in optional:
            yield f"{name}: must be empty in a {op}"
    for name in required:
        if not record.get(name):
            yield f"{name}: is missing"
    yield from _malformed_values(record)


def _malformed_values(record: Mapping[str, str]) -> Iterator[str]:
    """Yield each given value that does not fit its column."""
    currency, amount = record.get("currency", ""), record.get("amount", "")
    if currency and exponent_of(currency) is None:
        yield f"currency: {currency!r} is not of ISO 4217 with minor units, nor registered"
    elif currency and amount:
        try:
            _amount(amount, currency)
        except ValueError as error:
            yield f"amount: {amount!r} {error}"
    yield from _malformed_names(record)
    if record.get("account") and not _ACCOUNT.fullmatch(record["account"]):
        yield "account: must be 1 to 64 of A-Z a-z 0-9 . _ -"
    if record.get("source") and record.get("source") == record.get("destination"):
        yield "destination: must not be the source"
    if len(record.get("reference", "").encode()) > MAX_REFERENCE_BYTES:
        yield f"reference: must be at most {MAX_REFERENCE_BYTES} bytes"
    expect = record.get("expect", "")
    if expect not in {"", OK, RETURNED} and expect not in CATALOGUE:
        yield f"expect: {expect!r} is neither OK nor a reason"


def _malformed_names(record: Mapping[str, str]) -> Iterator[str]:
    """Yield each name of a wallet that is neither a label nor, where it may be, an id or alias."""
    for name in ("label", "source", "destination"):
        value = record.get(name, "")
        if EXISTING.fullmatch(value):
            if name == "label":
                yield "label: must not look like the id or alias of a wallet"
        elif value and not _LABEL.fullmatch(value):
            yield f"{name}: must be 1 to 64 of A-Z a-z 0-9 . _ : -"


def _clashes(
    record: Mapping[str, str], keys: Mapping[str, int], labels: Mapping[str, int]
) -> Iterator[str]:
    """Yield what does not fit the rows above."""
    if record["key"] in keys:
        yield f"key: was used in line {keys[record['key']]}"
    if record.get("label") in labels:
        yield f"label: was created in line {labels[record['label']]}"
    for name in ("source", "destination"):
        value = record.get(name, "")
        if value and value not in labels and not EXISTING.fullmatch(value):
            yield f"{name}: no well-formed row above creates {record[name]!r}"


def _records(file: BinaryIO, *, is_json: bool) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Yield each row's line number, and its values by column or what makes it unreadable."""
    header: tuple[str, ...] | None = None
    for line, raw in _lines(file):
        if raw is None:
            yield line, f"is longer than {MAX_LINE_BYTES} bytes"
            continue
        try:
            text = raw.decode("utf-8-sig" if line == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            yield line, "is not UTF-8"
            continue
        if not text.strip():
            continue
        if is_json:
            yield line, _json_record(text)
        elif header is None:
            header = _header(text)
        else:
            yield line, _csv_record(text, header)
    if header is None and not is_json:
        raise FileRefusedError("the file has no header")


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield numbered lines, None for one that is too long; never reads more than one at once."""
    line = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        line += 1
        if len(raw) <= MAX_LINE_BYTES:
            yield line, raw
            continue
        while raw and not raw.endswith(b"\n"):
            raw = file.readline(MAX_LINE_BYTES)
        yield line, None


def _header(text: str) -> tuple[str, ...]:
    """Read the header: names in any order, those that no row needs may be absent."""
    try:
        names = tuple(next(csv.reader([text], strict=True)))
    except csv.Error as error:
        raise FileRefusedError(f"the header is malformed: {error}") from error
    unknown = [name for name in names if name not in COLUMNS]
    missing = [name for name in ("key", "op") if name not in names]
    if unknown or missing or len(set(names)) != len(names):
        wanted = ", ".join(COLUMNS)
        raise FileRefusedError(f"the header must name key, op and others of: {wanted}")
    return names


def _csv_record(text: str, header: tuple[str, ...]) -> dict[str, str] | str:
    try:
        values = next(csv.reader([text], strict=True))
    except csv.Error as error:
        return f"is malformed CSV: {error}"
    if len(values) != len(header):
        return f"has {len(values)} columns, and the header {len(header)}"
    return dict(zip(header, values, strict=True))


def _json_record(text: str) -> dict[str, str] | str:
    """Read an object whose values are all strings: a JSON number would pass through a float."""
    try:
        pairs = json.loads(text, object_pairs_hook=lambda items: items)
    except (ValueError, RecursionError) as error:
        return f"is malformed JSON: {error}"
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        return "must be a JSON object"
    record: dict[str, str] = {}
    for name, value in pairs:
        if name not in COLUMNS or name in record:
            return f"{name}: is no column, or given twice"
        if not isinstance(value, str):
            return f"{name}: must be a string, amounts too"
        record[name] = value
    return record
