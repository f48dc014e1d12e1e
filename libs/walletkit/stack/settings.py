"""Settings of the local suite, from the environment (prefix GUILDER_); no I/O but free ports."""

import secrets
import socket
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

LOOPBACK = "127.0.0.1"
# Below the kernel's range for outgoing connections, which could take a port between its choice and
# its use.
FREE_PORTS = range(20_000, 32_000)
FREE_PORT_TRIES = 1_000

MEASURED = ("wallet", "ledger", "notify", "edge", "relay")
"""What has metrics."""

Port = Annotated[int, Field(ge=1, le=65_535)]


def _split(value: object) -> object:
    """Read `13306,13307`: pydantic-settings would want JSON for a tuple."""
    return tuple(value.split(",")) if isinstance(value, str) else value


def _absolute(path: Path) -> Path:
    return path.expanduser().resolve()


class StackSettings(BaseSettings):
    """Ports, folders and sizes of one suite. Two suites run side by side when these differ."""

    model_config = SettingsConfigDict(env_prefix="GUILDER_", frozen=True, validate_default=True)

    run_dir: Annotated[Path, AfterValidator(_absolute)] = Path(".run")
    shard_ports: Annotated[
        tuple[Port, ...], NoDecode, BeforeValidator(_split), Field(min_length=1, max_length=64)
    ] = (13_306, 13_307)
    books_port: Port = 13_308
    redis_port: Port = 16_379
    wallet_port: Port = 50_051
    ledger_port: Port = 50_052
    notify_port: Port = 50_053
    envoy_port: Port = 8_080
    # Threads of Envoy: each is an event loop of its own, and takes its share of the connections.
    envoy_concurrency: Annotated[int, Field(ge=1, le=256)] = 1
    edge_port: Port = 50_054
    # Where each process answers Prometheus.
    wallet_metrics_port: Port = 9_101
    ledger_metrics_port: Port = 9_102
    notify_metrics_port: Port = 9_103
    edge_metrics_port: Port = 9_104
    relay_metrics_port: Port = 9_105
    wallet_workers: PositiveInt = 1
    log_level: str = "INFO"
    # Collector of spans, OTLP over gRPC, as in 127.0.0.1:4317; empty: nobody is told.
    trace_address: str = ""
    # Share of the calls that is followed there.
    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    # The demo's webhook receiver listens on loopback, which notify refuses unless told.
    allow_private_targets: bool = True

    buffer_pool_mb: PositiveInt = 512
    redo_log_mb: PositiveInt = 1_024
    # Off only to measure what it costs: without it nothing follows a shard, and the services are
    # told to serve databases that they refuse otherwise.
    binlog: bool = True
    binlog_file_mb: PositiveInt = 128
    # Nothing follows the local binlogs: they are there to cost what they cost in production.
    binlog_expire_seconds: PositiveInt = 600
    max_connections: PositiveInt = 200
    start_timeout_seconds: PositiveInt = 120
    stop_timeout_seconds: PositiveInt = 30

    @model_validator(mode="after")
    def _refuse_shared_ports(self) -> Self:
        ports = [*self.shard_ports, *(getattr(self, name) for name in self.port_names())]
        if twice := sorted({port for port in ports if ports.count(port) > 1}):
            raise ValueError(f"port {twice[0]} is given to two processes")
        return self

    def metrics_port(self, name: str) -> int:
        """Return where a service, or the relay, answers Prometheus."""
        port: int = getattr(self, f"{name}_metrics_port")
        return port

    @classmethod
    def port_names(cls) -> list[str]:
        """Name the setting of every port but the shards', which are a list."""
        return [name for name in cls.model_fields if name.endswith("_port")]

    @classmethod
    def chosen_ports(cls, shards: int) -> dict[str, Any]:
        """Choose a port that is free now for everything, as settings."""
        names = cls.port_names()
        ports = free_ports(shards + len(names))
        single = dict(zip(names, ports[shards:], strict=True))
        return {"shard_ports": tuple(ports[:shards]), **single}

    @classmethod
    def for_tests(cls, run_dir: Path, *, shards: int = 2) -> Self:
        """Return settings with free ports and small buffers, whatever the environment says."""
        return cls(
            run_dir=run_dir,
            **cls.chosen_ports(shards),
            envoy_concurrency=1,
            wallet_workers=1,
            allow_private_targets=True,
            buffer_pool_mb=64,
            redo_log_mb=64,
            binlog_file_mb=16,
        )


def free_ports(count: int) -> list[int]:
    """Choose different loopback ports that nobody listens on; OSError when there are too few."""
    chosen: set[int] = set()
    for _ in range(FREE_PORT_TRIES):
        # `secrets`, since a seeded `random` would give two test runs the same ports.
        port = secrets.choice(FREE_PORTS)
        if port_is_free(port):
            chosen.add(port)
        if len(chosen) == count:
            return list(chosen)
    raise OSError(f"fewer than {count} free ports in {FREE_PORTS}")


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that lingers in TIME_WAIT must not count as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
