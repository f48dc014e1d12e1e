"""Import a file, show what became of it, and prove the books."""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from guilder.cli.demo.payment import pay
from guilder.cli.entries import fetch_entries, show_entries
from guilder.cli.importing.report import Report
from guilder.cli.importing.rows import Op, Row, Sheet
from guilder.cli.importing.run import MAX_CALLS
from guilder.cli.importing.sheet import MAX_ATTEMPTS, import_sheet, load
from guilder.cli.proofs import wait_for_ledger
from guilder.cli.render import console, error_lines, money, plain, print_json, table
from guilder.cli.session import ExitCode, run
from guilder.cli.verify import prove
from guilder.client import Guilder, GuilderError
from guilder.wallet.v1.resources_pb2 import Balance

if TYPE_CHECKING:
    from guilder.cli.demo.receiver import Delivery

LEDGER_SECONDS = 30.0
SHOWN_PER_CURRENCY = 3
SHOWN_ENTRIES = 12


def carry_out(ctx: typer.Context, path: Path) -> None:
    """Do what ``guilder demo`` was asked for."""
    sheet = load(path)

    async def work(guilder: Guilder) -> ExitCode:
        return ExitCode.OK if await show(guilder, sheet, path.name) else ExitCode.FAILED

    run(ctx, work, max_attempts=MAX_ATTEMPTS)


async def show(guilder: Guilder, sheet: Sheet, name: str) -> bool:
    """Show everything; return whether all of it went as it should."""
    out = console()
    out.rule(f"1. Import {name}", align="left")
    report, wallet_ids = await import_sheet(guilder, sheet)
    if report.left_over:
        return False
    if report.new == 0:
        out.print("Every row was decided by an earlier run: no money moved again.", style="green")
    out.rule("2. Balances", align="left")
    await _show_balances(guilder, sheet, wallet_ids)
    out.rule("3. The ledger's statement of one wallet", align="left")
    caught_up = await _show_statement(guilder, sheet, wallet_ids)
    out.rule("4. A webhook", align="left")
    delivered = await _show_webhook(guilder)
    out.rule("5. Reserve, capture, refund, exchange, and a limit", align="left")
    paid = await pay(guilder)
    out.rule("6. Speed", align="left")
    _show_speed(report)
    out.rule("7. guilder verify", align="left")
    proved = await prove(guilder, LEDGER_SECONDS)
    return report.ok and caught_up and delivered and paid and proved


def fingerprint(balances: Mapping[str, Balance]) -> str:
    """Return a hash of what the wallets hold, by label: the same after every complete run."""
    held = sorted(
        (label, item.currency_code, item.posted_minor, item.held_minor)
        for label, item in balances.items()
    )
    return hashlib.sha256(json.dumps(held).encode()).hexdigest()[:16]


async def read_balances(guilder: Guilder, wallet_ids: Mapping[str, str]) -> dict[str, Balance]:
    """Return the balances of all wallets by label."""
    limit = asyncio.Semaphore(MAX_CALLS)

    async def read(wallet_id: str) -> Balance:
        async with limit:
            return await guilder.wallet.get_balance(wallet_id)

    found = await asyncio.gather(*(read(wallet_id) for wallet_id in wallet_ids.values()))
    return dict(zip(wallet_ids, found, strict=True))


async def _show_balances(guilder: Guilder, sheet: Sheet, wallet_ids: Mapping[str, str]) -> None:
    balances = await read_balances(guilder, wallet_ids)
    made = table("Some wallets", "label", "wallet", "currency", "balance", right=("balance",))
    currencies = sorted({item.currency_code for item in balances.values()})
    for currency in currencies:
        for label in _paid_labels(sheet, currency)[:SHOWN_PER_CURRENCY]:
            item = balances[label]
            made.add_row(label, item.wallet_id, currency, money(item.posted_minor, currency))
    out = console()
    out.print(made)
    for currency in currencies:
        held = [item.posted_minor for item in balances.values() if item.currency_code == currency]
        out.print(f"{len(held):,} wallets hold {money(sum(held), currency)} {currency}.")
    out.print(
        f"Fingerprint of all {len(balances):,} balances: {fingerprint(balances)}", style="bold"
    )


def _paid_labels(sheet: Sheet, currency: str) -> list[str]:
    """Return the labels that transfers of a currency pay, the most often paid first."""
    counts: dict[str, int] = {}
    created = {row.label: row.currency for row in sheet.rows if row.op is Op.CREATE_WALLET}
    for row in sheet.rows:
        if row.op is Op.TRANSFER and created[row.destination] == currency:
            counts[row.destination] = counts.get(row.destination, 0) + 1
    return sorted(counts, key=lambda label: (-counts[label], label))


async def _show_statement(guilder: Guilder, sheet: Sheet, wallet_ids: Mapping[str, str]) -> bool:
    """Show what the ledger has of one wallet; return whether it had caught up in time."""
    began = time.monotonic()
    missing = await wait_for_ledger(guilder, await guilder.audit.list_shards(), LEDGER_SECONDS)
    out = console()
    for text in missing:
        out.print(text, style="red")
    out.print(f"The ledger had every record {time.monotonic() - began:.1f} s later.", style="dim")
    labels = _paid_labels(sheet, _first_currency(sheet.rows))
    if labels:
        entries = await fetch_entries(guilder, wallet_ids[labels[0]], SHOWN_ENTRIES)
        names = {wallet_id: label for label, wallet_id in wallet_ids.items()}
        show_entries(entries, f"Statement of {labels[0]}", names)
    return not missing


def _first_currency(rows: Sequence[Row]) -> str:
    return rows[0].currency if rows else ""


async def _show_webhook(guilder: Guilder) -> bool:
    """Show what was delivered; return whether it was all of it, with good signatures."""
    # A web server takes a third of the time that the program needs to start: only this needs it.
    from guilder.cli.demo.webhook import EVENTS, deliver, is_complete  # noqa: PLC0415

    out = console()
    try:
        deliveries = await deliver(guilder)
    except GuilderError as error:
        for line in error_lines(error):
            out.print(line, style="red")
        return False
    if deliveries:
        _show_delivery(deliveries[0])
    for delivery in deliveries[1:]:
        signature = "verified" if delivery.verified else "WRONG"
        name = plain(f"{delivery.type} {delivery.headers['webhook-id']}")
        out.print(f"… then {name}, signature {signature}")
    if not is_complete(deliveries):
        out.print(f"Not all of these came in time: {', '.join(EVENTS)}.", style="red")
        return False
    return True


def _show_delivery(delivery: "Delivery") -> None:
    out = console()
    for name, value in delivery.headers.items():
        out.print(f"{name}: {plain(value)}", style="cyan")
    print_json(delivery.body)
    style = "green" if delivery.verified else "red"
    text = "The signature is right." if delivery.verified else "The signature is WRONG."
    out.print(f"{text} (Standard Webhooks, HMAC-SHA256)", style=style)


def _show_speed(report: Report) -> None:
    if report.new == 0:
        text = f"{report.rows_per_second:,.0f} rows/s answered from their keys, none done again."
    else:
        text = f"{report.rows_per_second:,.0f} rows/s, each durable on disk when it was answered."
    console().print(text)
