"""Write a statement as CSV: RFC 4180, UTF-8, safe to open in a spreadsheet. No I/O."""

import csv
import io
from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as api

COLUMNS = (
    *("row", "recorded_time", "effective_time", "version", "transaction_id", "type", "side"),
    *("amount", "amount_minor", "balance", "balance_minor", "currency_code"),
    *("counterparty_wallet_id", "reference", "description"),
    *("wallet_id", "account_id", "shard", "seq"),
)
"""``row`` is `opening`, `entry`, `debits`, `credits` or `closing`."""

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "'")
_TYPE_PREFIX = "TRANSACTION_TYPE_"
_SIDE_PREFIX = "ENTRY_SIDE_"


class CsvStatement:
    """One statement's file, in chunks."""

    def __init__(self, header: api.StatementHeader) -> None:
        self._header = header

    def opening(self) -> bytes:
        """Return the header row and the opening balance."""
        header = self._header
        row = self._row("opening", balance_minor=header.opening_minor)
        if header.HasField("start_time"):
            row["effective_time"] = _time(header.start_time)
        return _text([dict(zip(COLUMNS, COLUMNS, strict=True)), row])

    def lines(self, lines: Iterable[api.StatementLine]) -> bytes:
        """Return a row for each line."""
        return _text([self._entry(line) for line in lines])

    def closing(self, footer: api.StatementFooter) -> bytes:
        """Return the sums and the closing balance."""
        row = self._row("closing", balance_minor=footer.closing_minor)
        if self._header.HasField("end_time"):
            row["effective_time"] = _time(self._header.end_time)
        sums = [
            self._row("debits", amount_minor=footer.debit_minor, side="DEBIT"),
            self._row("credits", amount_minor=footer.credit_minor, side="CREDIT"),
        ]
        return _text([*sums, row])

    def _entry(self, line: api.StatementLine) -> dict[str, str]:
        entry = line.entry
        row = self._row("entry", str(entry.amount_minor), line.balance_minor)
        return row | {
            "recorded_time": _time(entry.create_time),
            "effective_time": _time(line.effective_time),
            "version": str(entry.version),
            "transaction_id": entry.transaction_id,
            "type": events.TransactionType.Name(line.type).removeprefix(_TYPE_PREFIX),
            "side": api.EntrySide.Name(entry.side).removeprefix(_SIDE_PREFIX),
            "counterparty_wallet_id": entry.counterparty_wallet_id,
            "reference": defused(line.reference),
            "description": defused(line.description),
            "shard": str(entry.position.shard),
            "seq": str(entry.position.seq),
        }

    def _row(
        self, kind: str, amount_minor: str = "", balance_minor: str = "", side: str = ""
    ) -> dict[str, str]:
        header = self._header
        return {
            "row": kind,
            "side": side,
            "amount": _major(amount_minor, header.exponent),
            "amount_minor": amount_minor,
            "balance": _major(balance_minor, header.exponent),
            "balance_minor": balance_minor,
            "currency_code": header.currency_code,
            "wallet_id": header.wallet_id,
            "account_id": defused(header.account_id),
        }


def defused(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet could take for a formula.

    Before an apostrophe too, so that taking one leading apostrophe off gives the text back.
    """
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def _text(rows: Iterable[dict[str, str]]) -> bytes:
    file = io.StringIO(newline="")
    csv.DictWriter(file, COLUMNS, restval="", lineterminator="\r\n").writerows(rows)
    return file.getvalue().encode()


def _major(amount_minor: str, exponent: int) -> str:
    """Write minor units as a decimal of the major unit: ``-1234`` with 2 digits is ``-12.34``."""
    if not amount_minor or exponent == 0:
        return amount_minor
    sign = "-" if amount_minor.startswith("-") else ""
    digits = amount_minor.removeprefix("-").rjust(exponent + 1, "0")
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"


def _time(moment: Timestamp) -> str:
    """Write a time as RFC 3339 does."""
    return str(moment.ToJsonString())
