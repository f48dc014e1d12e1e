"""Give out calls in advance: tokens of clients' buckets, for which Envoys let calls pass."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from edge.counters.buckets import Bucket, Buckets
from edge.counters.connection import CountersDownError
from edge.domain.limits import BATCH, READ, WRITE, Limits, Route
from walletkit.telemetry.metrics.edge import RATE_DECISIONS

DOWN_RETRY_S = 1
"""While Redis is away one call in this time asks it; the others don't wait for its deadline."""
_ROUTES: Mapping[str, Route] = {READ: READ, BATCH: BATCH}
"""As Envoy says them; what is none of these is a write."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Lease:
    """Tokens that were given, and what is known of their bucket."""

    tokens: int
    wait_ms: int = 0
    """Until there will be a token, where none was given."""
    limit: int = 0
    """Size of the bucket; 0 where nobody counts."""
    remaining: int = 0
    reset_ms: int = 0
    """Until the bucket is full."""


class Throttle:
    """Gives tokens; without Redis none is counted, and the setting decides."""

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

    async def take(self, client: str, route: str, tokens: int, refused: int) -> Lease:
        """Give as many of these tokens as the client's bucket has for one who asks.

        ``refused``: calls that the asker has refused since it asked last.
        """
        kind = _ROUTES.get(route, WRITE)
        bucket = Bucket(client, *self._limits.of(client, kind))
        self._note(bucket, "limited", refused)
        if not self._may_ask(time.monotonic()):
            return self._uncounted(bucket, tokens)
        try:
            taken = await self._buckets.take(bucket, tokens)
        except CountersDownError as error:
            self._found_down(error)
            return self._uncounted(bucket, tokens)
        if self._down:
            log.info("calls are counted again")
            self._down = False
        if taken.tokens:
            self._note(bucket, "passes", taken.tokens)
        else:
            self._note(bucket, "limited", 1)
        return Lease(
            tokens=taken.tokens,
            wait_ms=_millis(taken.wait_us),
            limit=bucket.limit.burst,
            remaining=taken.remaining(bucket.limit),
            reset_ms=_millis(taken.full_us),
        )

    def _note(self, bucket: Bucket, decision: str, calls: int) -> None:
        if calls:
            self._decisions[bucket.route, decision].add(calls)

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

    def _uncounted(self, bucket: Bucket, tokens: int) -> Lease:
        """Let calls pass, or none of them, for about as long as it takes to ask again."""
        if self._allow_uncounted:
            self._note(bucket, "uncounted", tokens)
            return Lease(tokens)
        self._note(bucket, "uncounted", 1)
        return Lease(0, wait_ms=DOWN_RETRY_S * 1_000)


def _millis(micros: int) -> int:
    return math.ceil(micros / 1_000)
