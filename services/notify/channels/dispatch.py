"""Turn records into queued deliveries, for each shard in order.

Subscriptions that lag catch up by themselves.

A position and the deliveries up to it move in one step, so a crash, a second process and a Redis
that lost its last second all lead to records being looked at again, never to one left out.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

from notify.channels.lost import Losses
from notify.channels.registry import Index, Registry
from notify.domain.render import body
from notify.streams.queues import CHUNK, CatchUp, Queued, Queues, Step
from notify.streams.records import Kept, Records
from notify.streams.tail import Tail
from walletkit.telemetry import tracing
from walletkit.telemetry.metrics import notify as metrics

PAGE_RECORDS = 16
CONFIRM_S = 5.0
QUIET_RECORDS = 1_024
"""How many records without a match are looked at before the position is stored.

A restart repeats them.
"""


class Found(Enum):
    """What a look at the streams has found."""

    RECORDS = "records"
    NOTHING = "nothing"
    NOBODY = "nobody"
    """There are no subscriptions, so nothing was looked at."""


@dataclass(slots=True)
class _Progress:
    """``stored`` is Redis's position as last known, ``seq`` how far this process has looked.

    A new subscription may want what was looked at for the others: so it holds for one generation
    only.
    """

    generation: int
    stored: int
    seq: int


class Dispatch:
    """Moves every shard on by a page at a time."""

    def __init__(
        self,
        records: Records,
        queues: Queues,
        tail: Tail,
        registry: Registry,
        losses: Losses,
        queue_limit: int,
    ) -> None:
        self._records = records
        self._queues = queues
        self._tail = tail
        self._registry = registry
        self._losses = losses
        self._queue_limit = queue_limit
        self._progress: dict[int, _Progress] = {}
        self._confirmed_at = 0.0
        self._queued = metrics.QUEUED.of()
        self._spans = tracing.active()

    async def advance(self) -> Found:
        """Look at the next page of each shard. Raise NOTIFY_UNAVAILABLE."""
        index = await self._registry.refresh()
        if not index.by_id:
            return Found.NOBODY
        found = Found.NOTHING
        for shard, head in dict(self._tail.heads).items():
            if await self._advance(shard, head, index):
                found = Found.RECORDS
        if time.monotonic() - self._confirmed_at > CONFIRM_S:
            await self._confirm()
        return found

    async def catch_up(self) -> bool:
        """Move each lagging subscription whose queue has room again by a page.

        False when there was none.
        """
        index, busy = await self._registry.refresh(), False
        for shard in tuple(self._tail.heads):
            for subscription, after in (await self._queues.lagging(shard)).items():
                if subscription not in index.by_id:
                    await self._registry.drop(subscription)
                elif await self._queues.length(subscription) <= self._queue_limit // 2:
                    move = CatchUp(shard, subscription, after, after)
                    await self._catch_up(move, index)
                    busy = True
        return busy

    async def _confirm(self) -> None:
        """Store how far each shard was looked at, and learn of it where Redis has gone back."""
        self._confirmed_at = time.monotonic()
        for shard, progress in tuple(self._progress.items()):
            step = Step(shard, progress.stored, progress.seq, progress.generation)
            await self._move(progress, step, [])

    async def _advance(self, shard: int, head: int, index: Index) -> bool:
        progress = self._progress.get(shard)
        if progress is None or progress.generation != index.generation:
            stored = await self._queues.sent(shard)
            progress = self._progress[shard] = _Progress(index.generation, stored, stored)
            metrics.DISPATCH_LAG.of(str(shard)).follow(partial(self._behind, shard))
        progress.seq = max(progress.seq, index.start(shard))
        if progress.seq >= head:
            return False
        page = await self._records.read(shard, progress.seq, PAGE_RECORDS)
        if not page:
            return False
        if page[0].seq > progress.seq + 1:
            every = [item for item in index.by_id.values() if item.start(shard) < page[0].seq - 1]
            await self._losses.note(every, shard, progress.seq + 1, page[0].seq - 1)
            progress.seq = page[0].seq - 1
        for kept in page:
            if not await self._dispatch(progress, kept, index):
                return True
        return True

    async def _dispatch(self, progress: _Progress, kept: Kept, index: Index) -> bool:
        """Queue a record's deliveries; False when the position has to be read again first."""
        chunks = _chunked(self._deliveries(kept, index))
        chunk = next(chunks, [])
        quiet = kept.seq - progress.stored < QUIET_RECORDS
        if not chunk and quiet:
            progress.seq = kept.seq
            return True
        step = Step(kept.shard, progress.stored, progress.stored, index.generation)
        # The position moves with the last chunk: a crash before it repeats the record.
        for following in chunks:
            if not await self._move(progress, step, chunk):
                return False
            chunk = following
        return await self._move(progress, replace(step, new=kept.seq), chunk)

    async def _move(self, progress: _Progress, step: Step, chunk: list[Queued]) -> bool:
        if await self._queues.dispatch(step, chunk, self._queue_limit):
            self._count(step.shard, chunk)
            progress.stored = step.new
            progress.seq = max(progress.seq, step.new)
            return True
        # Another process was faster, the subscriptions changed, or Redis went back.
        self._progress.pop(step.shard, None)
        return False

    def _deliveries(self, kept: Kept, index: Index) -> Iterator[Queued]:
        if not index.may_match(kept.content):
            return
        for event in self._records.events(kept):
            wanting = [item for item in index.matches(event) if item.start(kept.shard) < kept.seq]
            content = body(event) if wanting else b""
            for item in wanting:
                name = item.subscription_id.hex()
                made = (event.event_id, content, event.follower, event.time_us)
                yield Queued(name, kept.seq, *made)

    def _count(self, shard: int, chunk: list[Queued]) -> None:
        """Count deliveries that are queued now, and tell those who follow one."""
        self._queued.add(len(chunk))
        if self._spans is None:
            return
        for queued in chunk:
            if queued.follower is not None:
                told: tracing.Told = {
                    "guilder.shard": shard,
                    "guilder.seq": queued.seq,
                    "guilder.event_id": queued.event_id,
                    "guilder.subscription": queued.subscription,
                }
                self._spans.done("dispatch", queued.follower, queued.time_us * 1_000, told)

    async def _catch_up(self, move: CatchUp, index: Index) -> None:
        item = index.by_id[move.subscription]
        single = Index(index.generation, (item,))
        page = await self._records.read(move.shard, move.expected, PAGE_RECORDS)
        sent = await self._queues.sent(move.shard)
        if page and page[0].seq > move.expected + 1:
            await self._losses.note([item], move.shard, move.expected + 1, page[0].seq - 1)
        for kept in page:
            if kept.seq > sent or not await self._queue_record(move, kept, single):
                return
            move = replace(move, expected=kept.seq, new=kept.seq)
        if not page:
            await self._queues.catch_up(replace(move, new=sent), [])

    async def _queue_record(self, move: CatchUp, kept: Kept, single: Index) -> bool:
        """Queue a record for a lagging subscription.

        False when its queue is full or its place has moved.
        """
        if await self._queues.length(move.subscription) >= self._queue_limit:
            return False
        for chunk in _chunked(self._deliveries(kept, single)):
            if not await self._queues.catch_up(move, chunk):
                return False
            self._count(move.shard, chunk)
        return await self._queues.catch_up(replace(move, new=kept.seq), [])

    def _behind(self, shard: int) -> int:
        """Return how many records of a shard were not looked at yet."""
        progress = self._progress.get(shard)
        return 0 if progress is None else max(0, self._tail.heads.get(shard, 0) - progress.seq)


def _chunked(deliveries: Iterator[Queued]) -> Iterator[list[Queued]]:
    chunk: list[Queued] = []
    for delivery in deliveries:
        chunk.append(delivery)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
