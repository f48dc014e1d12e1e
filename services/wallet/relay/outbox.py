"""Read one shard's outbox in order, compare sinks' positions with it, fence, delete. SQL only.

The primary alone is read. A record that is not committed yet is invisible, and ``head`` is locked
until COMMIT, so the order of seq is the order of commits and there is never a gap, except where
records were purged.
"""

import asyncio
from collections.abc import Awaitable
from enum import Enum
from typing import NamedTuple, TypeVar

import asyncmy

from guilder.events.v1.record_pb2 import Record, SequencedRecord
from walletkit.chain import genesis_hash
from walletkit.clock import to_us
from walletkit.ids import SLOT_FENCED
from walletkit.payload import unpack
from walletkit.sql.literals import literal
from walletkit.sql.session import Rows, open_session, run_packet

QUERY_TIMEOUT_S = 5
CHUNK_ROWS = 64
CHUNK_BYTES = 4 * 1024 * 1024
"""A chunk that is larger makes the following ones shorter; one record may exceed it."""

T = TypeVar("T")


class Position(NamedTuple):
    """A place in a shard's stream: the last record, and its hash."""

    seq: int
    hash: bytes


class Standing(Enum):
    """Where a sink stands against its shard."""

    IN_ORDER = "in order"
    PURGED = "purged"
    AHEAD = "ahead"
    DIFFERENT = "different"


class OutboxError(RuntimeError):
    """The outbox can't be read on from a position."""


class PurgedError(OutboxError):
    """The records right behind the position are no longer kept."""


class ChainError(OutboxError):
    """A record does not continue the chain: this is another history, or one is missing."""


class WrongShardError(OutboxError):
    """The database behind the url is not this shard."""


class Outbox:
    """One session on a shard's primary, opened when it is needed; any error closes it."""

    def __init__(self, url: str, shard: int, *, durable: bool) -> None:
        """Name the shard. ``durable``: refuse a server that shows commits before they are durable.

        A sink must never get what a crash of the shard may take back.
        """
        self.shard = shard
        self._url = url
        self._durable = durable
        self._session: asyncmy.Connection | None = None
        self._rows = CHUNK_ROWS

    async def head(self) -> Position:
        """Return the position of the last committed record."""
        return (await self._within_deadline(self._head()))[0]

    async def read(self, after: Position, rows: int = CHUNK_ROWS) -> list[SequencedRecord]:
        """Return the records right behind a position; none where it is the newest.

        Raise ``PurgedError`` or ``ChainError`` when what is there does not follow from it.
        """
        limit = min(rows, self._rows)
        found = (
            await self._run(
                "SELECT seq,prev_hash,hash,payload FROM outbox"  # noqa: S608  # integers
                f" WHERE seq>{literal(after.seq)} ORDER BY seq LIMIT {literal(limit)}"
            )
        )[0]
        self._check(after, found)
        size = sum(len(row[3]) for row in found)
        if size > CHUNK_BYTES:
            self._rows = max(1, self._rows // 2)
        elif size < CHUNK_BYTES // 4 and len(found) == self._rows:
            self._rows = min(CHUNK_ROWS, self._rows * 2)
        return [
            SequencedRecord(seq=seq, prev_hash=prev_hash, hash=hash_, payload=payload)
            for seq, prev_hash, hash_, payload in found
        ]

    async def compare(self, sink: Position) -> tuple[Standing, Position]:
        """Tell where a sink's position stands, and the head that it was compared with.

        The head is read after the sink has answered, so a sink beyond it has what was never
        committed here.
        """
        head, next_prev_hash = await self._within_deadline(self._head(sink.seq + 1))
        if sink.seq > head.seq:
            return Standing.AHEAD, head
        if sink.seq == head.seq:
            expected: bytes | None = head.hash
        elif sink.seq == 0:
            expected = genesis_hash(self.shard)
        else:
            expected = next_prev_hash
        if expected is not None and expected != sink.hash:
            return Standing.DIFFERENT, head
        if sink.seq < head.seq and next_prev_hash is None:
            return Standing.PURGED, head
        return Standing.IN_ORDER, head

    async def fence(self) -> bool:
        """Stop every writer of this shard: its slots are FENCED and its epoch moves on.

        That lasts until an operator makes the slots active again. Return False where it was fenced
        already. Locks slots before ``head``, as writers do.
        """
        count = f"SELECT COUNT(*),COALESCE(SUM(state<>{SLOT_FENCED}),0) FROM slots"  # noqa: S608
        ((slots, unfenced),) = (await self._run(count))[0]
        if slots and not unfenced:
            return False
        await self._run(
            f"START TRANSACTION; UPDATE slots SET state={SLOT_FENCED};"  # noqa: S608
            " UPDATE head SET epoch=epoch+1 WHERE id=1; COMMIT"
        )
        return True

    async def oldest(self) -> int:
        """Return the seq of the oldest record that is kept; of a shard without any the next one."""
        packet = (
            "SELECT (SELECT seq FROM outbox ORDER BY seq LIMIT 1),"
            "(SELECT seq+1 FROM head WHERE id=1)"
        )
        ((oldest, following),) = (await self._run(packet))[0]
        return int(oldest if oldest is not None else following)

    async def age_us(self, seq: int) -> int | None:
        """Return how long ago, by the shard's clock, a record was written; None: it is not kept."""
        packet = f"SELECT payload,UTC_TIMESTAMP(6) FROM outbox WHERE seq={literal(seq)}"  # noqa: S608
        found = (await self._run(packet))[0]
        if not found:
            return None
        payload, now = found[0]
        return to_us(now) - Record.FromString(unpack(payload)).time_us

    async def delete(self, first: int, last: int) -> None:
        """Delete records, by primary key. How many there are at once is for the caller to bound."""
        await self._run(
            f"DELETE FROM outbox WHERE seq BETWEEN {literal(first)} AND {literal(last)}"  # noqa: S608
        )

    def close(self) -> None:
        """Close the session; the next use opens another."""
        if self._session is not None:
            self._session.close()
            self._session = None

    async def _head(self, following: int = 0) -> tuple[Position, bytes | None]:
        packet = (
            "SELECT shard,seq,hash FROM head WHERE id=1;"  # noqa: S608  # an integer
            f" SELECT prev_hash FROM outbox WHERE seq={literal(following)}"
        )
        head, row = await self._packet(packet)
        if not head or head[0][0] != self.shard:
            found = head[0][0] if head else "no shard"
            raise WrongShardError(f"the database of shard {self.shard} is {found}")
        _, seq, hash_ = head[0]
        return Position(seq, hash_), row[0][0] if row else None

    def _check(self, after: Position, found: Rows) -> None:
        last = after
        for seq, prev_hash, hash_, _ in found:
            if seq != last.seq + 1:
                # The oldest are purged first: a record that is missing later was not purged.
                kind = PurgedError if last is after else ChainError
                raise kind(f"shard {self.shard}: {seq} follows {last.seq}")
            if prev_hash != last.hash:
                raise ChainError(f"shard {self.shard}: {seq} does not continue {last.seq}")
            last = Position(seq, hash_)

    async def _run(self, packet: str) -> list[Rows]:
        return await self._within_deadline(self._packet(packet))

    async def _packet(self, packet: str) -> list[Rows]:
        if self._session is None:
            self._session = await open_session(self._url, autocommit=True, durable=self._durable)
        return await run_packet(self._session, packet)

    async def _within_deadline(self, work: Awaitable[T]) -> T:
        """Await SQL; whatever breaks it, a late cancellation included, closes the session."""
        try:
            async with asyncio.timeout(QUERY_TIMEOUT_S):
                return await work
        except BaseException:
            self.close()
            raise
