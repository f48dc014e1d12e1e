"""`guilder wallet`: create wallets, look at them, change, freeze and close them."""

from typing import Annotated

import typer
from google.protobuf.message import Message

from guilder.cli.declare import Call, Listing, command
from guilder.cli.limits import wallet_app
from guilder.cli.options import (
    WALLET_ADMIN,
    WALLET_CHANGE,
    AccountArgument,
    CurrencyArgument,
    FreezeScopeOption,
    LimitOption,
    MetadataOption,
    WalletArgument,
    change,
    read_pairs,
)
from guilder.cli.render import plain
from guilder.wallet.v1.resources_pb2 import FreezeScope

app = typer.Typer(help="Create wallets, look at them, freeze and close them.", no_args_is_help=True)
app.add_typer(wallet_app, name="limits")


@command(app, change)
async def create(
    call: Call,
    account: AccountArgument,
    currency: CurrencyArgument,
    *,
    alias: Annotated[
        str, typer.Option(help="Name within the account: alias:ACCOUNT/NAME is its id, too.")
    ] = "",
    metadata: MetadataOption = None,
) -> Message:
    """Create a wallet."""
    given = read_pairs(metadata, "--metadata")
    return await call.guilder.wallet.create_wallet(
        account, currency, given, alias=alias, **call.options
    )


@command(app)
async def show(call: Call, wallet_id: WalletArgument) -> Message:
    """Show a wallet."""
    return await call.guilder.wallet.get_wallet(wallet_id)


@command(app, name="list")
async def list_(call: Call, account: AccountArgument, *, limit: LimitOption = 1_000) -> Listing:
    """List the wallets of an account."""
    found = call.guilder.wallet.list_wallets(account, limit=limit)
    return Listing("wallets", found, f"Wallets of {plain(account)}")


@command(app)
async def balance(call: Call, wallet_id: WalletArgument) -> Message:
    """Show a wallet's balance as its shard has it now."""
    return await call.guilder.wallet.get_balance(wallet_id)


@command(app, *WALLET_CHANGE)
async def update(
    call: Call, wallet_id: WalletArgument, *, metadata: MetadataOption = None
) -> Message:
    """Replace a wallet's metadata: all of it, none without --metadata."""
    given = read_pairs(metadata, "--metadata")
    return await call.guilder.wallet.update_wallet(wallet_id, given, **call.options)


@command(app, *WALLET_ADMIN)
async def freeze(
    call: Call, wallet_id: WalletArgument, *, debits: FreezeScopeOption = False
) -> Message:
    """Freeze a wallet: nothing decided after the reply moves its money."""
    return await call.guilder.wallet.freeze_wallet(
        wallet_id, scope=freeze_scope(debits=debits), **call.options
    )


@command(app, *WALLET_ADMIN)
async def unfreeze(call: Call, wallet_id: WalletArgument) -> Message:
    """Make a frozen wallet active again."""
    return await call.guilder.wallet.unfreeze_wallet(wallet_id, **call.options)


@command(app, *WALLET_ADMIN)
async def close(call: Call, wallet_id: WalletArgument) -> Message:
    """Close an empty wallet for good."""
    return await call.guilder.wallet.close_wallet(wallet_id, **call.options)


def freeze_scope(*, debits: bool) -> FreezeScope.ValueType:
    """Return what a freeze is to stop."""
    return FreezeScope.FREEZE_SCOPE_DEBITS if debits else FreezeScope.FREEZE_SCOPE_ALL
