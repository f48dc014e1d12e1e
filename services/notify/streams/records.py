"""The kept records of each shard: append, read, find by time."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from notify.domain.events import Event, expand
from notify.streams import keys, scripts
from notify.streams.connection import Client, guarded
from notify.streams.decode import decode, time_us
from walletkit.chain import genesis_hash
from walletkit.payload import unpack

CACHED_RECORDS = 32
CACHED_EVENTS = 64_000
"""How many records and events in all are kept, for readers at nearly the same place.

A record usually has some hundred events; one of 1 MiB that is all postings has tens of thousands.
"""

_PAYLOAD = b"p"


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a shard; seq 0 and the genesis hash for none."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """A record, unpacked: it is looked through for wallets before it is read."""

    shard: int
    seq: int
    content: bytes


class Records:
    """Reads and writes the streams.

    Every call raises NOTIFY_UNAVAILABLE while Redis does not answer.
    """

    def __init__(self, client: Client, kept_records: int, kept_bytes: int) -> None:
        self._client = client
        self._bounds = (kept_records, kept_bytes)
        self._append = client.register_script(scripts.APPEND)
        self._events: OrderedDict[tuple[int, int], list[Event]] = OrderedDict()
        self._cached = 0

    async def head(self, shard: int) -> Head:
        """Return the last record of a shard."""
        with guarded():
            seq, hash_ = await self._client.hmget(keys.head(shard), ["seq", "hash"])
        return Head(int(seq), hash_) if seq else Head(0, genesis_hash(shard))

    async def heads(self) -> dict[int, int]:
        """Return the seq of the last record of every shard that has any."""
        with guarded():
            shards = sorted(int(shard) for shard in await self._client.smembers(keys.SHARDS))
            async with self._client.pipeline(transaction=False) as pipeline:
                for shard in shards:
                    pipeline.hget(keys.head(shard), "seq")
                found = await pipeline.execute()
        return {shard: int(seq) for shard, seq in zip(shards, found, strict=True) if seq}

    async def lengths(self, shards: Sequence[int]) -> dict[int, int]:
        """Return how many records are kept of each shard."""
        with guarded():
            async with self._client.pipeline(transaction=False) as pipeline:
                for shard in shards:
                    pipeline.xlen(keys.records(shard))
                found = await pipeline.execute()
        return dict(zip(shards, found, strict=True))

    async def append(
        self, shard: int, expected_seq: int, records: Sequence[tuple[int, bytes]], hash_: bytes
    ) -> Head:
        """Take records (seq, payload) behind ``expected_seq`` and move the head, in one step.

        Return the head afterwards; when it is not the last record's, nothing was done.
        """
        arguments: list[int | bytes] = [shard, expected_seq, hash_, *self._bounds]
        for seq, payload in records:
            arguments += (seq, payload)
        names = [keys.head(shard), keys.records(shard), keys.SHARDS]
        with guarded():
            seq, found = await self._append(keys=names, args=arguments)
        return Head(seq, found or genesis_hash(shard))

    async def read(self, shard: int, after: int, limit: int) -> list[Kept]:
        """Return the kept records behind ``after``.

        The first is later than the next one if that was trimmed.
        """
        with guarded():
            found = await self._client.xrange(keys.records(shard), f"{after + 1}-0", "+", limit)
        return [Kept(shard, _seq(id_), unpack(fields[_PAYLOAD])) for id_, fields in found]

    async def first_seq(self, shard: int) -> int | None:
        """Return the oldest kept record."""
        with guarded():
            found = await self._client.xrange(keys.records(shard), "-", "+", 1)
        return _seq(found[0][0]) if found else None

    async def last_before(self, shard: int, moment_us: int) -> int:
        """Return a record such that it and all kept before it are older than a moment.

        A shard's clock may step back by little between wallets: callers look at each event's own
        time, and ask for some seconds earlier.
        """
        first, head = await self.first_seq(shard), await self.head(shard)
        if first is None:
            return head.seq
        low, high = first - 1, head.seq
        while low < high:
            middle = (low + high + 1) // 2
            found = await self.read(shard, middle - 1, 1)
            if found and found[0].seq == middle and time_us(found[0].content) >= moment_us:
                high = middle - 1
            else:
                # Trimmed meanwhile counts as older, too.
                low = middle
        return low

    def events(self, kept: Kept) -> list[Event]:
        """Return a record's events.

        The same record always gives the same, so they are cached by its place.
        """
        place = (kept.shard, kept.seq)
        events = self._events.get(place)
        if events is None:
            events = expand(decode(kept.shard, kept.seq, kept.content))
            self._events[place] = events
            self._cached += len(events)
            while len(self._events) > CACHED_RECORDS or self._cached > CACHED_EVENTS:
                self._cached -= len(self._events.popitem(last=False)[1])
        return events


def _seq(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[0])
