"""`guilder tail`: events as they happen, from notify's watch."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Annotated, Any

import typer
from google.protobuf.json_format import MessageToDict

from guilder.cli.declare import Call, command
from guilder.cli.render import as_dict, console, moment, money, plain, print_json_line
from guilder.cli.session import ExitCode
from guilder.notify.v1.notify_service_pb2 import Event

app = typer.Typer()

_ENUMS = ("status", "state", "accountFreeze")
_PREFIXES = ("WALLET_STATUS_", "TRANSACTION_STATE_", "HOLD_STATE_", "FREEZE_SCOPE_")

MAX_ATTEMPTS = 30
"""Failures in a row, about a minute of a notify that is away, before it gives up."""


@command(app, max_attempts=MAX_ATTEMPTS)
async def tail(
    call: Call,
    *,
    wallet: Annotated[
        list[str] | None, typer.Option(help="Only of this wallet; may be repeated.")
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only such as transaction.posted; may be repeated."),
    ] = None,
    from_cursor: Annotated[
        str, typer.Option(help="Go on behind this event; 0 for all that is still kept.")
    ] = "",
    count: Annotated[
        int | None, typer.Option(min=1, help="End after so many; else at Ctrl-C.")
    ] = None,
) -> ExitCode:
    """Show events as they happen, a line each; with --json a document a line.

    After a break it goes on behind the last event. Ctrl-C ends it with exit code 0 and tells the
    cursor to go on from.
    """
    wallet_ids = [await call.wallet_id(each) for each in wallet or ()]
    watch = call.guilder.notify.watch(
        event_types=type_ or (), wallet_ids=wallet_ids, cursor=from_cursor
    )
    cursor, shown = from_cursor, 0
    try:
        async with aclosing(watch):
            async for response in watch:
                await _show(call, response.event, as_json_line=as_dict(response))
                cursor, shown = response.cursor, shown + 1
                if shown == count:
                    break
    except asyncio.CancelledError:
        # Ctrl-C: this is how a tail ends, no failure.
        pass
    finally:
        if cursor and not call.as_json:
            console(stderr=True).print(f"Go on with --from-cursor {cursor}", style="dim")
    return ExitCode.OK


async def _show(call: Call, event: Event, *, as_json_line: dict[str, Any]) -> None:
    if call.as_json:
        print_json_line(as_json_line)
        return
    data: Mapping[str, Any] = MessageToDict(event.data)
    currency = _currency(data)
    if currency:
        await call.learn(currency)
    line = " ".join(
        (
            moment(event.create_time),
            f"{event.type:22}",
            event.wallet_id,
            f"#{event.wallet_sequence}",
            *_summary(data, currency),
        )
    )
    console().print(plain(line), soft_wrap=True)


def _currency(data: Mapping[str, Any]) -> str:
    amount = data.get("amount")
    code = amount.get("currencyCode") if isinstance(amount, dict) else data.get("currencyCode")
    return str(code or "")


def _summary(data: Mapping[str, Any], currency: str) -> list[str]:
    """Return the words that say most: amounts, state, reference."""
    words = []
    for name, label in (
        ("deltaMinor", ""),
        ("postedAfterMinor", "balance "),
        ("openMinor", "open "),
        ("capturedMinor", "captured "),
    ):
        if name in data and currency:
            text = money(int(data[name]), currency)
            sign = "+" if name == "deltaMinor" and not text.startswith("-") else ""
            unit = f" {currency}" if name == "deltaMinor" else ""
            words.append(f"{label}{sign}{text}{unit}")
    words += [_word(str(data[name])) for name in _ENUMS if data.get(name)]
    return words + [str(data[name]) for name in ("alias", "reference") if data.get(name)]


def _word(value: str) -> str:
    """Write ``WALLET_STATUS_DEBITS_FROZEN`` and the like as people say it."""
    for prefix in _PREFIXES:
        value = value.removeprefix(prefix)
    return value.replace("_", " ").lower()
