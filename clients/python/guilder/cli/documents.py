"""Read commands out of JSON: the names of the API, and amounts as people write them.

An amount is ``"12.50 EUR"`` or the API's own object of currency and minor units.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

import typer
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from guilder.cli.currency import read_money
from guilder.client import Guilder, posting
from guilder.wallet.v1.postings_pb2 import Posting, PostTransactionRequest
from guilder.wallet.v1.wallet_service_pb2 import BatchCommand

M = TypeVar("M", bound=Message)

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_COMMANDS = 1_000
"""Of one batch that is carried out together."""

_FILE = "'FILE'"


async def posting_of(text: str, guilder: Guilder) -> Posting:
    """Read SOURCE>DEST:AMOUNT; the amount follows the last colon, since ids have some, too."""
    source, arrow, rest = text.partition(">")
    destination, colon, amount = rest.rpartition(":")
    if not (arrow and colon and source.strip() and destination.strip()):
        message = f"{text!r}: must be SOURCE>DEST:AMOUNT, such as 'A>B:12.50 EUR'"
        raise typer.BadParameter(message, param_hint="'--posting'")
    wanted = await read_money(guilder, [amount], "'--posting'")
    return posting(source.strip(), destination.strip(), wanted)


async def postings_in(path: Path, guilder: Guilder) -> list[Posting]:
    """Read a file's postings: a JSON list, or an object whose ``postings`` it is."""
    document = _parse(_text_of(path), str(path))
    if isinstance(document, dict) and document.keys() == {"postings"}:
        document = document["postings"]
    if not isinstance(document, list):
        raise typer.BadParameter(f"{path}: must be a JSON list of postings", param_hint="'--file'")
    whole = {"postings": document}
    made = await _message(whole, PostTransactionRequest(), guilder, str(path), "'--file'")
    return list(made.postings)


async def commands_in(path: Path, guilder: Guilder) -> list[tuple[int, BatchCommand]]:
    """Read a file of one command a line, with the lines' numbers; empty lines are left out."""
    made = []
    for number, line in enumerate(_text_of(path).splitlines(), start=1):
        if line.strip():
            place = f"{path}, line {number}"
            document = _parse(line, place)
            made.append((number, await _message(document, BatchCommand(), guilder, place, _FILE)))
            if made[-1][1].WhichOneof("command") is None:
                raise typer.BadParameter(f"{place}: names no command", param_hint=_FILE)
    if not made:
        raise typer.BadParameter(f"{path} has no command", param_hint=_FILE)
    return made


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            message = f"{path} is larger than {MAX_FILE_BYTES:,} bytes: split it"
            raise typer.BadParameter(message, param_hint=_FILE)
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint=_FILE) from None


def _parse(text: str, place: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{place}: is malformed JSON: {error}", param_hint=_FILE) from None


async def _message(document: object, message: M, guilder: Guilder, place: str, hint: str) -> M:
    try:
        return ParseDict(await _with_money(document, guilder, place, hint), message)
    except ParseError as error:
        raise typer.BadParameter(f"{place}: {error}", param_hint=hint) from None


async def _with_money(value: object, guilder: Guilder, place: str, hint: str) -> Any:  # noqa: ANN401
    """Return the document with each amount that is text as the API's object."""
    if isinstance(value, list):
        return [await _with_money(item, guilder, place, hint) for item in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for name, item in value.items():
        if name == "amount" and isinstance(item, str):
            try:
                wanted = await read_money(guilder, [item], hint)
            except typer.BadParameter as error:
                raise typer.BadParameter(f"{place}: {error.message}", param_hint=hint) from None
            made[name] = {
                "currencyCode": wanted.currency_code,
                "amountMinor": str(wanted.amount_minor),
            }
        else:
            made[name] = await _with_money(item, guilder, place, hint)
    return made
