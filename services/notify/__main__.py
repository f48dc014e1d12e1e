"""The commands of notify: ``python -m notify serve | migrate``."""

import argparse
import sys

import uvloop

from notify.settings import Settings, SettingsError, load
from notify.store import bootstrap
from walletkit.telemetry import log

COMMANDS = {
    "serve": "take in records, answer calls, deliver events",
    "migrate": "create what is missing of database and schema",
}


def main() -> None:
    """Run one command; exit with 2 when the environment is not right."""
    parser = argparse.ArgumentParser(prog="notify", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, meaning in COMMANDS.items():
        commands.add_parser(name, help=meaning)
    command = parser.parse_args().command
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    log.setup(settings.log_level, "notify")
    _run(command, settings)


def _run(command: str, settings: Settings) -> None:
    if command == "migrate":
        uvloop.run(bootstrap.bootstrap(settings.database_url))
        return
    from notify import wiring  # noqa: PLC0415  # migrate needs neither gRPC nor Redis

    uvloop.run(wiring.serve(settings))


if __name__ == "__main__":
    main()
