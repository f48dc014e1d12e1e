"""A second Envoy before the services of a suite, with other settings than the suite's own."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from walletkit.front import Document, bootstrap
from walletkit.stack import Stack
from walletkit.stack.envoy import answers, front_settings
from walletkit.stack.probes import NotReadyError
from walletkit.stack.settings import LOOPBACK, free_ports

READY_S = 30.0
STOP_S = 10.0
DRAIN_S = 3
"""How long connections are asked to leave for."""
ENVOY = str(Path(sys.executable).parent / "envoy")


def configuration(
    suite: Stack, *, documents: Sequence[Document] = (), **changes: object
) -> dict[str, Any]:
    """Return the configuration of the suite's Envoy with some settings changed."""
    settings = front_settings(suite.settings).model_copy(update=changes)
    return bootstrap(settings, documents)


@asynccontextmanager
async def envoy(
    suite: Stack, folder: Path, *, documents: Sequence[Document] = (), **changes: object
) -> AsyncIterator[str]:
    """Run an Envoy with some settings changed; yield where it listens."""
    (port,) = free_ports(1)
    made = configuration(suite, documents=documents, listen=f"{LOOPBACK}:{port}", **changes)
    url = f"{'https' if changes.get('tls_cert') else 'http'}://{LOOPBACK}:{port}"
    async with running(made, folder, url):
        yield url


@asynccontextmanager
async def running(made: dict[str, Any], folder: Path, url: str) -> AsyncIterator[None]:
    """Run an Envoy of a configuration that listens at a URL until the block ends."""
    (folder / "envoy.json").write_text(json.dumps(made), encoding="utf-8")
    with (folder / "envoy.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(ENVOY, "-c", "envoy.json", "--concurrency", "1", "--disable-hot-restart"),
            *("--file-flush-interval-msec", "100", "--drain-time-s", str(DRAIN_S)),
            cwd=folder,
            stdout=log,
            stderr=log,
        )
        try:
            await asyncio.wait_for(_ready(url, process), READY_S)
            yield
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), STOP_S)


def valid(made: dict[str, Any], folder: Path) -> str:
    """Have Envoy read a configuration, and return what it says against it."""
    path = folder / "envoy.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    done = subprocess.run(
        [ENVOY, "--mode", "validate", "-c", str(path)], capture_output=True, text=True, check=False
    )
    worse = [line for line in done.stderr.splitlines() if '"level":"info"' not in line]
    return "" if done.returncode == 0 and not worse else "\n".join(worse)


async def _ready(url: str, process: asyncio.subprocess.Process) -> None:
    while True:
        assert process.returncode is None, "Envoy has ended: see its log"
        try:
            await asyncio.to_thread(answers, url, process.pid)
        except NotReadyError:
            await asyncio.sleep(0.05)
        else:
            return
