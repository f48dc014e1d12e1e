"""The commands of notify: ``python -m notify serve | migrate``."""

import uvloop

from notify.settings import Settings, load
from notify.store import bootstrap
from walletkit.command import choose, run
from walletkit.telemetry import log

COMMANDS = {
    "serve": "take in records, answer calls, deliver events",
    "migrate": "create what is missing of database and schema",
}


def main() -> None:
    """Run one command; exit with 2 when the environment is not right."""
    command, settings = choose("notify", __doc__, COMMANDS, load)
    log.setup(settings.log_level, "notify")
    _run(command, settings)


def _run(command: str, settings: Settings) -> None:
    if command == "migrate":
        uvloop.run(bootstrap.bootstrap(settings.database_url))
        return
    from notify import wiring  # noqa: PLC0415  # migrate needs neither gRPC nor Redis

    run(wiring.serve(settings), "notify", settings)


if __name__ == "__main__":
    main()
