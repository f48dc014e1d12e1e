"""Follow the heads of all shards, one poll for everybody who waits.

This process's own ingest tells at once.
"""

import asyncio

from notify.streams.records import Records
from walletkit.telemetry.metrics.notify import STREAM_RECORDS

STALE_S = 3.0


class Tail:
    """Knows the last record of each shard, and wakes who waits for the next."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._heads: dict[int, int] = {}
        self._moved = asyncio.Event()
        self._seen_at: float | None = None

    @property
    def heads(self) -> dict[int, int]:
        """The last record of each shard, at most a poll old."""
        return self._heads

    def is_fresh(self) -> bool:
        """Tell whether Redis has answered lately."""
        now = asyncio.get_running_loop().time()
        return self._seen_at is not None and now - self._seen_at < STALE_S

    async def poll(self) -> None:
        """Ask for the heads once. Raise NOTIFY_UNAVAILABLE."""
        self._set(await self._records.heads())

    async def count(self) -> None:
        """Count what is kept of each shard. Raise NOTIFY_UNAVAILABLE."""
        for shard, length in (await self._records.lengths(tuple(self._heads))).items():
            STREAM_RECORDS.of(str(shard)).set(length)

    def advance(self, shard: int, seq: int) -> None:
        """Note a record that this process has just taken in."""
        if seq > self._heads.get(shard, 0):
            self._heads[shard] = seq
            self.wake()

    def wake(self) -> None:
        """Let everybody look again."""
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def wait(self, seen: dict[int, int], timeout_s: float) -> bool:
        """Wait until the heads are not ``seen`` any more; False when time ran out."""
        if self._heads != seen:
            return True
        moved = self._moved
        try:
            async with asyncio.timeout(timeout_s):
                await moved.wait()
        except TimeoutError:
            return False
        return True

    def _set(self, heads: dict[int, int]) -> None:
        self._seen_at = asyncio.get_running_loop().time()
        # Also backwards: a Redis that lost its last second is where it is.
        if heads != self._heads:
            self._heads = heads
            self.wake()
