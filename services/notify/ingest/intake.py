"""Take in a shard's records: in order, hash chain checked, each once, many in one step.

The relay learns from the first answer where to go on. When Redis has lost its last second the
position here is not the stored one any more: the stream ends with UNAVAILABLE, the relay opens
again and resends.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from notify.streams.decode import check_version
from notify.streams.records import Head, Records
from notify.streams.tail import Tail
from walletkit.chain import next_hash
from walletkit.errors import ServiceError
from walletkit.telemetry.metrics.notify import RECORDS


@dataclass(frozen=True, slots=True)
class Sequenced:
    """A record as the relay sends it."""

    seq: int
    prev_hash: bytes
    hash: bytes
    payload: bytes


class Intake:
    """One relay's stream of one shard.

    Other streams may write the same shard: the script compares the head.
    """

    def __init__(self, records: Records, tail: Tail, shard: int) -> None:
        self._records = records
        self._tail = tail
        self.shard = shard
        self.head = Head(0, b"")
        self._taken = RECORDS.of(str(shard))

    async def open(self) -> Head:
        """Return the stored position."""
        self.head = await self._records.head(self.shard)
        return self.head

    async def check(self) -> None:
        """Raise NOTIFY_UNAVAILABLE when the stored position has gone back."""
        stored = await self._records.head(self.shard)
        if stored.seq < self.head.seq:
            raise self._moved(stored)
        self.head = stored

    async def take(self, records: Sequence[Sequenced]) -> Head:
        """Store what is new, and return the position afterwards.

        Raise RECORD_GAP, CHAIN_BROKEN, RECORD_CONFLICT or RECORD_VERSION_UNKNOWN: then nothing from
        the faulty record on is stored. Raise NOTIFY_UNAVAILABLE when Redis does not answer or has
        lost its last second.
        """
        head, fresh, fault = self._sift(records)
        if fresh:
            stored = await self._records.append(self.shard, self.head.seq, fresh, head.hash)
            if stored.seq < self.head.seq:
                raise self._moved(stored)
            if stored.seq < head.seq or (stored.seq == head.seq and stored.hash != head.hash):
                # Another relay has stored a part of these: look again from there.
                self.head = stored
                return await self.take(records)
            self.head = stored
            self._taken.add(len(fresh))
            self._tail.advance(self.shard, stored.seq)
        if fault is not None:
            raise fault
        return self.head

    def _sift(
        self, records: Sequence[Sequenced]
    ) -> tuple[Head, list[tuple[int, bytes]], ServiceError | None]:
        """Return where the sound new records lead, these, and what is wrong behind them."""
        head, fresh = self.head, list[tuple[int, bytes]]()
        for record in records:
            if record.seq < head.seq:
                continue
            try:
                if record.seq == head.seq:
                    self._check_same(head, record)
                    continue
                self._check_next(head, record)
                check_version(self.shard, record.seq, record.payload)
            except ServiceError as fault:
                return head, fresh, fault
            fresh.append((record.seq, record.payload))
            head = Head(record.seq, record.hash)
        return head, fresh, None

    def _check_same(self, head: Head, record: Sequenced) -> None:
        if record.hash != head.hash:
            message = "another record with this seq is here already"
            raise self._error("RECORD_CONFLICT", message, head, record)

    def _check_next(self, head: Head, record: Sequenced) -> None:
        if record.seq != head.seq + 1:
            message = f"record {record.seq} does not follow {head.seq}"
            raise self._error("RECORD_GAP", message, head, record)
        if record.prev_hash != head.hash or record.hash != next_hash(head.hash, record.payload):
            message = f"record {record.seq} does not continue the hash chain"
            raise self._error("CHAIN_BROKEN", message, head, record)

    def _error(self, reason: str, message: str, head: Head, record: Sequenced) -> ServiceError:
        places = {"shard": self.shard, "seq": record.seq, "head": head.seq}
        return ServiceError(reason, message, {name: str(place) for name, place in places.items()})

    def _moved(self, stored: Head) -> ServiceError:
        metadata = {"shard": str(self.shard), "seq": str(stored.seq)}
        message = f"shard {self.shard} is back at record {stored.seq}: open the stream again"
        return ServiceError("NOTIFY_UNAVAILABLE", message, metadata)
