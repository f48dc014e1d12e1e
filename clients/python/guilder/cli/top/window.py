"""What happened between two scrapes of all processes: rates, gauges, quantiles. Pure.

A counter that fell has begun anew with its process, and counts from 0. One that is new has begun at
0 if its process was told of before; of a process that is new nothing is known yet.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted."""
Samples = Mapping[str, Mapping[Labels, float]]
"""Values by the sample's name and labels."""
Group = tuple[str, ...]
"""Values of the labels that something is grouped by."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one process answered: its samples, or why there are none."""

    service: str
    address: str
    samples: Samples | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """All processes at one moment, in seconds of any steady clock; and the services' health."""

    at_s: float
    told: tuple[Told, ...]
    health: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Buckets:
    """How many values fell below each bound within a window."""

    below: dict[float, float] = field(default_factory=lambda: defaultdict(float))
    total: float = 0.0

    @property
    def count(self) -> float:
        """How many values there were."""
        return max(self.below.values(), default=0.0)

    @property
    def mean(self) -> float | None:
        """The mean; None without any."""
        return self.total / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """Return the value that a share of all lies below, as Prometheus computes it."""
        wanted, lower, passed = share * self.count, 0.0, 0.0
        if not self.count:
            return None
        for bound, below in sorted(self.below.items()):
            if below >= wanted:
                if bound == float("inf"):
                    return lower
                inside = below - passed
                return lower + (bound - lower) * ((wanted - passed) / inside if inside else 0.0)
            lower, passed = bound, below
        return lower


class Window:
    """The time between two frames; without an earlier one nothing has a rate."""

    def __init__(self, before: Frame | None, now: Frame) -> None:
        """Compare ``now`` with ``before``."""
        self.now = now
        self.seconds = 0.0 if before is None else now.at_s - before.at_s
        self._before = {} if before is None else {one.address: one for one in before.told}

    def rates(self, name: str, *by: str) -> dict[Group, float]:
        """Return how much a counter has grown in a second, summed over processes by labels."""
        return {
            group: grown / self.seconds
            for group, grown in _summed(self._grown(name), by).items()
            if self.seconds > 0
        }

    def rate(self, name: str) -> float:
        """Return how much a counter has grown in a second, all in all."""
        return sum(self.rates(name).values())

    def gauges(
        self, name: str, *by: str, join: Callable[[Sequence[float]], float] = sum
    ) -> dict[Group, float]:
        """Return a gauge of now by labels; ``join`` makes one of what several processes tell."""
        found: dict[Group, list[float]] = defaultdict(list)
        for told in self.now.told:
            for labels, value in (told.samples or {}).get(name, {}).items():
                found[_group(labels, by)].append(value)
        return {group: join(values) for group, values in found.items()}

    def histograms(self, name: str, *by: str, **only: str) -> dict[Group, Buckets]:
        """Return what a histogram has counted, by labels; of those with the labels ``only``."""
        made: dict[Group, Buckets] = defaultdict(Buckets)
        for labels, grown in self._grown(f"{name}_bucket"):
            if only.items() <= dict(labels).items():
                bound = float(dict(labels)["le"])
                made[_group(labels, by)].below[bound] += grown
        for labels, grown in self._grown(f"{name}_sum"):
            if only.items() <= dict(labels).items():
                made[_group(labels, by)].total += grown
        return dict(made)

    def of(self, told: Told) -> "Window":
        """Return the window of one process."""
        before = self._before.get(told.address)
        earlier = None
        if before is not None:
            earlier = Frame(self.now.at_s - self.seconds, (before,))
        return Window(earlier, Frame(self.now.at_s, (told,)))

    def _grown(self, name: str) -> Iterator[tuple[Labels, float]]:
        for told in self.now.told:
            before = self._before.get(told.address)
            if told.samples is None or before is None or before.samples is None:
                continue
            earlier = before.samples.get(name, {})
            for labels, value in told.samples.get(name, {}).items():
                was = earlier.get(labels, 0.0)
                yield labels, value - was if value >= was else value


def _summed(samples: Iterable[tuple[Labels, float]], by: Sequence[str]) -> dict[Group, float]:
    found: dict[Group, float] = defaultdict(float)
    for labels, value in samples:
        found[_group(labels, by)] += value
    return dict(found)


def _group(labels: Labels, by: Sequence[str]) -> Group:
    known = dict(labels)
    return tuple(known.get(name, "") for name in by)
