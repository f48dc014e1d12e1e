"""Scrape the processes of a suite, as Prometheus does, and remember the most that each told."""

import asyncio
import urllib.request
from collections import defaultdict
from collections.abc import Mapping

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from walletkit.stack import Stack
from walletkit.stack.settings import MEASURED
from walletkit.telemetry.metrics import GROUPS

PERIOD_S = 0.1
TIMEOUT_S = 10.0
KINDS = {family.name: family.kind for group in GROUPS for family in group.families}
"""Every declared metric."""


def fetch(url: str) -> list[Metric]:
    """Return what a process tells."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply:  # noqa: S310  # loopback
        return list(text_string_to_metric_families(reply.read().decode()))


def declared(metric: Metric) -> str:
    """Return the name under which a metric is declared: the parser cuts a counter's end off."""
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def total(metrics: list[Metric], name: str, **labels: str) -> float:
    """Add up the samples of a name that have these labels."""
    return sum(
        sample.value
        for metric in metrics
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


class Watch:
    """Scrapes all processes again and again; one that is down is left out."""

    def __init__(self, suite: Stack) -> None:
        self._urls = {name: suite.metrics_url(name) for name in MEASURED}
        self.most: dict[str, float] = defaultdict(float)
        """Of each metric the largest sample; of a histogram the largest count."""
        self.seen: dict[str, set[frozenset[tuple[str, str]]]] = defaultdict(set)
        """Of each metric its labels."""

    async def run(self) -> None:
        """Scrape until cancelled."""
        while True:
            await self.once()
            await asyncio.sleep(PERIOD_S)

    async def once(self) -> Mapping[str, list[Metric]]:
        """Scrape each process once."""
        told: dict[str, list[Metric]] = {}
        for name, url in self._urls.items():
            try:
                told[name] = await asyncio.to_thread(fetch, url)
            except OSError:
                continue
            for metric in told[name]:
                self._note(metric)
        return told

    def _note(self, metric: Metric) -> None:
        name = declared(metric)
        for sample in metric.samples:
            if "le" in sample.labels or sample.name.endswith("_sum"):
                continue
            self.most[name] = max(self.most[name], sample.value)
            self.seen[name].add(frozenset(sample.labels.items()))

    def still(self) -> set[str]:
        """Return the declared metrics that have not moved, or were never told."""
        return {name for name in KINDS if self.most[name] <= 0}
