"""Decide whether a call is too many, and what its caller is told of its limit."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from edge.counters.buckets import Bucket, Buckets, Level
from edge.counters.connection import CountersDownError
from edge.domain.limits import BATCH, READ, WRITE, Limits, Route
from walletkit.telemetry.metrics.edge import RATE_DECISIONS

MAX_DESCRIPTORS = 8
CLIENT, ROUTE = "client", "route"
"""The parts of a descriptor."""
DOWN_RETRY_S = 1
"""While Redis is away one call in this time asks it; the others don't wait for its deadline."""
_ROUTES: Mapping[str, Route] = {READ: READ, BATCH: BATCH}
"""As descriptors say them; what is none of these is a write."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call passes, with the headers that say so."""

    passes: bool
    headers: tuple[tuple[str, str], ...] = ()


class Throttle:
    """Counts calls; without Redis none is counted, and the setting decides."""

    def __init__(self, buckets: Buckets, limits: Limits, *, allow_uncounted: bool) -> None:
        self._buckets = buckets
        self._limits = limits
        self._allow_uncounted = allow_uncounted
        self._down = False
        self._ask_after = 0.0
        self._decisions = {
            (route, name): RATE_DECISIONS.of(route, name)
            for route in (READ, WRITE, BATCH)
            for name in ("passes", "limited", "uncounted")
        }

    async def count(self, descriptors: Sequence[dict[str, str]], calls: int) -> Verdict:
        """Count calls against each descriptor's bucket, or, if one is empty, against none."""
        found = [self._bucket(parts) for parts in descriptors if parts.get(CLIENT)]
        if not found:
            return Verdict(passes=True)
        if not self._may_ask(time.monotonic()):
            return self._uncounted(found, calls)
        try:
            levels = await self._buckets.take(found, calls)
        except CountersDownError as error:
            self._found_down(error)
            return self._uncounted(found, calls)
        if self._down:
            log.info("calls are counted again")
            self._down = False
        verdict = _verdict(found, levels)
        self._note(found, "passes" if verdict.passes else "limited", calls)
        return verdict

    def _note(self, buckets: Sequence[Bucket], decision: str, calls: int) -> None:
        """Count calls: once, whatever the number of buckets that count them."""
        self._decisions[buckets[0].route, decision].add(calls)

    def _bucket(self, parts: dict[str, str]) -> Bucket:
        route = _ROUTES.get(parts.get(ROUTE, ""), WRITE)
        client = parts[CLIENT]
        return Bucket(client, *self._limits.of(client, route))

    def _may_ask(self, now: float) -> bool:
        """Tell whether this call asks Redis: each does, or while it is away one in a while."""
        if not self._down:
            return True
        if now < self._ask_after:
            return False
        self._ask_after = now + DOWN_RETRY_S
        return True

    def _found_down(self, error: CountersDownError) -> None:
        if not self._down:
            log.warning("calls are not counted", allowed=self._allow_uncounted, error=str(error))
            self._down = True
            self._ask_after = time.monotonic() + DOWN_RETRY_S

    def _uncounted(self, buckets: Sequence[Bucket], calls: int) -> Verdict:
        self._note(buckets, "uncounted", calls)
        if self._allow_uncounted:
            return Verdict(passes=True)
        return Verdict(passes=False, headers=(("retry-after", str(DOWN_RETRY_S)),))


def _verdict(buckets: Sequence[Bucket], levels: Sequence[Level]) -> Verdict:
    """Tell of the bucket that is nearest to its limit."""
    told = zip(buckets, levels, strict=True)
    bucket, level = min(told, key=lambda one: (-one[1].wait_us, one[1].remaining(one[0].limit)))
    headers = [
        ("x-ratelimit-limit", str(bucket.limit.burst)),
        ("x-ratelimit-remaining", str(level.remaining(bucket.limit))),
        ("x-ratelimit-reset", str(_seconds(level.full_us))),
    ]
    if level.wait_us > 0:
        headers.append(("retry-after", str(max(1, _seconds(level.wait_us)))))
    return Verdict(level.wait_us <= 0, tuple(headers))


def _seconds(micros: int) -> int:
    return math.ceil(micros / 1_000_000)
