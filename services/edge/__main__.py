"""The commands of edge: ``python -m edge serve | migrate | jwks``."""

import json
import sys

import uvloop

from edge.settings import Settings, load
from edge.store import bootstrap
from walletkit.command import USAGE_ERROR, choose, run
from walletkit.settings import SettingsError
from walletkit.telemetry import log

COMMANDS = {
    "serve": "answer Envoy, and give out keys",
    "migrate": "create what is missing of database and schema",
    "jwks": "print the public key that services check edge's tokens with",
}


def main() -> None:
    """Run one command; exit with 2 when the environment is not right."""
    command, settings = choose("edge", __doc__, COMMANDS, load)
    log.setup(settings.log_level, "edge")
    try:
        _run(command, settings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(USAGE_ERROR)


def _print_jwks(settings: Settings) -> None:
    from edge.access.issuer import SigningKey  # noqa: PLC0415  # migrate needs no cryptography

    jwks = SigningKey.read(settings.signing_key_file).jwks()
    sys.stdout.write(json.dumps(jwks, indent=2) + "\n")


def _run(command: str, settings: Settings) -> None:
    if command == "jwks":
        _print_jwks(settings)
        return
    if command == "migrate":
        uvloop.run(bootstrap.bootstrap(settings.database_url))
        return
    from edge import wiring  # noqa: PLC0415  # migrate needs neither gRPC nor Redis

    run(wiring.serve(settings), "edge", settings)


if __name__ == "__main__":
    main()
