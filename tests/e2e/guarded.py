"""Services and relay as processes that require credentials, on databases of a test's own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2

from tests.conftest import FreshDatabases
from walletkit.stack import issuer
from walletkit.stack.settings import free_ports

START_S = 120.0
CALL_S = 20.0
SERVICES = ("wallet", "ledger", "notify")
RECONNECT = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500))
"""Services take a while to start, and channels wait ever longer."""
INTERNAL_SUBJECT = "guilder-services"


@dataclass
class Guarded:
    """What runs: where, whose tokens it believes, and how its ports are reached."""

    ports: Mapping[str, int]
    issuer: issuer.Issuer
    logs: Path
    credentials: grpc.ChannelCredentials | None
    secrets: list[str] = field(default_factory=list)
    """Every token that was shown to it."""
    tls: dict[str, str] = field(default_factory=dict)
    """Variables of the command line, where a certificate is needed."""

    def channel(self, name: str) -> grpc.Channel:
        """Open a channel as a client would, with a certificate where one is needed."""
        address = f"127.0.0.1:{self.ports[name]}"
        if self.credentials is None:
            return grpc.insecure_channel(address, RECONNECT)
        return grpc.secure_channel(address, self.credentials, RECONNECT)

    def token(self, *roles: str, account: str = "") -> tuple[tuple[str, str], ...]:
        """Sign a token; return the metadata that carries it."""
        return self.carrying(self.issuer.sign("tester", roles, account_id=account))

    def carrying(self, token: str) -> tuple[tuple[str, str], ...]:
        """Return the metadata that carries a token, and note it."""
        self.secrets.append(token)
        return (("authorization", f"Bearer {token}"),)

    def proves(self, role: str) -> bool:
        """Tell whether `guilder verify` ends well with a role, called as by the chart's job."""
        token = self.logs / f"{role}.token"
        token.write_text(self.issuer.sign("verify", (role,)), encoding="utf-8")
        self.secrets.append(token.read_text(encoding="utf-8"))
        addresses = {
            f"GUILDER_{name.upper()}_ADDRESS": f"127.0.0.1:{self.ports[name]}"
            for name in ("wallet", "ledger")
        }
        done = subprocess.run(
            [sys.executable, "-P", "-m", "guilder.cli", "verify", "--wait-lag", f"{CALL_S}"],
            env={**os.environ, **addresses, **self.tls, "GUILDER_TOKEN_FILE": str(token)},
            capture_output=True,
            timeout=START_S,
            check=False,
        )
        assert done.returncode in {0, 1}, done.stderr
        return done.returncode == 0

    def logged(self) -> str:
        """Return all that was logged."""
        return "\n".join(path.read_text(encoding="utf-8") for path in self.logs.glob("*.log"))


def environment(
    databases: FreshDatabases, ports: Mapping[str, int], made: issuer.Issuer
) -> dict[str, str]:
    """Write the variables of all services, but for how they call each other."""
    addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    auth = {
        f"{name.upper()}_AUTH_{key}": value
        for name in SERVICES
        for key, value in {
            "ISSUER": issuer.NAME,
            "JWKS": str(made.jwks),
            "INTERNAL_ISSUER": issuer.NAME,
            "INTERNAL_SUBJECTS": INTERNAL_SUBJECT,
        }.items()
    }
    return {
        **auth,
        **{f"WALLET_SHARD_{n}_URL": url for n, url in enumerate(databases.shards)},
        **{f"{name.upper()}_LISTEN": address for name, address in addresses.items()},
        "WALLET_LEDGER_ADDRESS": addresses["ledger"],
        "WALLET_NOTIFY_ADDRESS": addresses["notify"],
        "LEDGER_DATABASE_URL": databases.ledger,
        "LEDGER_WALLET_ADDRESS": addresses["wallet"],
        "NOTIFY_DATABASE_URL": databases.notify,
        "NOTIFY_REDIS_URL": databases.redis,
    }


@contextmanager
def running(
    databases: FreshDatabases,
    folder: Path,
    more: Mapping[str, str],
    credentials: grpc.ChannelCredentials | None = None,
) -> Iterator[Guarded]:
    """Migrate, start the services and the relay, wait until they serve; end all of them."""
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    made = issuer.made(folder)
    variables = {**environment(databases, ports, made), **more}
    guarded = Guarded(ports, made, folder, credentials)
    migrations = [_start(name, "migrate", variables, folder) for name in SERVICES]
    assert not any(code for code in (one.wait(START_S) for one in migrations)), guarded.logged()
    commands = [(name, "serve") for name in SERVICES] + [("wallet", "relay")]
    started = [_start(*command, variables, folder) for command in commands]
    try:
        for name in SERVICES:
            _wait_serving(guarded, name)
        yield guarded
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(START_S)


def _start(
    package: str, command: str, variables: Mapping[str, str], folder: Path
) -> subprocess.Popen[bytes]:
    prefix = f"{package.upper()}_"
    own = {name: value for name, value in variables.items() if name.startswith(prefix)}
    rest = {n: v for n, v in os.environ.items() if n.partition("_")[0].lower() not in SERVICES}
    with (folder / f"{package}-{command}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", package, command],
            env={**rest, **own, "PYTHONUNBUFFERED": "1"},
            stdout=log,
            stderr=log,
        )


def _wait_serving(guarded: Guarded, name: str) -> None:
    """Ask for health, which needs no token."""
    deadline = time.monotonic() + START_S
    with guarded.channel(name) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        while True:
            try:
                reply = check(health_pb2.HealthCheckRequest(), timeout=2)
            except grpc.RpcError:
                reply = health_pb2.HealthCheckResponse()
            if reply.status == health_pb2.HealthCheckResponse.SERVING:
                return
            assert time.monotonic() < deadline, guarded.logged()
            time.sleep(0.1)
