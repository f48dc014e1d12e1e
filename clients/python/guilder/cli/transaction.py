"""`guilder transaction`: look at transactions."""

import typer
from rich.table import Table

from guilder.cli.options import JsonOption, LimitOption, WalletArgument
from guilder.cli.render import as_dict, console, moment, money, pairs, plain, print_json, table
from guilder.cli.session import run
from guilder.client import Guilder
from guilder.wallet.v1.resources_pb2 import Transaction, TransactionState, TransactionType

app = typer.Typer(help="Look at transactions.", no_args_is_help=True)


@app.command()
def get(
    ctx: typer.Context,
    *,
    transaction_id: str = typer.Argument(metavar="TRANSACTION", help="Id of the transaction."),
    as_json: JsonOption = False,
) -> None:
    """Show a transaction with its state of now."""

    async def work(guilder: Guilder) -> None:
        found = await guilder.wallet.get_transaction(transaction_id)
        if as_json:
            print_json(as_dict(found))
        else:
            show_transaction(found)

    run(ctx, work, as_json=as_json)


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    wallet_id: WalletArgument,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List the transactions that moved a wallet's balance, newest first, as the ledger has them."""

    async def work(guilder: Guilder) -> None:
        pages = guilder.wallet.list_transactions(wallet_id, limit=limit)
        found = [item async for item in pages]
        if as_json:
            print_json({"transactions": [as_dict(item) for item in found]})
            return
        numbers = ("change", "balance")
        made = table(
            f"Transactions of {wallet_id}",
            *("time (UTC)", "transaction", "type", "state", *numbers, "reference"),
            right=numbers,
        )
        for item in found:
            transaction = item.transaction
            currency = transaction.amount.currency_code
            made.add_row(
                moment(transaction.create_time),
                transaction.transaction_id,
                type_name(transaction),
                state_name(transaction),
                money(item.delta_minor, currency),
                money(item.posted_after_minor, currency),
                plain(transaction.reference),
            )
        console().print(made)

    run(ctx, work, as_json=as_json)


def type_name(transaction: Transaction) -> str:
    """Return a transaction's type in a word."""
    return TransactionType.Name(transaction.type).removeprefix("TRANSACTION_TYPE_").lower()


def state_name(transaction: Transaction) -> str:
    """Return a transaction's state in a word."""
    return TransactionState.Name(transaction.state).removeprefix("TRANSACTION_STATE_").lower()


def show_transaction(transaction: Transaction) -> None:
    """Print one transaction, a line a field; what is empty is left out."""
    amount = transaction.amount
    made = Table(show_header=False, title="Transaction", title_justify="left", title_style="bold")
    fields = {
        "transaction": transaction.transaction_id,
        "type": type_name(transaction),
        "state": state_name(transaction),
        "amount": f"{money(amount.amount_minor, amount.currency_code)} {amount.currency_code}",
        "from": transaction.source_wallet_id or "outside",
        "to": transaction.destination_wallet_id or "outside",
        "time (UTC)": moment(transaction.create_time),
        "reference": plain(transaction.reference),
        "description": plain(transaction.description),
        "metadata": pairs(transaction.metadata),
    }
    for name, value in fields.items():
        if value:
            made.add_row(name, value)
    console().print(made)
