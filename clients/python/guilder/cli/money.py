"""`guilder deposit`, `withdraw`, `transfer`, `reverse` and `post`: move money by one call."""

from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.message import Message

from guilder.cli.declare import Call, command
from guilder.cli.documents import posting_of, postings_in
from guilder.cli.options import (
    MOVEMENT,
    POSTINGS,
    AmountArgument,
    TransactionArgument,
    WalletArgument,
)

app = typer.Typer()


@command(app, *MOVEMENT)
async def deposit(call: Call, wallet_id: WalletArgument, amount: AmountArgument) -> Message:
    """Bring money from outside into a wallet."""
    wanted = await call.money(amount)
    return await call.guilder.wallet.deposit(wallet_id, wanted, **call.options)


@command(app, *MOVEMENT)
async def withdraw(call: Call, wallet_id: WalletArgument, amount: AmountArgument) -> Message:
    """Take money from a wallet to the outside."""
    wanted = await call.money(amount)
    return await call.guilder.wallet.withdraw(wallet_id, wanted, **call.options)


@command(app, *MOVEMENT)
async def transfer(
    call: Call,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Wallet that pays.")],
    destination: Annotated[str, typer.Argument(metavar="DESTINATION", help="Wallet that is paid.")],
    amount: AmountArgument,
) -> Message:
    """Move money from a wallet to another."""
    wanted = await call.money(amount)
    return await call.guilder.wallet.transfer(source, destination, wanted, **call.options)


@command(app, *MOVEMENT)
async def reverse(
    call: Call,
    transaction_id: TransactionArgument,
    *,
    amount: Annotated[
        str | None, typer.Option(help="Such as '12.50 EUR'; all that is left if not given.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, at most 256 bytes.")] = "",
    actor: Annotated[str, typer.Option(help="Who, at most 128 bytes.")] = "",
) -> Message:
    """Send a transaction's money back, all or part of it."""
    wanted = await call.money_or_none(amount)
    return await call.guilder.wallet.reverse_transaction(
        transaction_id, wanted, reason=reason, actor=actor, **call.options
    )


@command(app, *POSTINGS)
async def post(
    call: Call,
    *,
    posting: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE>DEST:AMOUNT",
            help="Such as 'alias:a/main>sys:fees:0.50 EUR'; may be repeated, order counts.",
        ),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option(
            "--file",
            exists=True,
            dir_okay=False,
            help="JSON list of sourceWalletId, destinationWalletId and amount; they go first.",
        ),
    ] = None,
) -> Message:
    """Carry out up to 100 postings, all or none: fees, splits, an exchange through sys:exchange.

    A source or destination is a wallet, an alias, or sys:fees, sys:exchange, sys:world.
    """
    postings = [] if path is None else await postings_in(path, call.guilder)
    postings += [await posting_of(text, call.guilder) for text in posting or ()]
    if not postings:
        raise typer.BadParameter("give at least one", param_hint="'--posting' or '--file'")
    return await call.guilder.wallet.post_transaction(postings, **call.options)
