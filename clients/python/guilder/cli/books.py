"""`guilder books`: the ledger's view of the whole, and of a wallet at any time."""

from datetime import datetime
from typing import Annotated

import typer

from guilder.cli.declare import Call, View, command
from guilder.cli.options import WalletArgument, time_option, utc
from guilder.cli.render import as_dict, console, money, table, word
from guilder.cli.session import ExitCode
from guilder.ledger.v1.ledger_service_pb2 import (
    AccountClass,
    EntrySide,
    GetTrialBalanceResponse,
)

app = typer.Typer(help="The ledger's books: now, or at any time.", no_args_is_help=True)

AtOption = Annotated[
    datetime | None, time_option("--at", "After all that was recorded before this time.")
]


@command(app)
async def trial_balance(
    call: Call,
    *,
    at: AtOption = None,
    shard: Annotated[int | None, typer.Option(min=0, help="Only this shard.")] = None,
) -> View:
    """Show debits, credits and balance of each account, per shard and currency.

    Exit code 1 if they do not sum to 0.
    """
    reply = await call.guilder.ledger.get_trial_balance(shard, at_time=utc(at))
    await call.learn(*(line.currency_code for line in reply.lines))
    code = ExitCode.OK if reply.balanced else ExitCode.FAILED
    return View(as_dict(reply), lambda: _show_trial(reply), code)


@command(app)
async def chart(call: Call) -> View:
    """Show the chart of accounts: what each stands for, and on which side it grows."""
    accounts = await call.guilder.ledger.get_chart_of_accounts()

    def show() -> None:
        made = table("Chart of accounts", "code", "account", "class", "grows by", "stands for")
        for item in accounts:
            kind = word(AccountClass, item.account_class)
            side = word(EntrySide, item.normal_side)
            made.add_row(item.code, item.name, kind, side, item.description)
        console().print(made)

    return View({"accounts": [as_dict(item) for item in accounts]}, show)


@command(app)
async def balance(
    call: Call,
    wallet_id: WalletArgument,
    *,
    at: AtOption = None,
    effective_at: Annotated[
        datetime | None, time_option("--effective-at", "After all that counts before this time.")
    ] = None,
) -> View:
    """Show the balance that the journal gives a wallet: now, or at a time."""
    if at and effective_at:
        raise typer.BadParameter("not with --at", param_hint="'--effective-at'")
    reply = await call.guilder.ledger.get_balance(
        await call.wallet_id(wallet_id), at_time=utc(at), at_effective_time=utc(effective_at)
    )

    def show() -> None:
        made = table("Balance in the books", "wallet", "currency", "posted", "version")
        posted = money(int(reply.posted_minor or 0), reply.currency_code, reply.exponent)
        made.add_row(reply.wallet_id, reply.currency_code, posted, str(reply.version))
        console().print(made)

    return View(as_dict(reply), show)


def _show_trial(reply: GetTrialBalanceResponse) -> None:
    numbers = ("debits", "credits", "balance")
    columns = ("shard", "currency", "code", "account", "class", *numbers)
    made = table("Trial balance", *columns, right=("shard", *numbers))
    for line in reply.lines:
        amounts = (line.debit_minor, line.credit_minor, line.balance_minor)
        made.add_row(
            str(line.shard),
            line.currency_code,
            line.account_code,
            line.account,
            word(AccountClass, line.account_class),
            *(money(int(amount or 0), line.currency_code) for amount in amounts),
        )
    out = console()
    out.print(made)
    if reply.balanced:
        out.print("Balanced: every currency of every shard sums to 0.", style="green")
    else:
        out.print("NOT balanced.", style="bold red")
