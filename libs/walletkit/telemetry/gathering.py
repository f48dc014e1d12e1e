"""Gather the metrics of workers that share a port, so that one scrape of their parent sees all."""

import http.client
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from walletkit.telemetry.exporter import PATH, socket_name
from walletkit.telemetry.exposition import merged
from walletkit.telemetry.metrics.process import WORKER_UP
from walletkit.telemetry.unix_http import UnixConnection

ASK_TIMEOUT_S = 3.0
"""A worker that does not answer within it is left out, and counted as down."""


def of_workers(addresses: Sequence[str]) -> CollectorRegistry:
    """Return what the workers at these addresses tell, in the order of their numbers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Workers(addresses))
    return registry


class _Workers(Collector):
    """Asks all workers at once, at each scrape."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    def describe(self) -> Iterable[Metric]:
        """Name nothing ahead: no worker listens yet."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return what those tell that answer, and who does."""
        with ThreadPoolExecutor(len(self._addresses)) as pool:
            told = list(pool.map(_ask, self._addresses))
        up = Metric(WORKER_UP.name, WORKER_UP.meaning, WORKER_UP.kind)
        for worker, metrics in enumerate(told):
            up.add_sample(up.name, {"worker": str(worker)}, 0 if metrics is None else 1)
        answered = ((str(n), metrics) for n, metrics in enumerate(told) if metrics is not None)
        return [up, *merged(answered)]


def _ask(address: str) -> list[Metric] | None:
    connection = UnixConnection("worker", socket_name(address), ASK_TIMEOUT_S)
    try:
        connection.request("GET", PATH)
        text = connection.getresponse().read().decode()
        return list(text_string_to_metric_families(text))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
