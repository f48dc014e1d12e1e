"""Ask a process whether it is ready. A probe returns quietly, or raises NotReadyError.

Each takes the process's pid last, which only the probe of one that does not listen needs.
"""

import signal
import subprocess
from pathlib import Path

import grpc
import redis
from grpc_health.v1 import health_pb2

from walletkit.stack.process import program
from walletkit.stack.settings import LOOPBACK

PROBE_TIMEOUT_SECONDS = 2.0


class NotReadyError(Exception):
    """The process does not answer yet, or answers that it can't serve."""


def database(port: int, _pid: int) -> None:
    """Run a statement by the way that the services use: TCP on loopback, no password."""
    run_sql(port, "SELECT 1")


def run_sql(port: int, statement: str) -> str:
    """Run SQL with the client program and return its rows, tab-separated, without a heading."""
    command = [program("mariadb"), "--no-defaults", "--protocol=tcp", f"--host={LOOPBACK}"]
    command += [f"--port={port}", "--user=root", "--batch", "--skip-column-names"]
    try:
        done = subprocess.run(
            command,
            input=statement,
            capture_output=True,
            timeout=PROBE_TIMEOUT_SECONDS * 15,
            check=True,
            text=True,
        )
    except subprocess.CalledProcessError as error:
        raise NotReadyError(error.stderr.strip()) from error
    except subprocess.TimeoutExpired as error:
        raise NotReadyError("no answer to a statement in time") from error
    return done.stdout


def redis_server(port: int, _pid: int) -> None:
    """Send PING; while Redis still loads its file it answers with an error, which is not ready."""
    client = redis.Redis(
        host=LOOPBACK,
        port=port,
        socket_timeout=PROBE_TIMEOUT_SECONDS,
        socket_connect_timeout=PROBE_TIMEOUT_SECONDS,
    )
    try:
        client.ping()
    except redis.RedisError as error:
        raise NotReadyError(str(error)) from error
    finally:
        client.close()


def grpc_health(port: int, _pid: int) -> None:
    """Check the overall health of a service; anything but SERVING is not ready."""
    with grpc.insecure_channel(f"{LOOPBACK}:{port}") as channel:
        # Called by name: the stub that is installed has no types.
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            reply = check(health_pb2.HealthCheckRequest(), timeout=PROBE_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            raise NotReadyError(str(error.details())) from error
    if reply.status != health_pb2.HealthCheckResponse.SERVING:
        status = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
        raise NotReadyError(f"health is {status}")


def handles_sigterm(pid: int) -> None:
    """Accept a process that listens nowhere once it can stop gracefully.

    A process of ours installs that handler when its settings are read and its work begins.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise NotReadyError("it has ended") from error
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    if not int(caught, 16) >> (signal.SIGTERM - 1) & 1:
        raise NotReadyError("it is still starting")
