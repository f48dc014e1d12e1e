"""A real Prometheus that scrapes a suite every second, with the rules that the chart deploys."""

import asyncio
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.deploy.registry import PROMETHEUS
from tools.alerts_doc import RULES
from walletkit.stack import Stack
from walletkit.stack.envoy import ADMIN_SOCKET
from walletkit.stack.settings import MEASURED, free_ports

ROOT = Path(__file__).resolve().parents[2]
READY_S = 30.0
ANSWER_S = 10.0
STATISTICS = "/stats/prometheus"
TEXTFILES = "/textfiles"


class Prometheus:
    """Asks a Prometheus."""

    def __init__(self, url: str) -> None:
        """Name its address."""
        self._url = url

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression as of now; AssertionError when it does not parse."""
        said = await self._get("query?" + urllib.parse.urlencode({"query": expression}))
        found: list[dict[str, Any]] = said["data"]["result"]
        return found

    async def firing(self) -> set[str]:
        """Name the alerts that fire."""
        alerts = (await self._get("alerts"))["data"]["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    async def unhealthy(self) -> dict[str, str]:
        """Return the targets and rules that fail, with what they failed of."""
        targets = (await self._get("targets"))["data"]["activeTargets"]
        found = {one["scrapePool"]: one["lastError"] for one in targets if one["health"] != "up"}
        for group in (await self._get("rules"))["data"]["groups"]:
            found |= {r["name"]: r["lastError"] for r in group["rules"] if r["health"] != "ok"}
        return found

    async def ready(self) -> bool:
        """Tell whether it answers."""
        try:
            await asyncio.to_thread(
                urllib.request.urlopen, f"{self._url}/-/ready", timeout=ANSWER_S
            )
        except OSError:
            # That it is not ready yet is an answer, and an error of this kind, too.
            return False
        return True

    async def _get(self, path: str) -> Any:  # noqa: ANN401  # JSON of many shapes
        return await asyncio.to_thread(self._read, f"{self._url}/api/v1/{path}")

    def _read(self, url: str) -> Any:  # noqa: ANN401  # as above
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_S) as reply:  # noqa: S310  # loopback
                return json.load(reply)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{url}: {error.read().decode()}") from error


@asynccontextmanager
async def scraping(suite: Stack, folder: Path) -> AsyncIterator[Prometheus]:
    """Run it during a block, its data in a folder; what ends in .prom there is scraped, too."""
    port, envoy_port = free_ports(2)
    configuration = folder / "prometheus.json"
    configuration.write_text(json.dumps(_configuration(suite, envoy_port)), "utf-8")
    options = [
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    async with _statistics(suite, envoy_port, folder):
        with (folder / "prometheus.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                PROMETHEUS, *options, stdout=log, stderr=log
            )
        try:
            asked = Prometheus(f"http://127.0.0.1:{port}")
            async with asyncio.timeout(READY_S):
                while not await asked.ready():
                    assert process.returncode is None, (folder / "prometheus.log").read_text(
                        "utf-8"
                    )
                    await asyncio.sleep(0.2)
            yield asked
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), READY_S)


def _configuration(suite: Stack, envoy_port: int) -> dict[str, Any]:
    """Return JSON, which is YAML."""
    ports = {name: suite.settings.metrics_port(name) for name in MEASURED}
    jobs: list[dict[str, Any]] = [
        {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        for name, port in ports.items()
    ]
    envoy = {"targets": [f"127.0.0.1:{envoy_port}"]}
    for job, path in (("envoy", STATISTICS), ("node", TEXTFILES)):
        jobs.append({"job_name": job, "metrics_path": path, "static_configs": [envoy]})
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / RULES)],
        "scrape_configs": jobs,
    }


@asynccontextmanager
async def _statistics(suite: Stack, port: int, textfiles: Path) -> AsyncIterator[None]:
    """Show Envoy's statistics on a port, as here its admin interface is a socket; and files.

    Of these node_exporter's textfile collector shows no more than what is in them.
    """
    folder = os.open(suite.settings.run_dir, os.O_RDONLY)
    # By the folder's descriptor: the path itself may be longer than a socket's may be.
    connector = aiohttp.UnixConnector(f"/proc/self/fd/{folder}/{ADMIN_SOCKET}")
    async with aiohttp.ClientSession(connector=connector) as admin:

        async def show(_request: web.Request) -> web.Response:
            async with admin.get(f"http://envoy{STATISTICS}") as reply:
                return web.Response(text=await reply.text())

        async def collect(_request: web.Request) -> web.Response:
            return web.Response(text=await asyncio.to_thread(_collected, textfiles))

        app = web.Application()
        app.router.add_get(STATISTICS, show)
        app.router.add_get(TEXTFILES, collect)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            yield
        finally:
            await runner.cleanup()
            os.close(folder)


def _collected(folder: Path) -> str:
    return "".join(path.read_text("utf-8") for path in sorted(folder.glob("*.prom")))
