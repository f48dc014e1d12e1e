"""Put the command groups together, and read what all of them share: addresses and deadline."""

from typing import Annotated

import typer

from guilder.cli import demo, importing, money, statement, transaction, verify, wallet
from guilder.cli.session import Session
from guilder.client import Addresses

EXIT_CODES = (
    "Exit codes: 0 done · 1 a difference, a decline or another error · 2 a malformed request · "
    "3 a service is unavailable: run it again, with the same key · 130 interrupted."
)

_DEFAULTS = Addresses()

app = typer.Typer(
    name="guilder",
    help="Move money, look at it, and prove the books.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(wallet.app, name="wallet")
app.add_typer(transaction.app, name="transaction")
app.command(epilog=EXIT_CODES)(money.deposit)
app.command(epilog=EXIT_CODES)(money.withdraw)
app.command(epilog=EXIT_CODES)(money.transfer)
app.command(epilog=EXIT_CODES)(statement.statement)
app.command(epilog=EXIT_CODES)(verify.verify)
app.command("import", epilog=EXIT_CODES)(importing.import_file)
app.command(epilog=EXIT_CODES)(demo.demo)


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
    timeout: Annotated[
        float,
        typer.Option(
            envvar="GUILDER_TIMEOUT_SECONDS",
            min=0.1,
            max=600,
            help="Deadline of each call in seconds; a call that is safe to repeat is tried again.",
        ),
    ] = 10.0,
) -> None:
    """Move money, look at it, and prove the books."""
    addresses = Addresses(wallet_address, ledger_address, notify_address)
    ctx.obj = Session(addresses, timeout)
