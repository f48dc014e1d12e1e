"""Show things: tables for people on a console, JSON for machines, errors with reason and rule.

Text that callers chose is shown with its control characters replaced: it must not drive a terminal.
"""

import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table

from guilder.cli.currency import decimal_text, exponent_of
from guilder.client import Addresses, GuilderError, UnauthenticatedError, UnavailableError
from walletkit.errors import CATALOGUE

PIPE_WIDTH = 140
"""Columns where the output is no terminal: ids stay whole."""


def console(*, stderr: bool = False) -> Console:
    """Return a console that takes text literally: no markup in what others wrote."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=width)


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table; the columns named in ``right`` hold numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def plain(text: str) -> str:
    """Return text with whatever is not printable replaced, so that it can't drive a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def money(amount_minor: int, currency_code: str, exponent: int | None = None) -> str:
    """Write minor units as people read them; raw, and said so, in an unknown currency.

    ``exponent`` is what the service says; without it, what is known of the currency.
    """
    known = exponent_of(currency_code) if exponent is None else exponent
    return f"{amount_minor} minor units" if known is None else decimal_text(amount_minor, known)


def moment(timestamp: Timestamp) -> str:
    """Write a time in UTC, to the millisecond."""
    when: datetime = timestamp.ToDatetime(tzinfo=UTC)
    return when.strftime("%Y-%m-%d %H:%M:%S.") + f"{when.microsecond // 1000:03d}"


def print_json(value: object) -> None:
    """Print one JSON document to stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_json_line(value: object) -> None:
    """Print one line of JSON lines to stdout, at once: others may read along."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def as_dict(message: Message) -> dict[str, Any]:
    """Return a message as proto3's JSON has it: lowerCamelCase, int64 as strings, zeros written."""
    made: dict[str, Any] = MessageToDict(message, always_print_fields_with_no_presence=True)
    return made


def error_dict(error: GuilderError) -> dict[str, Any]:
    """Return an error for machines."""
    return {
        "code": error.code.name,
        "reason": error.reason,
        "message": error.message,
        "metadata": error.metadata,
        "violations": [
            {"field": item.field, "description": item.description} for item in error.violations
        ],
    }


def error_lines(error: GuilderError) -> list[str]:
    """Return an error for people: reason and message, then fields with rules, or the values."""
    lines = [f"{error.reason}: {plain(error.message)}"]
    if error.violations:
        lines += [
            f"  {item.field}: {plain(item.description)}"
            for item in error.violations
            if item.description != error.message
        ]
    else:
        lines += [f"  {name} = {plain(value)}" for name, value in sorted(error.metadata.items())]
    return lines


def show_error(
    error: GuilderError, *, as_json: bool, key: str | None, addresses: Addresses
) -> None:
    """Show an error: as JSON on stdout, or on stderr with a hint of what to do."""
    if as_json:
        print_json({"error": error_dict(error) | ({"idempotencyKey": key} if key else {})})
        return
    err = console(stderr=True)
    first, *rest = error_lines(error)
    err.print(f"error: {first}", style="red")
    for line in rest:
        err.print(line)
    for line in _hints(error, key, addresses):
        err.print(line, style="dim")


def _hints(error: GuilderError, key: str | None, addresses: Addresses) -> list[str]:
    """Say what can be done, in the catalogue's words where the service gave a reason."""
    entry = CATALOGUE.get(error.reason)
    hints = [] if entry is None or error.violations else [entry.meaning.replace("`", "")]
    if isinstance(error, UnavailableError):
        where = f"wallet {addresses.wallet}, ledger {addresses.ledger}, notify {addresses.notify}"
        where += f", edge {addresses.edge}"
        hints.append(f"Is the suite up (`make up`)? Addresses: {where}.")
        if key:
            hints.append(f"It may have been done. Run the same command again with --key {key}")
    if isinstance(error, UnauthenticatedError):
        hints.append("Give a token by GUILDER_TOKEN or --token-file; or GUILDER_API_KEY to Envoy.")
        hints.append("For the local suite: export GUILDER_TOKEN=$(guilder auth token --role …)")
    return hints


def word(kind: Any, number: int) -> str:  # noqa: ANN401 - enums of protobuf have no common type
    """Return an enum's value in a word: ``WALLET_STATUS_DEBITS_FROZEN`` gives ``debits frozen``."""
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.DESCRIPTOR.name).upper()
    return str(kind.Name(number)).removeprefix(f"{prefix}_").replace("_", " ").lower()


def pairs(values: Mapping[str, str]) -> str:
    """Write metadata on one line."""
    return ", ".join(f"{plain(name)}={plain(value)}" for name, value in sorted(values.items()))
