"""The commands of the ledger: ``python -m ledger serve | migrate | export | check-export``."""

import argparse
import sys
from pathlib import Path

import uvloop

from ledger.export import command as export
from ledger.settings import Settings, load
from ledger.store import bootstrap
from walletkit.command import parser_of, run, settings_of
from walletkit.sql.session import UnsafeServerError
from walletkit.telemetry import log

COMMANDS = {
    "serve": "answer calls",
    "migrate": "create what is missing of database, schema and partitions",
    "export": "write a closed month to files, for who has to keep it",
    "check-export": "check exported months from their files alone",
}


def main() -> None:
    """Run one command; exit with 2 when an option or the environment is not right."""
    parser, commands = parser_of("ledger", __doc__, COMMANDS)
    export.add_options(commands["export"])
    export.add_check_options(commands["check-export"])
    options = parser.parse_args()
    if options.command == "check-export":
        # It needs files alone: whoever checks has neither the database nor its settings.
        sys.exit(export.check_told(options.folders))
    settings = settings_of(load)
    log.setup(settings.log_level, "ledger")
    _run(options, settings)


def _run(options: argparse.Namespace, settings: Settings) -> None:
    if options.command == "migrate":
        uvloop.run(bootstrap.bootstrap(settings.database_url))
        return
    from ledger import wiring  # noqa: PLC0415  # migrate needs no gRPC

    if options.command == "export":
        into: Path = options.into
        sys.exit(export.taken_told(lambda: wiring.export(settings, options.month, into)))
    try:
        run(wiring.serve(settings), "ledger", settings)
    except UnsafeServerError as error:
        sys.exit(f"refused: {error}")


if __name__ == "__main__":
    main()
