"""Watches: resumable reads of the kept records, filtered, with heartbeats.

A watch holds a page of records at most; its stream's flow control holds it back. One that falls
behind what is kept ends with CURSOR_EXPIRED rather than skip.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from notify.domain import cursor as cursors
from notify.domain.cursor import Place
from notify.domain.events import Event
from notify.domain.subscription import Filter
from notify.streams.records import Kept, Records
from notify.streams.tail import Tail
from walletkit.errors import ServiceError, invalid_field
from walletkit.telemetry.metrics.notify import WATCHES

PAGE_RECORDS = 8
FROM_OLDEST = "0"


@dataclass(frozen=True, slots=True)
class Sight:
    """An event, or None for a heartbeat; and where a watch can go on behind it."""

    event: Event | None
    cursor: str


class Watches:
    """Opens watches, at most as many as the setting allows."""

    def __init__(self, records: Records, tail: Tail, max_watchers: int, heartbeat_s: float) -> None:
        self._records = records
        self._tail = tail
        self._max = max_watchers
        self._heartbeat_s = heartbeat_s
        self._open = 0
        WATCHES.of().follow(lambda: self._open)

    async def watch(self, wanted: Filter, cursor: str) -> AsyncGenerator[Sight, None]:
        """Yield events from a cursor on, without end.

        The first sight is a heartbeat: the watch has begun.

        Raise INVALID_FIELD, CURSOR_EXPIRED, OVERLOADED or NOTIFY_UNAVAILABLE.
        """
        with self._counted():
            places = await self._start(cursor)
            yield Sight(None, cursors.encode(places))
            loop = asyncio.get_running_loop()
            said_at = loop.time()
            while True:
                seen = dict(self._tail.heads)
                moved = False
                for shard, head in seen.items():
                    before = places.get(shard)
                    async for sight in self._page(shard, head, places, wanted):
                        said_at = loop.time()
                        yield sight
                    moved = moved or places[shard] != before
                silent_s = loop.time() - said_at
                if silent_s >= self._heartbeat_s:
                    said_at = loop.time()
                    yield Sight(None, cursors.encode(places))
                elif not moved:
                    await self._tail.wait(seen, self._heartbeat_s - silent_s)

    async def _page(
        self, shard: int, head: int, places: dict[int, Place], wanted: Filter
    ) -> AsyncIterator[Sight]:
        """Yield the events of the shard's next records and move its place."""
        place = places.setdefault(shard, Place(0))
        if place.seq >= head:
            return
        for kept in await self._records.read(shard, place.seq, PAGE_RECORDS):
            place = places[shard]
            if kept.seq != place.seq + 1:
                raise _expired(shard, place)
            for event, after in self._of_record(kept, place, wanted):
                places[shard] = after
                yield Sight(event, cursors.encode(places))
            places[shard] = Place(kept.seq)

    def _of_record(self, kept: Kept, place: Place, wanted: Filter) -> Iterator[tuple[Event, Place]]:
        """Yield the wanted events that were not taken yet, and the place behind each."""
        if wanted.wallet_ids and not wanted.may_touch(kept.content):
            return
        events = self._records.events(kept)
        for index in range(place.taken, len(events)):
            if wanted.takes(events[index]):
                last = index + 1 == len(events)
                yield events[index], Place(kept.seq) if last else Place(place.seq, index + 1)

    async def _start(self, cursor: str) -> dict[int, Place]:
        heads = await self._records.heads()
        if not cursor:
            return {shard: Place(head) for shard, head in heads.items()}
        firsts = {
            shard: await self._records.first_seq(shard) or head + 1 for shard, head in heads.items()
        }
        if cursor == FROM_OLDEST:
            return {shard: Place(first - 1) for shard, first in firsts.items()}
        try:
            places = cursors.decode(cursor)
        except ValueError as error:
            raise invalid_field(
                "cursor", cursor, "must be one that a watch gave, 0 or empty"
            ) from error
        for shard, first in firsts.items():
            place = places.setdefault(shard, Place(0))
            if place.seq + 1 < first:
                raise _expired(shard, place)
        return places

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._open >= self._max:
            raise ServiceError("OVERLOADED", "too many watches are open; try again later")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


def _expired(shard: int, place: Place) -> ServiceError:
    metadata = {"shard": str(shard), "seq": str(place.seq)}
    message = f"what follows record {place.seq} of shard {shard} is no longer kept"
    return ServiceError("CURSOR_EXPIRED", message, metadata)
