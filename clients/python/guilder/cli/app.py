"""Put the command groups together, and read what all of them share: addresses, deadline, access."""

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
    doctor,
    entries,
    hold,
    importing,
    money,
    reconcile,
    statement,
    tail,
    top,
    transaction,
    verify,
    wallet,
)
from guilder.cli.access import (
    ApiKeyOption,
    CaOption,
    CertOption,
    KeyOption,
    TlsOption,
    TokenFileOption,
    TokenOption,
    access_of,
    tls_of,
)
from guilder.cli.session import EXIT_CODES, Session
from guilder.client import Addresses

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
app.command(epilog=EXIT_CODES)(doctor.doctor)
app.command(epilog=EXIT_CODES)(top.top)


@app.callback()
def configure(  # noqa: PLR0913, PLR0917  # these are the options that all commands share
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
    address: Annotated[
        str,
        typer.Option(
            envvar="GUILDER_ADDRESS",
            help="host:port of Envoy, in place of the services' own: for what is public.",
        ),
    ] = "",
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    api_key: ApiKeyOption = None,
    tls: TlsOption = False,  # noqa: FBT002  # a flag
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
) -> None:
    """Move money, look at it, and prove the books."""
    addresses = Addresses(wallet_address, ledger_address, notify_address, edge_address)
    encryption = tls_of(wanted=tls, ca=tls_ca, cert=tls_cert, key=tls_key)
    access = access_of(token, token_file, api_key, encryption)
    ctx.obj = Session(Addresses.behind(address) if address else addresses, timeout, access)
