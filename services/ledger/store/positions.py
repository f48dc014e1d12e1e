"""Know how far each shard's stream is here, and wait for a position.

Reads the database; writers announce theirs.
"""

import asyncio
import time

from ledger.store.pool import Pool, Session

POLL_S = 0.05
"""Another process may take the shard in, so announcements alone would not do."""


async def read(session: Session, shard: int) -> int:
    """Return the last seq that is durable here, 0 for none."""
    rows = await session.rows(f"SELECT seq FROM cursors WHERE shard={shard:d}")
    return int(rows[0][0]) if rows else 0


class Positions:
    """The seq up to which each shard is known to be durable here."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[int, int] = {}
        self._advanced = asyncio.Event()
        self._asked_at: dict[int, float] = {}

    def announce(self, shard: int, seq: int) -> None:
        """Tell those who wait that a shard is durable up to ``seq``."""
        if seq > self._known.get(shard, 0):
            self._known[shard] = seq
            self._advanced.set()
            self._advanced = asyncio.Event()

    async def reached(self, shard: int, seq: int) -> None:
        """Return once the shard is durable here up to ``seq``; the caller sets the deadline."""
        while self._known.get(shard, 0) < seq:
            advanced = self._advanced
            await self._ask(shard)
            if self._known.get(shard, 0) < seq:
                try:
                    async with asyncio.timeout(POLL_S):
                        await advanced.wait()
                except TimeoutError:
                    continue

    async def _ask(self, shard: int) -> None:
        """Ask the database, at most once in ``POLL_S`` however many wait."""
        now = time.monotonic()
        if now - self._asked_at.get(shard, float("-inf")) >= POLL_S:
            self._asked_at[shard] = now
            async with self._pool.session() as session:
                self.announce(shard, await read(session, shard))
