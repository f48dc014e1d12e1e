"""Counters, gauges and histograms whose updates cost next to nothing.

One thread updates, the event loop's; any thread may read. An update is an addition to a slot of an
object that its caller keeps: labels are looked up when a part is made, never on the hot path. The
library that writes the text is not needed here; see ``exposition``.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeVar

MAX_SERIES = 1_000
"""Label values of one metric; what comes beyond them is counted together."""
OTHER = "other"
"""The label value of all that comes beyond the limit."""

Kind = Literal["counter", "gauge", "histogram"]


class Counter:
    """A number that only grows, from 0 at the start of the process."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def add(self, amount: float = 1) -> None:
        """Add; where even a call is too much, add to ``value``."""
        self.value += amount


class Gauge:
    """A number of now: set, or read when it is asked for."""

    __slots__ = ("_read", "_value")

    def __init__(self) -> None:
        self._value: float = 0
        self._read: Callable[[], float] | None = None

    def set(self, value: float) -> None:
        """Set the number."""
        self._value = value

    def add(self, amount: float) -> None:
        """Add to the number, or take from it."""
        self._value += amount

    def follow(self, read: Callable[[], float]) -> None:
        """Read the number when it is asked for, in another thread: a plain read, and no more."""
        self._read = read

    @property
    def value(self) -> float:
        """The number of now."""
        return self._value if self._read is None else self._read()


class Histogram:
    """How often values fell into each bucket, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Take the buckets' upper bounds, ascending; one more is above all."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value; one that equals a bound is below it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


Child = TypeVar("Child", Counter, Gauge, Histogram)


class Family(Generic[Child]):
    """A metric: its name, what it means, and an instrument for each set of label values."""

    def __init__(  # each is a column of docs/metrics.md
        self,
        kind: Kind,
        name: str,
        meaning: str,
        labels: tuple[str, ...],
        make: Callable[[], Child],
        bounds: Sequence[float] = (),
    ) -> None:
        self.kind = kind
        self.name = name
        self.meaning = meaning
        self.labels = labels
        self.bounds = bounds
        self._make: Callable[[], Child] = make
        self._children: dict[tuple[str, ...], Child] = {}

    def of(self, *values: str) -> Child:
        """Return the instrument of these label values, in the order of the labels; keep it."""
        assert len(values) == len(self.labels), f"{self.name} has the labels {self.labels}"
        child = self._children.get(values)
        if child is None:
            if len(self._children) >= MAX_SERIES:
                values = (OTHER,) * len(values)
            child = self._children.setdefault(values, self._make())
        return child

    def series(self) -> list[tuple[tuple[str, ...], Child]]:
        """Return label values and instruments; a copy, for the loop may add some meanwhile."""
        return list(self._children.items())


AnyFamily = Family[Counter] | Family[Gauge] | Family[Histogram]


class Group:
    """The metrics that one part of the suite has."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.families: list[AnyFamily] = []

    def counter(self, name: str, meaning: str, *labels: str) -> Family[Counter]:
        """Declare a counter; its name ends in ``_total``."""
        family = Family("counter", name, meaning, labels, Counter)
        self.families.append(family)
        return family

    def gauge(self, name: str, meaning: str, *labels: str) -> Family[Gauge]:
        """Declare a gauge."""
        family = Family("gauge", name, meaning, labels, Gauge)
        self.families.append(family)
        return family

    def histogram(
        self, name: str, meaning: str, *labels: str, bounds: Sequence[float]
    ) -> Family[Histogram]:
        """Declare a histogram; its bounds have the unit that its name ends in."""
        family = Family("histogram", name, meaning, labels, lambda: Histogram(bounds), bounds)
        self.families.append(family)
        return family
