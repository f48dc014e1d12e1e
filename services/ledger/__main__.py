"""The commands of the ledger: ``python -m ledger serve | migrate``."""

import sys

import uvloop

from ledger.settings import Settings, load
from ledger.store import bootstrap
from walletkit.command import choose, run
from walletkit.sql.session import UnsafeServerError
from walletkit.telemetry import log

COMMANDS = {
    "serve": "answer calls",
    "migrate": "create what is missing of database, schema and partitions",
}


def main() -> None:
    """Run one command; exit with 2 when the environment is not right."""
    command, settings = choose("ledger", __doc__, COMMANDS, load)
    log.setup(settings.log_level, "ledger")
    _run(command, settings)


def _run(command: str, settings: Settings) -> None:
    if command == "migrate":
        uvloop.run(bootstrap.bootstrap(settings.database_url))
        return
    from ledger import wiring  # noqa: PLC0415  # migrate needs no gRPC

    try:
        run(wiring.serve(settings), "ledger", settings)
    except UnsafeServerError as error:
        sys.exit(f"refused: {error}")


if __name__ == "__main__":
    main()
