"""The commands of the wallet service: ``python -m wallet serve | relay | migrate``."""

import sys

import uvloop

from wallet.settings import Settings, load
from wallet.store import bootstrap
from walletkit.command import choose, run
from walletkit.rpc.workers import run_workers
from walletkit.telemetry import log

COMMANDS = {
    "serve": "answer calls",
    "relay": "stream every shard's outbox to ledger and notify",
    "migrate": "create what is missing of databases, schema, partitions and slots",
}


def main() -> None:
    """Run one command; exit with 2 when the environment is not right."""
    command, settings = choose("wallet", __doc__, COMMANDS, load)
    log.setup(settings.log_level, "wallet-relay" if command == "relay" else "wallet")
    _run(command, settings)


def _run(command: str, settings: Settings) -> None:
    if command == "migrate":
        try:
            uvloop.run(bootstrap.bootstrap(settings.shard_urls))
        except bootstrap.BootstrapError as error:
            sys.exit(f"refused: {error}")
        return
    from wallet import wiring  # noqa: PLC0415  # migrate needs neither gRPC nor the engine

    if command == "serve" and settings.workers > 1:
        worker = (sys.executable, "-P", "-m", "wallet", "serve")
        sys.exit(uvloop.run(run_workers(settings.workers, worker, {"WALLET_WORKERS": "1"})))
    run(wiring.serve(settings) if command == "serve" else wiring.relay(settings))


if __name__ == "__main__":
    main()
