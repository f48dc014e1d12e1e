"""Ask every process for its metrics, and every service for its health, side by side."""

import asyncio
import http.client
import time
from collections.abc import Mapping, Sequence

import grpc.aio
from prometheus_client.parser import text_string_to_metric_families

from guilder.cli.top.window import Frame, Labels, Samples, Told
from walletkit.rpc.health import health_of

TIMEOUT_S = 2.0
"""Of one question; who does not answer within it is shown as away."""
MAX_BYTES = 16 * 2**20
"""Of one answer."""


class Scraper:
    """Asks the same processes again and again."""

    def __init__(
        self, metrics: Mapping[str, Sequence[str]], channels: Mapping[str, grpc.aio.Channel]
    ) -> None:
        """Take the addresses of each service's metrics, and a channel to each service."""
        self._asked = [(service, one) for service, all_ in metrics.items() for one in all_]
        self._channels = channels

    async def frame(self) -> Frame:
        """Ask everybody once. Raise nothing: who is away is told as away."""
        told, health = await asyncio.gather(
            asyncio.gather(*(asyncio.to_thread(_ask, *one) for one in self._asked)),
            asyncio.gather(*(_health(channel) for channel in self._channels.values())),
        )
        by_service = dict(zip(self._channels, health, strict=True))
        return Frame(time.monotonic(), tuple(told), by_service)


def _ask(service: str, address: str) -> Told:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        reply = connection.getresponse()
        text = reply.read(MAX_BYTES).decode()
        if reply.status != http.client.OK:
            return Told(service, address, None, f"HTTP {reply.status}")
        return Told(service, address, samples_of(text))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Told(service, address, None, str(error) or type(error).__name__)
    finally:
        connection.close()


def samples_of(text: str) -> Samples:
    """Read a scrape in Prometheus' text format. Raise ``ValueError`` for what is none. Pure."""
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = float(sample.value)
    return found


async def _health(channel: grpc.aio.Channel) -> str:
    try:
        return await health_of(channel, TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        return error.code().name
