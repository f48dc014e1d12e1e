"""Know how far a sink, or a replica, is behind its shard: in records, and in time."""

import time
from collections import deque
from itertools import islice

from walletkit.telemetry.metrics import relay as metrics

MAX_MARKS = 4_096
"""Moments that are remembered of who is behind. When they are too many every other one is
given up, never the oldest: a long standstill shows in full, and what follows it nearly so."""


class Behind:
    """What somebody does not have yet of a shard, and since when."""

    def __init__(self) -> None:
        self._head = 0
        self._has: int | None = None
        self._marks: deque[tuple[int, float]] = deque()
        """The head at some moments at which they did not have it."""

    def advance(self, head: int) -> None:
        """Note the shard's last record."""
        self._head = head
        if self._has is not None and head <= self._has:
            return
        if len(self._marks) == MAX_MARKS:
            self._marks = deque(islice(self._marks, 0, None, 2))
        self._marks.append((head, time.monotonic()))

    def reach(self, position: int) -> int:
        """Note that they have all up to a record; return how many that are more, once known."""
        before, self._has = self._has, position
        while self._marks and self._marks[0][0] <= position:
            self._marks.popleft()
        return 0 if before is None else max(0, position - before)

    def records(self) -> float:
        """Return how many records they don't have."""
        return max(0, self._head - (self._has or 0))

    def seconds(self) -> float:
        """Return for how long the oldest of them has been known."""
        try:
            return time.monotonic() - self._marks[0][1]
        except IndexError:
            return 0.0


class Lag:
    """The instruments of a shard and a sink."""

    def __init__(self, shard: int, sink: str) -> None:
        """Name both; until the sink has answered nothing is known of it."""
        labels = str(shard), sink
        self.behind = Behind()
        self.connected = metrics.CONNECTED.of(*labels)
        self._records = metrics.RECORDS.of(*labels)
        self._faults = {
            kind: metrics.FAULTS.of(*labels, kind)
            for kind in ("passing", "refused", "purged", "history")
        }
        metrics.LAG_RECORDS.of(*labels).follow(self.behind.records)
        metrics.LAG_SECONDS.of(*labels).follow(self.behind.seconds)

    def open(self, position: int) -> None:
        """Note where the sink stands as its stream begins."""
        self.connected.set(1)
        self.behind.reach(position)

    def acknowledge(self, position: int) -> None:
        """Note that the sink has all up to a record."""
        self._records.add(self.behind.reach(position))

    def close(self) -> None:
        """Note that the stream has ended."""
        self.connected.set(0)

    def fail(self, kind: str) -> None:
        """Count why it has ended."""
        self._faults[kind].add()
