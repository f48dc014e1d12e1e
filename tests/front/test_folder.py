"""The folder that an Envoy of another image starts from, and the program that has it drain."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from guilder.wallet.v1 import wallet_service_pb2
from walletkit.stack import issuer
from walletkit.stack.settings import free_ports

ENVOY = str(Path(sys.executable).parent / "envoy")
DESCRIPTORS = Path(wallet_service_pb2.__file__).parents[3] / "guilder.binpb"
LIMIT_S = 30


@contextmanager
def started(*argv: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program, and end it."""
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=folder, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def stopped(neighbour: subprocess.Popen[str]) -> int:
    """Stop the program that drains, as soon as it waits for that, and return its exit code."""
    assert neighbour.stdout is not None
    assert neighbour.stdout.readline() == "waiting for a stop\n"
    neighbour.send_signal(signal.SIGTERM)
    return neighbour.wait(LIMIT_S)


def get(port: int, path: str) -> tuple[int, str]:
    """Ask over HTTP until there is somebody who answers."""
    until = time.monotonic() + LIMIT_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        finally:
            connection.close()


def configured(folder: Path, port: int, metrics: int) -> Path:
    """Have the folder written, with descriptors that are gone afterwards."""
    source = folder / "source"
    source.mkdir()
    for name in ("guilder.binpb", "openapi.json"):
        (source / name).write_bytes(DESCRIPTORS.with_name(name).read_bytes())
    keys = issuer.made(folder).jwks
    environment = {
        "FRONT_LISTEN": f"127.0.0.1:{port}",
        "FRONT_METRICS_ADDRESS": f"127.0.0.1:{metrics}",
        "FRONT_ADMIN": "unix:admin.sock",
        "FRONT_DESCRIPTORS": str(source / "guilder.binpb"),
        "FRONT_AUTH_JWKS": str(keys),
        "FRONT_WALLET_ADDRESS": "127.0.0.1:1",
        "FRONT_LEDGER_ADDRESS": "127.0.0.1:1",
        "FRONT_NOTIFY_ADDRESS": "127.0.0.1:1",
    }
    command = (sys.executable, "-m", "walletkit.front", "--into", str(folder / "envoy"))
    subprocess.run(command, env={**os.environ, **environment}, check=True, timeout=LIMIT_S)
    for path in source.iterdir():
        path.unlink()
    return folder / "envoy" / "envoy.json"


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
def test_envoy_needs_the_folder_alone_and_drains_when_its_neighbour_is_stopped(
    tmp_path: Path, path: str
) -> None:
    """It serves the documents and its metrics, and nothing else of its admin interface.

    After SIGTERM to the program beside it its health is bad, so that balancers send nobody more.
    """
    port, metrics = free_ports(2)
    configuration = configured(tmp_path, port, metrics)
    envoy = (ENVOY, "-c", str(configuration), "--concurrency", "1", "--disable-hot-restart")
    neighbour = (sys.executable, "-m", "walletkit.front.drain", "admin.sock")
    with started(*envoy, "-l", "error", folder=tmp_path):
        assert get(port, path)[0] == 200
        assert get(port, "/healthz")[0] == 200
        assert "envoy_server_live{} 1" in get(metrics, "/metrics")[1]
        assert get(metrics, "/quitquitquit")[0] == 404
        with started(*neighbour, folder=tmp_path) as drain:
            assert stopped(drain) == 0
        assert get(port, "/healthz")[0] == 503


def test_draining_says_when_nobody_answers(tmp_path: Path) -> None:
    """Somebody who looks into the log of a stop that was not gentle finds why."""
    command = (sys.executable, "-m", "walletkit.front.drain", "nobody.sock")
    with started(*command, folder=tmp_path) as drain:
        assert stopped(drain) == 1
        assert drain.stderr is not None
        assert "try 5 of 5" in drain.stderr.read()
