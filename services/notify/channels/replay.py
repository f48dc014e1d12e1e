"""Queue the events of a time range again, from the kept records and the dead letters."""

from collections.abc import AsyncIterator

from notify.channels.lost import LOST_PREFIX
from notify.domain.render import body
from notify.domain.subscription import Subscription
from notify.store.dead_letters import DeadLetter, DeadLetters, Span
from notify.streams.queues import CHUNK, Queues
from notify.streams.records import Records
from walletkit.errors import ServiceError

PAGE_RECORDS = 16
CLOCK_SLACK_US = 5_000_000
"""How far a shard's clock may step back from record to record."""


class Replays:
    """Replays, each at most the setting's number of events.

    One is collected whole before it is queued.
    """

    def __init__(self, records: Records, queues: Queues, letters: DeadLetters, limit: int) -> None:
        self._records = records
        self._queues = queues
        self._letters = letters
        self._limit = limit

    async def replay(self, item: Subscription, span: Span) -> int:
        """Queue what the range holds, and return how many deliveries are new in the queue.

        Events from before the subscription count, too. Raise REPLAY_TOO_LARGE, with nothing queued.
        """
        name = item.subscription_id.hex()
        letters = await self._letters.within(item.subscription_id, span, self._limit + 1)
        letters = [letter for letter in letters if not letter.event_id.startswith(LOST_PREFIX)]
        found = {letter.event_id: letter.body for letter in letters}
        self._check(len(found))
        async for event_id, content in self._kept(item, span):
            found[event_id] = content
            self._check(len(found))
        queued, wanted = 0, list(found.items())
        for at in range(0, len(wanted), CHUNK):
            queued += await self._queues.replay(name, wanted[at : at + CHUNK])
        await self._forget(item, letters)
        return queued

    async def _kept(self, item: Subscription, span: Span) -> AsyncIterator[tuple[str, bytes]]:
        for shard, head in (await self._records.heads()).items():
            after = await self._records.last_before(shard, span.start_us - CLOCK_SLACK_US)
            while after < head:
                page = await self._records.read(shard, after, PAGE_RECORDS)
                for kept in page:
                    for event in self._records.events(kept):
                        if event.time_us >= span.end_us + CLOCK_SLACK_US:
                            after = head
                        elif span.start_us <= event.time_us < span.end_us and item.filter.takes(
                            event
                        ):
                            yield event.event_id, body(event)
                after = max(after, page[-1].seq) if page else head

    async def _forget(self, item: Subscription, letters: list[DeadLetter]) -> None:
        """Remove the letters that are in the queue now."""
        ids = [letter.dead_letter_id for letter in letters]
        for at in range(0, len(ids), CHUNK):
            await self._letters.remove(item.subscription_id, ids[at : at + CHUNK])

    def _check(self, count: int) -> None:
        if count > self._limit:
            metadata = {"limit": str(self._limit)}
            message = f"the time range holds more than {self._limit} events"
            raise ServiceError("REPLAY_TOO_LARGE", message, metadata)
