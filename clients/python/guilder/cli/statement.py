"""`guilder statement`: opening balance, every entry of a period, closing balance; as it streams."""

import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Literal

import typer
from rich.table import Table

from guilder.cli.declare import Call, command
from guilder.cli.entries import add_balance, add_line, line_table
from guilder.cli.options import EndOption, StartOption, WalletArgument, period
from guilder.cli.render import as_dict, console, money, print_json_line
from guilder.ledger.v1.ledger_service_pb2 import (
    GetStatementResponse,
    StatementBasis,
    StatementFooter,
    StatementHeader,
)

app = typer.Typer()

MAX_ROWS = 1_000
"""Of one table: a longer statement is printed as several."""

_BASES = {
    "recorded": StatementBasis.STATEMENT_BASIS_RECORDED,
    "effective": StatementBasis.STATEMENT_BASIS_EFFECTIVE,
}


@command(app)
async def statement(
    call: Call,
    wallet_id: WalletArgument,
    *,
    start: StartOption = None,
    end: EndOption = None,
    basis: Annotated[
        Literal["recorded", "effective"], typer.Option(help="By which time: see --effective-time.")
    ] = "recorded",
    format_: Annotated[
        Literal["table", "csv", "json"],
        typer.Option("--format", help="json is a line for the header, each entry, the footer."),
    ] = "table",
) -> None:
    """Show a wallet's statement: opening balance, all entries of a period, closing balance.

    It was checked to add up when its end is shown: the closing balance, or the footer.
    """
    wanted = await call.wallet_id(wallet_id)
    ledger, span = call.guilder.ledger, period(start, end)
    if format_ == "csv" and not call.as_json:
        chunks = ledger.get_statement_csv(wanted, **span, basis=_BASES[basis])
        async with aclosing(chunks):
            async for chunk in chunks:
                sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    parts = ledger.get_statement(wanted, **span, basis=_BASES[basis])
    async with aclosing(parts):
        await (_print_json if call.as_json or format_ == "json" else _print_tables)(parts)


async def _print_json(parts: AsyncIterator[GetStatementResponse]) -> None:
    async for part in parts:
        if part.HasField("lines"):
            for line in part.lines.lines:
                print_json_line({"line": as_dict(line)})
        else:
            kind = part.WhichOneof("part") or ""
            print_json_line({kind: as_dict(getattr(part, kind))})


async def _print_tables(parts: AsyncIterator[GetStatementResponse]) -> None:
    """Print a table; of a long statement one after another, so that it needs no memory."""
    header, made = StatementHeader(), line_table("")
    async for part in parts:
        if part.HasField("header"):
            header = part.header
            made = line_table(f"Statement of {header.wallet_id}, {header.currency_code}")
            opening = money(int(header.opening_minor), header.currency_code, header.exponent)
            add_balance(made, "opening balance", opening)
        elif part.HasField("lines"):
            if made.row_count >= MAX_ROWS:
                console().print(made)
                made = line_table("")
            for line in part.lines.lines:
                add_line(made, line.entry, line.balance_minor, header.exponent)
        else:
            _add_footer(made, part.footer, header)
            console().print(made)


def _add_footer(made: Table, footer: StatementFooter, header: StatementHeader) -> None:
    amounts = (footer.debit_minor, footer.credit_minor, footer.closing_minor)
    shown = [money(int(each), header.currency_code, header.exponent) for each in amounts]
    made.add_section()
    made.add_row("", "closing balance", f"{footer.line_count:,} entries", *shown)
