"""What a load generator saw: calls, errors, and how long each call took. Pure."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """The calls of one run, as their caller saw them."""

    seconds: float
    """From the first call to the last answer."""
    calls: int
    movements: int
    """What was moved or read, without what failed."""
    latencies_ms: Sequence[float]
    """Of each call that succeeded."""
    errors: dict[str, int]
    """Failed calls, or failed movements of a batch, by gRPC code."""
    cpu_seconds: float
    """What the load generator used between first call and last answer."""
    ended_at: float | None = None
    """Time of day of the last answer; None: when the generator ended."""

    @property
    def rate(self) -> float:
        """Return the movements a second."""
        return self.movements / self.seconds if self.seconds else 0.0


Around = Callable[[Callable[[], Load]], Load]
"""Makes a load's calls, and does something before and after them."""


def alone(calls: Callable[[], Load]) -> Load:
    """Make the calls, and do nothing else."""
    return calls()


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of all do not exceed; NaN of none."""
    ranked = sorted(values)
    if not ranked:
        return math.nan
    # Rounded, since 99.9 % of 1,000 is 999.0000000000001 in binary.
    return ranked[max(0, math.ceil(round(percent / 100 * len(ranked), 6)) - 1)]


def side_by_side(first: Load, second: Load) -> Load:
    """Join two loads of which one call each makes a movement: the slower one sets the rate."""
    slower = min(first, second, key=lambda load: load.rate)
    return Load(
        seconds=slower.seconds,
        calls=first.calls + second.calls,
        movements=slower.movements,
        latencies_ms=[*first.latencies_ms, *second.latencies_ms],
        errors=dict(Counter(first.errors) + Counter(second.errors)),
        cpu_seconds=first.cpu_seconds + second.cpu_seconds,
        ended_at=max(first.ended_at, second.ended_at)
        if first.ended_at is not None and second.ended_at is not None
        else None,
    )
