"""`guilder deposit`, `withdraw` and `transfer`: move money by one call."""

from typing import Annotated

import typer
from google.protobuf.message import Message

from guilder.cli.options import (
    AmountArgument,
    CurrencyArgument,
    DescriptionOption,
    JsonOption,
    KeyOption,
    MetadataOption,
    ReferenceOption,
    VersionOption,
    WalletArgument,
    key_or_fresh,
    money_options,
    read_amount,
)
from guilder.cli.render import as_dict, console, print_json
from guilder.cli.session import run
from guilder.cli.transaction import show_transaction
from guilder.cli.wallet import show_balances
from guilder.client import Guilder
from guilder.wallet.v1.resources_pb2 import Balance, Transaction


def deposit(  # noqa: PLR0913 - typer reads the options from here
    ctx: typer.Context,
    *,
    wallet_id: WalletArgument,
    amount: AmountArgument,
    currency: CurrencyArgument,
    reference: ReferenceOption = "",
    description: DescriptionOption = "",
    metadata: MetadataOption = None,
    expected_version: VersionOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring money from outside into a wallet."""
    used_key, wanted = key_or_fresh(key), read_amount(amount, currency)
    options = money_options(used_key, reference, description, metadata, expected_version)

    async def work(guilder: Guilder) -> None:
        reply = await guilder.wallet.deposit(wallet_id, wanted, **options)
        _show(reply, reply.transaction, [reply.balance], replayed=reply.replayed, as_json=as_json)

    run(ctx, work, as_json=as_json, key=used_key)


def withdraw(  # noqa: PLR0913 - typer reads the options from here
    ctx: typer.Context,
    *,
    wallet_id: WalletArgument,
    amount: AmountArgument,
    currency: CurrencyArgument,
    reference: ReferenceOption = "",
    description: DescriptionOption = "",
    metadata: MetadataOption = None,
    expected_version: VersionOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take money from a wallet to the outside."""
    used_key, wanted = key_or_fresh(key), read_amount(amount, currency)
    options = money_options(used_key, reference, description, metadata, expected_version)

    async def work(guilder: Guilder) -> None:
        reply = await guilder.wallet.withdraw(wallet_id, wanted, **options)
        _show(reply, reply.transaction, [reply.balance], replayed=reply.replayed, as_json=as_json)

    run(ctx, work, as_json=as_json, key=used_key)


def transfer(  # noqa: PLR0913 - typer reads the options from here
    ctx: typer.Context,
    *,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Wallet that pays.")],
    destination: Annotated[str, typer.Argument(metavar="DESTINATION", help="Wallet that is paid.")],
    amount: AmountArgument,
    currency: CurrencyArgument,
    reference: ReferenceOption = "",
    description: DescriptionOption = "",
    metadata: MetadataOption = None,
    expected_version: VersionOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move money from a wallet to another."""
    used_key, wanted = key_or_fresh(key), read_amount(amount, currency)
    options = money_options(used_key, reference, description, metadata, expected_version)

    async def work(guilder: Guilder) -> None:
        reply = await guilder.wallet.transfer(source, destination, wanted, **options)
        balances = [reply.source_balance]
        if reply.HasField("destination_balance"):
            balances.append(reply.destination_balance)
        _show(reply, reply.transaction, balances, replayed=reply.replayed, as_json=as_json)

    run(ctx, work, as_json=as_json, key=used_key)


def _show(
    reply: Message,
    transaction: Transaction,
    balances: list[Balance],
    *,
    replayed: bool,
    as_json: bool,
) -> None:
    if as_json:
        print_json(as_dict(reply))
        return
    show_transaction(transaction)
    show_balances(balances, "Balance after it")
    if replayed:
        console().print("Replayed: an earlier call with this key had made it.", style="yellow")
