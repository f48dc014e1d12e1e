"""`guilder statement`: a wallet's entries from the ledger, with running balances."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any

import typer

from guilder.cli.options import JsonOption, LimitOption, WalletArgument
from guilder.cli.render import as_dict, console, moment, money, print_json, table
from guilder.cli.session import run
from guilder.client import Guilder
from guilder.ledger.v1.ledger_service_pb2 import Entry, EntrySide

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
StartOption = Annotated[
    datetime | None, typer.Option("--from", formats=_FORMATS, help="From this time on, UTC.")
]
EndOption = Annotated[
    datetime | None, typer.Option("--to", formats=_FORMATS, help="Until before this time, UTC.")
]


def statement(
    ctx: typer.Context,
    *,
    wallet_id: WalletArgument,
    start: StartOption = None,
    end: EndOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """Show a wallet's entries, oldest first, with opening, running and closing balance.

    With more entries than the limit, the newest are shown.
    """

    async def work(guilder: Guilder) -> None:
        entries = await fetch_entries(guilder, wallet_id, limit, start, end)
        if as_json:
            print_json(statement_dict(wallet_id, entries))
        else:
            show_statement(entries, f"Statement of {wallet_id}")

    run(ctx, work, as_json=as_json)


async def fetch_entries(
    guilder: Guilder,
    wallet_id: str,
    limit: int,
    start: datetime | None = None,
    end: datetime | None = None,
) -> list[Entry]:
    """Return the newest ``limit`` entries of a time range, oldest first."""
    newest_first = guilder.ledger.list_entries(
        wallet_id, limit=limit, start_time=_utc(start), end_time=_utc(end)
    )
    return [entry async for entry in newest_first][::-1]


def change_minor(entry: Entry) -> int:
    """Return what an entry adds to the wallet's balance; negative for a debit."""
    return entry.amount_minor if entry.side == EntrySide.ENTRY_SIDE_CREDIT else -entry.amount_minor


def opening_minor(entries: Sequence[Entry]) -> int:
    """Return the balance before the first entry; 0 without entries."""
    if not entries:
        return 0
    return int(entries[0].posted_after_minor) - change_minor(entries[0])


def statement_dict(wallet_id: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return a statement for machines."""
    opening = opening_minor(entries)
    closing = int(entries[-1].posted_after_minor) if entries else opening
    return {
        "walletId": wallet_id,
        "currencyCode": entries[0].currency_code if entries else "",
        "openingMinor": str(opening),
        "closingMinor": str(closing),
        "entries": [as_dict(entry) for entry in entries],
    }


def show_statement(
    entries: Sequence[Entry], title: str, names: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Print a statement as a table; ``names`` says what to call counterparties, by wallet id."""
    if not entries:
        console().print(f"{title}: no entries.")
        return
    currency = entries[0].currency_code
    numbers = ("debit", "credit", "balance")
    made = table(
        f"{title}, {currency}",
        *("time (UTC)", "transaction", "counterparty", *numbers),
        right=numbers,
    )
    made.add_row("", "opening balance", "", "", "", money(opening_minor(entries), currency))
    for entry in entries:
        amount = money(entry.amount_minor, currency)
        credited = entry.side == EntrySide.ENTRY_SIDE_CREDIT
        made.add_row(
            moment(entry.create_time),
            entry.transaction_id,
            names.get(entry.counterparty_wallet_id) or _party(entry.counterparty_wallet_id),
            "" if credited else amount,
            amount if credited else "",
            money(int(entry.posted_after_minor), currency),
        )
    closing = money(int(entries[-1].posted_after_minor), currency)
    made.add_section()
    made.add_row("", "closing balance", "", "", "", closing)
    console().print(made)


def _party(wallet_id: str) -> str:
    """Write the other side: system wallets by what they stand for."""
    names = {"world": "outside", "transit": "another shard"}
    parts = wallet_id.split(":")
    if parts[0] != "sys" or len(parts) < len(("sys", "shard", "kind")):
        return wallet_id
    return names.get(parts[2], parts[2])


def _utc(moment_: datetime | None) -> datetime | None:
    return None if moment_ is None else moment_.replace(tzinfo=UTC)
