"""The services and the relay: command lines and environment; and the migrations before them."""

import sys
from collections.abc import Mapping
from functools import partial

from walletkit.stack import edge, issuer, probes
from walletkit.stack.process import Spec
from walletkit.stack.settings import LOOPBACK, MEASURED, StackSettings

LEDGER = "ledger"
NOTIFY = "notify"
EDGE = "edge"
WALLET = "wallet"
RELAY = "relay"
MIGRATIONS = (WALLET, LEDGER, NOTIFY, EDGE)


def specs(settings: StackSettings) -> list[Spec]:
    """List the services in the order in which they start."""
    ledger, notify, wallet = settings.ledger_port, settings.notify_port, settings.wallet_port
    return [
        _service(settings, LEDGER, (LEDGER, "serve"), ledger),
        _service(settings, NOTIFY, (NOTIFY, "serve"), notify),
        _service(settings, WALLET, (WALLET, "serve"), wallet),
        _service(settings, EDGE, (EDGE, "serve"), settings.edge_port),
        _service(settings, RELAY, (WALLET, "relay"), None),
    ]


def migrations(settings: StackSettings) -> list[Spec]:
    """List the commands that bring the schemas up to date; each ends by itself."""
    return [
        _service(settings, f"{package}-migrate", (package, "migrate"), None)
        for package in MIGRATIONS
    ]


def environment(settings: StackSettings) -> dict[str, str]:
    """Return the variables of all services: the prefixes keep them apart."""
    shards = {
        f"WALLET_SHARD_{number}_URL": database_url(port, f"wallet_{number}")
        for number, port in enumerate(settings.shard_ports)
    }
    weak = (
        {}
        if settings.binlog
        else {f"{service.upper()}_ALLOW_WEAK_DURABILITY": "true" for service in MIGRATIONS}
    )
    return {
        **shards,
        **weak,
        **_auth(settings),
        **_traces(settings),
        "WALLET_LISTEN": f"{LOOPBACK}:{settings.wallet_port}",
        "WALLET_WORKERS": str(settings.wallet_workers),
        "WALLET_LEDGER_ADDRESS": f"{LOOPBACK}:{settings.ledger_port}",
        "WALLET_NOTIFY_ADDRESS": f"{LOOPBACK}:{settings.notify_port}",
        "WALLET_LOG_LEVEL": settings.log_level,
        "LEDGER_LISTEN": f"{LOOPBACK}:{settings.ledger_port}",
        "LEDGER_DATABASE_URL": database_url(settings.books_port, LEDGER),
        "LEDGER_WALLET_ADDRESS": f"{LOOPBACK}:{settings.wallet_port}",
        "LEDGER_LOG_LEVEL": settings.log_level,
        "NOTIFY_LISTEN": f"{LOOPBACK}:{settings.notify_port}",
        "NOTIFY_DATABASE_URL": database_url(settings.books_port, NOTIFY),
        "NOTIFY_REDIS_URL": redis_url(settings),
        "NOTIFY_ALLOW_PRIVATE_TARGETS": str(settings.allow_private_targets).lower(),
        "NOTIFY_LOG_LEVEL": settings.log_level,
        **edge.environment(settings, database_url(settings.books_port, EDGE), redis_url(settings)),
    }


def _auth(settings: StackSettings) -> dict[str, str]:
    """Trust what calls on loopback without a token, and know the tokens of the suite's issuers."""
    jwks = (issuer.Issuer(settings.run_dir / issuer.FOLDER).jwks, edge.jwks(settings.run_dir))
    return {
        f"{service.upper()}_AUTH_{name}": value
        for service in MIGRATIONS
        for name, value in (
            ("MODE", "trusted"),
            ("ISSUER", f"{issuer.NAME},{edge.ISSUER}"),
            ("AUDIENCE", issuer.AUDIENCE),
            ("JWKS", ",".join(map(str, jwks))),
        )
    }


def _traces(settings: StackSettings) -> dict[str, str]:
    if not settings.trace_address:
        return {}
    return {
        f"{service.upper()}_TRACE_{name}": value
        for service in MIGRATIONS
        for name, value in (
            ("ENDPOINT", f"http://{settings.trace_address}"),
            ("RATIO", str(settings.trace_ratio)),
        )
    }


def database_url(port: int, database: str) -> str:
    """Return the URL of a database on a local server."""
    return f"mysql://root@{LOOPBACK}:{port}/{database}"


def redis_url(settings: StackSettings) -> str:
    """Return the URL of the local Redis."""
    return f"redis://{LOOPBACK}:{settings.redis_port}/0"


def _service(
    settings: StackSettings, name: str, arguments: tuple[str, ...], port: int | None
) -> Spec:
    return Spec(
        name=name,
        # -P: what lies in the working folder is never imported.
        argv=(sys.executable, "-P", "-m", *arguments),
        executable=sys.executable,
        folder=settings.run_dir,
        log=settings.run_dir / "log" / f"{name}.log",
        probe=probes.handles_sigterm if port is None else partial(probes.grpc_health, port),
        port=port,
        port_setting=f"GUILDER_{name.upper()}_PORT",
        env=_own(environment(settings), prefix=f"{arguments[0].upper()}_")
        | _metrics(settings, name, arguments[0]),
    )


def _metrics(settings: StackSettings, name: str, package: str) -> dict[str, str]:
    """Say where a process answers Prometheus: wallet and relay share a prefix, but no port."""
    if name not in MEASURED:
        return {}
    return {f"{package.upper()}_METRICS_ADDRESS": f"{LOOPBACK}:{settings.metrics_port(name)}"}


def _own(variables: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Keep what a service may see: it refuses to start with a variable that it does not know."""
    return {name: value for name, value in variables.items() if name.startswith(prefix)}
