"""`guilder wallet`: create wallets, look at them, freeze, unfreeze and close them."""

from collections.abc import Sequence
from typing import Annotated

import typer
from google.protobuf.message import Message

from guilder.cli.options import (
    JsonOption,
    KeyOption,
    LimitOption,
    MetadataOption,
    WalletArgument,
    key_or_fresh,
    read_metadata,
)
from guilder.cli.render import as_dict, console, moment, money, pairs, plain, print_json, table
from guilder.cli.session import run
from guilder.client import Guilder
from guilder.wallet.v1.resources_pb2 import Balance, Wallet, WalletStatus

app = typer.Typer(help="Create wallets, look at them, freeze and close them.", no_args_is_help=True)


@app.command()
def create(
    ctx: typer.Context,
    *,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Your id of the owner.")],
    currency: Annotated[str, typer.Argument(metavar="CURRENCY", help="ISO 4217 code.")],
    metadata: MetadataOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a wallet."""
    used_key, given = key_or_fresh(key), read_metadata(metadata)

    async def work(guilder: Guilder) -> None:
        reply = await guilder.wallet.create_wallet(
            account, currency, given, idempotency_key=used_key
        )
        show_change(reply, reply.wallet, reply.balance, replayed=reply.replayed, as_json=as_json)

    run(ctx, work, as_json=as_json, key=used_key)


@app.command()
def get(
    ctx: typer.Context,
    *,
    wallet_id: WalletArgument,
    as_json: JsonOption = False,
) -> None:
    """Show a wallet."""

    async def work(guilder: Guilder) -> None:
        wallet = await guilder.wallet.get_wallet(wallet_id)
        if as_json:
            print_json(as_dict(wallet))
        else:
            show_wallets([wallet], "Wallet")

    run(ctx, work, as_json=as_json)


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Your id of the owner.")],
    limit: LimitOption = 1_000,
    as_json: JsonOption = False,
) -> None:
    """List the wallets of an account."""

    async def work(guilder: Guilder) -> None:
        wallets = [item async for item in guilder.wallet.list_wallets(account, limit=limit)]
        if as_json:
            print_json({"wallets": [as_dict(item) for item in wallets]})
        else:
            show_wallets(wallets, f"Wallets of {plain(account)}")

    run(ctx, work, as_json=as_json)


@app.command()
def balance(
    ctx: typer.Context,
    *,
    wallet_id: WalletArgument,
    as_json: JsonOption = False,
) -> None:
    """Show a wallet's balance as its shard has it now."""

    async def work(guilder: Guilder) -> None:
        found = await guilder.wallet.get_balance(wallet_id)
        if as_json:
            print_json(as_dict(found))
        else:
            show_balances([found], "Balance")

    run(ctx, work, as_json=as_json)


@app.command()
def freeze(
    ctx: typer.Context,
    *,
    wallet_id: WalletArgument,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Freeze a wallet: nothing decided after the reply moves its money."""
    used_key = key_or_fresh(key)

    async def work(guilder: Guilder) -> None:
        reply = await guilder.wallet.freeze_wallet(wallet_id, idempotency_key=used_key)
        show_change(reply, reply.wallet, reply.balance, replayed=reply.replayed, as_json=as_json)

    run(ctx, work, as_json=as_json, key=used_key)


@app.command()
def unfreeze(
    ctx: typer.Context,
    *,
    wallet_id: WalletArgument,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a frozen wallet active again."""
    used_key = key_or_fresh(key)

    async def work(guilder: Guilder) -> None:
        reply = await guilder.wallet.unfreeze_wallet(wallet_id, idempotency_key=used_key)
        show_change(reply, reply.wallet, reply.balance, replayed=reply.replayed, as_json=as_json)

    run(ctx, work, as_json=as_json, key=used_key)


@app.command()
def close(
    ctx: typer.Context,
    *,
    wallet_id: WalletArgument,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close an empty wallet for good."""
    used_key = key_or_fresh(key)

    async def work(guilder: Guilder) -> None:
        reply = await guilder.wallet.close_wallet(wallet_id, idempotency_key=used_key)
        show_change(reply, reply.wallet, reply.balance, replayed=reply.replayed, as_json=as_json)

    run(ctx, work, as_json=as_json, key=used_key)


def show_change(
    reply: Message, wallet: Wallet, balance: Balance, *, replayed: bool, as_json: bool
) -> None:
    """Show a wallet after a change, and whether an earlier call with the key had made it."""
    if as_json:
        print_json(as_dict(reply))
        return
    show_wallets([wallet], "Wallet")
    show_balances([balance], "Balance")
    if replayed:
        console().print("Replayed: an earlier call with this key had done it.", style="yellow")


def show_wallets(wallets: Sequence[Wallet], title: str) -> None:
    """Print wallets as a table."""
    made = table(title, "wallet", "account", "currency", "status", "created (UTC)", "metadata")
    for wallet in wallets:
        made.add_row(
            wallet.wallet_id,
            plain(wallet.account_id),
            wallet.currency_code,
            WalletStatus.Name(wallet.status).removeprefix("WALLET_STATUS_").lower(),
            moment(wallet.create_time),
            pairs(wallet.metadata),
        )
    console().print(made)


def show_balances(balances: Sequence[Balance], title: str) -> None:
    """Print balances as a table."""
    numbers = ("posted", "held", "available", "version")
    made = table(title, "wallet", "currency", *numbers, right=numbers)
    for balance in balances:
        amounts = (balance.posted_minor, balance.held_minor, balance.available_minor)
        shown = [money(amount, balance.currency_code) for amount in amounts]
        made.add_row(balance.wallet_id, balance.currency_code, *shown, str(balance.version))
    console().print(made)
