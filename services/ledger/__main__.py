"""The commands of the ledger: ``python -m ledger serve | migrate``."""

import argparse
import sys

import uvloop

from ledger.settings import Settings, SettingsError, load
from ledger.store import bootstrap
from walletkit.telemetry import log

COMMANDS = {
    "serve": "answer calls",
    "migrate": "create what is missing of database, schema and partitions",
}


def main() -> None:
    """Run one command; exit with 2 when the environment is not right."""
    parser = argparse.ArgumentParser(prog="ledger", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, meaning in COMMANDS.items():
        commands.add_parser(name, help=meaning)
    command = parser.parse_args().command
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    log.setup(settings.log_level, "ledger")
    _run(command, settings)


def _run(command: str, settings: Settings) -> None:
    if command == "migrate":
        uvloop.run(bootstrap.bootstrap(settings.database_url))
        return
    from ledger import wiring  # noqa: PLC0415  # migrate needs no gRPC

    uvloop.run(wiring.serve(settings))


if __name__ == "__main__":
    main()
