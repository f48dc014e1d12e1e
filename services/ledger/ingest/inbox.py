"""Hold what one stream has sent until the writer takes it.

Bounded, and paced so that commits are few and large.
"""

import asyncio
import time

from ledger.ingest.incoming import Incoming

WINDOW = 1_024
"""Records that a relay may send beyond the last acknowledged one."""

MAX_HELD_BYTES = 4 * 1024 * 1024
"""Records, unpacked, that wait at most; decoded they are some ten times as large."""

MAX_COMMIT_RECORDS = 100
MAX_COMMIT_BYTES = 256 * 1024
"""A commit is full at so many bytes of records, unpacked; its journal and SQL take some 20 ms of
this process."""


class Inbox:
    """Records of one stream in order. One task puts, one collects."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._items: list[Incoming] = []
        self._bytes = 0
        self._ended = False
        self._failure: BaseException | None = None
        self._changed = asyncio.Event()
        self._space = asyncio.Event()
        self._collected_at = 0.0

    async def put(self, item: Incoming) -> None:
        """Add a record; waits while a whole window, or a lot of bytes, is here already."""
        while len(self._items) >= WINDOW or self._bytes >= MAX_HELD_BYTES:
            self._space.clear()
            await self._space.wait()
        self._items.append(item)
        self._bytes += item.size
        # Waking for each record in between would cost more than the record.
        if len(self._items) == 1 or self._full():
            self._changed.set()

    def end(self, failure: BaseException | None) -> None:
        """Say that no more comes, and why if something went wrong."""
        self._ended, self._failure = True, failure
        self._changed.set()

    async def collect(self) -> list[Incoming]:
        """Return the next records of one commit; none when the stream has ended.

        A lone record goes at once; under load what arrives within the interval goes together. Raise
        what ended the stream once everything before it was collected.
        """
        while not self._items and not self._ended:
            await self._wait(None)
        due = self._collected_at + self._interval_s
        while not self._full() and not self._ended and (left := due - time.monotonic()) > 0:
            await self._wait(left)
        if not self._items and self._failure is not None:
            raise self._failure
        self._collected_at = time.monotonic()
        return self._cut()

    def _full(self) -> bool:
        return len(self._items) >= MAX_COMMIT_RECORDS or self._bytes >= MAX_COMMIT_BYTES

    def _cut(self) -> list[Incoming]:
        """Take one commit's worth out: at least one record, however large."""
        count = size = 0
        for item in self._items[:MAX_COMMIT_RECORDS]:
            size += item.size
            if count and size > MAX_COMMIT_BYTES:
                break
            count += 1
        taken, self._items = self._items[:count], self._items[count:]
        self._bytes -= sum(item.size for item in taken)
        self._space.set()
        return taken

    async def _wait(self, timeout_s: float | None) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return
