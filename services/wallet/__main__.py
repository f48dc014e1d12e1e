"""The commands of the wallet service: ``python -m wallet serve | relay | migrate``."""

import sys

import uvloop

from wallet.settings import Settings, load
from wallet.store import bootstrap
from walletkit.command import choose, run
from walletkit.rpc.workers import run_workers
from walletkit.telemetry import log
from walletkit.telemetry.exporter import ExporterError, exporting, worker_addresses
from walletkit.telemetry.gathering import of_workers

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

    if command == "relay":
        run(wiring.relay(settings), "relay", settings)
    elif settings.workers > 1:
        sys.exit(_run_workers(settings))
    else:
        run(wiring.serve(settings), "wallet", settings)


def _run_workers(settings: Settings) -> int:
    """Run workers; one scrape of this process asks all of them."""
    command = (sys.executable, "-P", "-m", "wallet", "serve")
    addresses = worker_addresses(settings.workers)
    environments = [{"WALLET_WORKERS": "1"} for _ in addresses]
    if settings.metrics_address is not None:
        for environment, address in zip(environments, addresses, strict=True):
            environment["WALLET_METRICS_ADDRESS"] = address
    try:
        with exporting(settings.metrics_address, of_workers(addresses)):
            return uvloop.run(run_workers(command, environments))
    except ExporterError as error:
        sys.exit(f"refused: {error}")


if __name__ == "__main__":
    main()
