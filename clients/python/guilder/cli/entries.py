"""`guilder entries`: a wallet's newest journal entries, and how lines of the journal are shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import typer
from rich.table import Table

from guilder.cli.declare import Call, View, command
from guilder.cli.options import EndOption, LimitOption, StartOption, WalletArgument, period
from guilder.cli.render import as_dict, console, moment, money, table
from guilder.client import Guilder
from guilder.ledger.v1.ledger_service_pb2 import Entry, EntrySide

app = typer.Typer()

_NUMBERS = ("debit", "credit", "balance")
_COLUMNS = ("time (UTC)", "transaction", "counterparty", *_NUMBERS)


@command(app)
async def entries(
    call: Call,
    wallet_id: WalletArgument,
    *,
    start: StartOption = None,
    end: EndOption = None,
    limit: LimitOption = 50,
) -> View:
    """Show a wallet's newest entries in the ledger, oldest first, with running balances."""
    found = await fetch_entries(call.guilder, await call.wallet_id(wallet_id), limit, start, end)
    await call.learn(*{entry.currency_code for entry in found})
    document = {"entries": [as_dict(entry) for entry in found]}
    return View(document, lambda: show_entries(found, f"Entries of {wallet_id}"))


async def fetch_entries(
    guilder: Guilder,
    wallet_id: str,
    limit: int,
    start: datetime | None = None,
    end: datetime | None = None,
) -> list[Entry]:
    """Return the newest ``limit`` entries of a time range, oldest first."""
    newest_first = guilder.ledger.list_entries(wallet_id, limit=limit, **period(start, end))
    return [entry async for entry in newest_first][::-1]


def show_entries(
    entries: Sequence[Entry], title: str, names: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Print entries as a table; ``names`` says what to call counterparties, by wallet id."""
    if not entries:
        console().print(f"{title}: no entries.")
        return
    currency = entries[0].currency_code
    made = line_table(f"{title}, {currency}")
    add_balance(made, "opening balance", money(_opening_minor(entries), currency))
    for entry in entries:
        add_line(made, entry, entry.posted_after_minor, None, names)
    made.add_section()
    add_balance(made, "closing balance", money(int(entries[-1].posted_after_minor), currency))
    console().print(made)


def line_table(title: str) -> Table:
    """Return an empty table of lines; without a title it goes on below another one."""
    made = table(title, *_COLUMNS, right=_NUMBERS)
    made.show_header = bool(title)
    return made


def add_balance(made: Table, name: str, text: str) -> None:
    """Add the line of an opening or closing balance."""
    made.add_row("", name, "", "", "", text)


def add_line(
    made: Table,
    entry: Entry,
    balance_minor: str,
    exponent: int | None = None,
    names: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Add the line of an entry."""
    amount = money(entry.amount_minor, entry.currency_code, exponent)
    credited = entry.side == EntrySide.ENTRY_SIDE_CREDIT
    made.add_row(
        moment(entry.create_time),
        entry.transaction_id,
        names.get(entry.counterparty_wallet_id) or _party(entry.counterparty_wallet_id),
        "" if credited else amount,
        amount if credited else "",
        money(int(balance_minor), entry.currency_code, exponent),
    )


def _opening_minor(entries: Sequence[Entry]) -> int:
    first = entries[0]
    credited = first.side == EntrySide.ENTRY_SIDE_CREDIT
    change = first.amount_minor if credited else -first.amount_minor
    return int(first.posted_after_minor) - change


def _party(wallet_id: str) -> str:
    """Write the other side: system wallets by what they stand for."""
    names = {"world": "outside", "transit": "another shard"}
    parts = wallet_id.split(":")
    if parts[0] != "sys" or len(parts) < len(("sys", "shard", "kind")):
        return wallet_id
    return names.get(parts[2], parts[2])
