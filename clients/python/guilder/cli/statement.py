"""`guilder statement`: opening balance, every entry of a period, closing balance; as it streams."""

import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Literal

import typer

from guilder.cli.declare import Call, command
from guilder.cli.entries import add_balance, add_line, line_table
from guilder.cli.options import EndOption, StartOption, WalletArgument, period
from guilder.cli.render import as_dict, console, money, print_json_line
from guilder.ledger.v1.ledger_service_pb2 import (
    GetStatementResponse,
    StatementBasis,
    StatementFooter,
    StatementHeader,
    StatementLines,
)

app = typer.Typer()

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
    """Print a table a part: a long statement needs no memory."""
    header = StatementHeader()
    title = ""
    async for part in parts:
        if part.HasField("header"):
            header = part.header
            title = f"Statement of {header.wallet_id}, {header.currency_code}"
            _print_lines(StatementLines(), header, title)
        elif part.HasField("lines"):
            _print_lines(part.lines, header, "")
        else:
            _print_footer(part.footer, header)


def _print_lines(lines: StatementLines, header: StatementHeader, title: str) -> None:
    made = line_table(title)
    if title:
        opening = money(int(header.opening_minor), header.currency_code, header.exponent)
        add_balance(made, "opening balance", opening)
    for line in lines.lines:
        add_line(made, line.entry, line.balance_minor, header.exponent)
    console().print(made)


def _print_footer(footer: StatementFooter, header: StatementHeader) -> None:
    amounts = (footer.debit_minor, footer.credit_minor, footer.closing_minor)
    shown = [money(int(each), header.currency_code, header.exponent) for each in amounts]
    made = line_table("")
    made.add_row("", "closing balance", f"{footer.line_count:,} entries", *shown)
    console().print(made)
