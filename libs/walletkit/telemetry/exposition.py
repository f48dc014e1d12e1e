"""Write metrics in Prometheus' format: those of this process, or those of its workers together."""

import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from walletkit.telemetry.instruments import AnyFamily, Histogram
from walletkit.telemetry.metrics import GROUPS
from walletkit.telemetry.metrics.process import BUILD

_TOTAL = "_total"


def own(service: str) -> CollectorRegistry:
    """Return what this process tells: its metrics, CPU, memory, files and garbage collection."""
    BUILD.of(service, version("guilder"), platform.python_version()).set(1)
    registry = CollectorRegistry()
    registry.register(Families())
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class Families(Collector):
    """The metrics of which this process has made a part."""

    def collect(self) -> Iterator[Metric]:
        """Yield each as it is now."""
        for group in GROUPS:
            for family in group.families:
                metric = _metric(family)
                if metric.samples:
                    yield metric


def _metric(family: AnyFamily) -> Metric:
    metric = Metric(family.name.removesuffix(_TOTAL), family.meaning, family.kind)
    for values, child in family.series():
        labels = dict(zip(family.labels, values, strict=True))
        if isinstance(child, Histogram):
            _add_histogram(metric, labels, child)
        else:
            metric.add_sample(family.name, labels, child.value)
    return metric


def _add_histogram(metric: Metric, labels: dict[str, str], child: Histogram) -> None:
    """Add buckets that grow; the count is the last one, so that both agree at any moment."""
    totals = list(accumulate(child.counts))
    bounds = [*(repr(float(bound)) for bound in child.bounds), "+Inf"]
    for bound, total in zip(bounds, totals, strict=True):
        metric.add_sample(f"{metric.name}_bucket", {**labels, "le": bound}, total)
    metric.add_sample(f"{metric.name}_count", labels, totals[-1])
    metric.add_sample(f"{metric.name}_sum", labels, child.total)


def merged(by_worker: Iterable[tuple[str, Iterable[Metric]]]) -> list[Metric]:
    """Lay the metrics of several processes together; a label tells whose each is.

    So each worker's counters grow, and begin anew, for themselves: a sum of them would seem to fall
    when one of them is replaced.
    """
    found: dict[str, Metric] = {}
    for worker, metrics in by_worker:
        for metric in metrics:
            into = found.setdefault(
                metric.name, Metric(metric.name, metric.documentation, metric.type)
            )
            for sample in metric.samples:
                into.add_sample(sample.name, {**sample.labels, "worker": worker}, sample.value)
    return list(found.values())
