"""Look keys up, and keep them in memory for a while: a call must not wait for the database.

A key that was revoked, rotated or changed elsewhere is known as it was for ``STALE_S`` at most, and
for 2 s more to Envoy (``gate.KEPT_MS``). Ids that nobody has are remembered apart and in a bounded
number, so that guessing neither fills memory nor pushes out keys that are in use.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from edge.domain.key import Key
from edge.store.keys import Keys
from walletkit.errors import ServiceError
from walletkit.telemetry.metrics.edge import KEY_LOOKUPS, KEYS_CACHED

FRESH_S = 5.0
"""A key that was read so long ago is read again before it is believed."""
STALE_S = 8.0
"""If the database does not answer, a key is believed for so long after it was read; then none."""
LOOKUP_TIMEOUT_S = 1.0
MAX_KNOWN = 10_000
MAX_UNKNOWN = 1_000
MAX_LOOKUPS = 64
"""Ids that may be looked up at once, of keys that are not in memory."""


@dataclass(frozen=True, slots=True)
class _Entry:
    key: Key
    read_at: float
    """When reading it began: what was changed since may be missing."""


class Keyring:
    """Keys by id."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._known: OrderedDict[bytes, _Entry] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        self._lookups: dict[bytes, asyncio.Task[Key | None]] = {}
        self._found = {
            source: KEY_LOOKUPS.of(source) for source in ("memory", "unknown", "database", "stale")
        }
        KEYS_CACHED.of().follow(lambda: len(self._known))

    async def find(self, key_id: bytes) -> Key | None:
        """Return a key, whatever its state; None for an id that nobody has.

        Raise EDGE_UNAVAILABLE, or OVERLOADED.
        """
        now = asyncio.get_running_loop().time()
        entry = self._known.get(key_id)
        if entry is not None and now - entry.read_at < FRESH_S:
            self._known.move_to_end(key_id)
            self._found["memory"].add()
            return entry.key
        if now - self._unknown.get(key_id, -FRESH_S) < FRESH_S:
            self._found["unknown"].add()
            return None
        try:
            key = await self._look_up(key_id, known=entry is not None)
        except ServiceError:
            now = asyncio.get_running_loop().time()
            if entry is not None and now - entry.read_at < STALE_S:
                self._found["stale"].add()
                return entry.key
            raise
        self._found["database"].add()
        return key

    def forget(self, key_id: bytes) -> None:
        """Read a key again before it is believed: it was changed here.

        What is being read now may lack the change, so it is not kept.
        """
        self._known.pop(key_id, None)
        self._lookups.pop(key_id, None)

    async def _look_up(self, key_id: bytes, *, known: bool) -> Key | None:
        """Read a key once for all who wait for it; who goes away does not end that."""
        task = self._lookups.get(key_id)
        if task is None:
            if not known and len(self._lookups) >= MAX_LOOKUPS:
                raise ServiceError("OVERLOADED", "too many unknown keys are looked up; retry later")
            task = asyncio.create_task(self._read(key_id))
            self._lookups[key_id] = task
            task.add_done_callback(lambda done: self._end(key_id, done))
        return await asyncio.shield(task)

    def _end(self, key_id: bytes, task: asyncio.Task[Key | None]) -> None:
        if self._lookups.get(key_id) is task:
            del self._lookups[key_id]
        if not task.cancelled():
            # Asked for, so that a fault that nobody waits for any more is not reported as lost.
            task.exception()

    async def _read(self, key_id: bytes) -> Key | None:
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                key = await self._keys.find(key_id)
        except TimeoutError:
            raise ServiceError("EDGE_UNAVAILABLE", "edge's database does not answer") from None
        if self._lookups.get(key_id) is not asyncio.current_task():
            return key
        if key is None:
            _keep(self._unknown, key_id, began, MAX_UNKNOWN)
        else:
            _keep(self._known, key_id, _Entry(key, began), MAX_KNOWN)
        return key


def _keep(cache: OrderedDict, key_id: bytes, value: object, limit: int) -> None:  # type: ignore[type-arg]
    """Keep a value; beyond the limit the one goes that was not asked for for longest."""
    cache[key_id] = value
    cache.move_to_end(key_id)
    if len(cache) > limit:
        cache.popitem(last=False)
