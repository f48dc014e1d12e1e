"""Put the command groups together, and read what all of them share: addresses and deadline."""

from typing import Annotated

import typer

from guilder.cli import (
    account,
    assets,
    audit,
    auth,
    batch,
    books,
    demo,
    entries,
    hold,
    importing,
    money,
    reconcile,
    statement,
    tail,
    transaction,
    verify,
    wallet,
)
from guilder.cli.session import EXIT_CODES, Session
from guilder.client import Addresses
from walletkit.rpc.bearer import pair_of

_DEFAULTS = Addresses()

app = typer.Typer(
    name="guilder",
    help="Move money, look at it, and prove the books.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for group, name in (
    (wallet, "wallet"),
    (account, "account"),
    (hold, "hold"),
    (transaction, "transaction"),
    (books, "books"),
    (assets, "assets"),
    (auth, "auth"),
    (audit, "audit"),
):
    app.add_typer(group.app, name=name)
for commands in (money.app, hold.top, batch.app, statement.app, entries.app, tail.app):
    # Without a name its commands stand at the top.
    app.add_typer(commands)
app.command("import", epilog=EXIT_CODES)(importing.import_file)
app.command(epilog=EXIT_CODES)(verify.verify)
app.add_typer(reconcile.app)
app.command(epilog=EXIT_CODES)(demo.demo)


def _check_token(token: str | None) -> str | None:
    """Refuse what can't be sent, without showing it; an empty one is none."""
    try:
        if token:
            pair_of(token)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return token or None


@app.callback()
def configure(
    ctx: typer.Context,
    wallet_address: Annotated[
        str, typer.Option(envvar="GUILDER_WALLET_ADDRESS", help="host:port of the wallet service.")
    ] = _DEFAULTS.wallet,
    ledger_address: Annotated[
        str, typer.Option(envvar="GUILDER_LEDGER_ADDRESS", help="host:port of the ledger.")
    ] = _DEFAULTS.ledger,
    notify_address: Annotated[
        str, typer.Option(envvar="GUILDER_NOTIFY_ADDRESS", help="host:port of notify.")
    ] = _DEFAULTS.notify,
    edge_address: Annotated[
        str, typer.Option(envvar="GUILDER_EDGE_ADDRESS", help="host:port of edge.")
    ] = _DEFAULTS.edge,
    timeout: Annotated[
        float,
        typer.Option(
            envvar="GUILDER_TIMEOUT_SECONDS",
            min=0.1,
            max=600,
            help="Deadline of each call in seconds; a call that is safe to repeat is tried again.",
        ),
    ] = 10.0,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="GUILDER_TOKEN",
            show_envvar=True,
            callback=_check_token,
            help="What proves who you are; better given by the variable, which no list of"
            " processes shows. For the local suite: `guilder auth token`.",
        ),
    ] = None,
) -> None:
    """Move money, look at it, and prove the books."""
    addresses = Addresses(wallet_address, ledger_address, notify_address, edge_address)
    ctx.obj = Session(addresses, timeout, token)
