"""`guilder transaction`: look at transactions, and at what belongs together."""

from typing import Annotated

import typer
from google.protobuf.message import Message

from guilder.cli.declare import Call, Listing, command
from guilder.cli.options import (
    EndOption,
    LimitOption,
    StartOption,
    StateName,
    TransactionArgument,
    TypeName,
    period,
    read_pairs,
)

app = typer.Typer(help="Look at transactions.", no_args_is_help=True)


@command(app)
async def show(call: Call, transaction_id: TransactionArgument) -> Message:
    """Show a transaction with its state of now."""
    return await call.guilder.wallet.get_transaction(transaction_id)


@command(app)
async def family(
    call: Call,
    member: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a hold or transaction: any member.")
    ],
) -> Message:
    """Show what belongs together: the hold or first transaction, captures, reversals."""
    return await call.guilder.wallet.get_transaction_family(member)


@command(app, name="list")
async def list_(  # noqa: PLR0913 - typer reads the options from here
    call: Call,
    *,
    wallet: Annotated[str, typer.Option(help="That moved this wallet's balance.")] = "",
    account: Annotated[str, typer.Option(help="That moved a wallet of this account.")] = "",
    reference: Annotated[str, typer.Option(help="With this reference.")] = "",
    metadata: Annotated[
        str | None, typer.Option(metavar="NAME=VALUE", help="With this pair of metadata.")
    ] = None,
    type_: Annotated[
        list[TypeName] | None, typer.Option("--type", help="Of this type; may be repeated.")
    ] = None,
    state: Annotated[
        list[StateName] | None, typer.Option(help="In this state; may be repeated.")
    ] = None,
    start: StartOption = None,
    end: EndOption = None,
    limit: LimitOption = 50,
) -> Listing:
    """List transactions that meet all that is given, newest first, as the ledger has them.

    At least one of --wallet, --account, --reference and --metadata is needed.
    """
    pairs = read_pairs([metadata] if metadata else None, "--metadata")
    ((key, value),) = pairs.items() or [("", "")]
    scope = next((each for each in (wallet, account, reference, key) if each), "")
    if not scope:
        hint = "'--wallet', '--account', '--reference' or '--metadata'"
        raise typer.BadParameter("give at least one of these", param_hint=hint)
    found = call.guilder.wallet.list_transactions(
        wallet,
        account_id=account,
        reference=reference,
        metadata_key=key,
        metadata_value=value,
        types=[each.number for each in type_ or ()],
        states=[each.number for each in state or ()],
        **period(start, end),
        limit=limit,
    )
    return Listing("transactions", found, f"Transactions of {scope}")
