"""Know how far one sink is behind one shard: in records, and in time."""

import time
from collections import deque
from itertools import islice

from walletkit.telemetry.metrics import relay as metrics

MAX_MARKS = 4_096
"""Moments that are remembered of a sink that is behind. When they are too many every other one is
given up, never the oldest: a long standstill shows in full, and what follows it nearly so."""


class Lag:
    """The instruments of a shard and a sink."""

    def __init__(self, shard: int, sink: str) -> None:
        """Name both; until the sink has answered nothing is known of it."""
        labels = str(shard), sink
        self.connected = metrics.CONNECTED.of(*labels)
        self._records = metrics.RECORDS.of(*labels)
        self._faults = {
            kind: metrics.FAULTS.of(*labels, kind)
            for kind in ("passing", "refused", "purged", "history")
        }
        self._head = 0
        self._acknowledged: int | None = None
        self._marks: deque[tuple[int, float]] = deque()
        """The head at some moments at which the sink did not have it."""
        metrics.LAG_RECORDS.of(*labels).follow(self.records)
        metrics.LAG_SECONDS.of(*labels).follow(self.seconds)

    def advance(self, head: int) -> None:
        """Note the shard's last record."""
        self._head = head
        if self._acknowledged is not None and head <= self._acknowledged:
            return
        if len(self._marks) == MAX_MARKS:
            self._marks = deque(islice(self._marks, 0, None, 2))
        self._marks.append((head, time.monotonic()))

    def open(self, position: int) -> None:
        """Note where the sink stands as its stream begins."""
        self.connected.set(1)
        self._reach(position)

    def acknowledge(self, position: int) -> None:
        """Note that the sink has all up to a record."""
        if self._acknowledged is not None and position > self._acknowledged:
            self._records.add(position - self._acknowledged)
        self._reach(position)

    def close(self) -> None:
        """Note that the stream has ended."""
        self.connected.set(0)

    def fail(self, kind: str) -> None:
        """Count why it has ended."""
        self._faults[kind].add()

    def records(self) -> float:
        """Return how many records the sink has not acknowledged."""
        return max(0, self._head - (self._acknowledged or 0))

    def seconds(self) -> float:
        """Return for how long the oldest of them has been known."""
        try:
            return time.monotonic() - self._marks[0][1]
        except IndexError:
            return 0.0

    def _reach(self, position: int) -> None:
        self._acknowledged = position
        while self._marks and self._marks[0][0] <= position:
            self._marks.popleft()
