"""Keep the newest records of a shard in memory, so that two sinks don't read the same rows twice.

One task polls; any number of feeds wait for what comes. It is bounded: a feed that is too far
behind reads SQL itself until it has caught up, and so holds nobody.
"""

import asyncio
import random
from collections.abc import Sequence

import structlog

from guilder.events.v1.record_pb2 import SequencedRecord
from wallet.relay.lag import Behind
from wallet.relay.outbox import CHUNK_ROWS, Outbox, OutboxError, Position, PurgedError

BUSY_POLL_S = 0.015
LOADED_POLL_S = 0.1
"""Between polls that find several records: a message costs 0.5 ms of CPU, however much it holds."""
IDLE_POLL_S = 0.1
IDLE_GROWTH = 1.5
TAIL_ROWS = 2_048
TAIL_BYTES = 8 * 1024 * 1024
MESSAGE_ROWS = 64
MESSAGE_BYTES = 1024 * 1024
FIRST_RETRY_S = 0.1
LAST_RETRY_S = 3.0

log = structlog.get_logger()


class TailLostError(Exception):
    """What follows a position is not to be had: verify the position again.

    The shard was read anew meanwhile, perhaps from another server, or another relay has brought the
    sink further and purged what it has.
    """


class BehindTailError(Exception):
    """The records behind the position are no longer in memory."""


class Tail:
    """The newest records of one shard, from the head at the time when it was last connected."""

    def __init__(self, outbox: Outbox, followers: Sequence[Behind] = ()) -> None:
        """Take over ``outbox``; nothing is read until ``run``. Tell followers of the head."""
        self._outbox = outbox
        self._followers = list(followers)
        self._records: dict[int, SequencedRecord] = {}
        self._bytes = 0
        self._first = 0
        self._last = Position(0, b"")
        self._generation = 0
        self._connected = asyncio.Event()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Poll for ever; after an error start anew at the head."""
        delay = FIRST_RETRY_S
        reported = ""
        while True:
            generation = self._generation
            try:
                await self._follow()
            except PurgedError:
                # By another relay, while this one slept. What a sink lacks shows when it is fed.
                log.info("records were purged: reading anew", shard=self._outbox.shard)
            except OutboxError as error:
                log.critical("outbox is broken", shard=self._outbox.shard, error=str(error))
            except Exception as error:  # noqa: BLE001  # one shard's trouble must not end the others
                if repr(error) != reported:
                    reported = repr(error)
                    log.warning("shard can't be read", shard=self._outbox.shard, error=reported)
            finally:
                self._outbox.close()
            self._connected.clear()
            if generation != self._generation:
                delay, reported = FIRST_RETRY_S, ""
            await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311  # jitter
            delay = min(delay * 2, LAST_RETRY_S)

    def tell(self, follower: Behind) -> None:
        """Tell one more of the head, from now on."""
        self._followers.append(follower)
        follower.advance(self._last.seq)

    async def connected(self) -> int:
        """Wait until the shard answers, and return the generation of this connection."""
        await self._connected.wait()
        return self._generation

    async def following(
        self, position: Position, generation: int, rows: int
    ) -> list[SequencedRecord]:
        """Wait for the records right behind a position; at most what one message may hold.

        That they continue its hash is for the caller to check. Raise ``TailLostError`` or
        ``BehindTailError``.
        """
        while generation == self._generation:
            if position.seq + 1 < self._first:
                raise BehindTailError
            if position.seq < self._last.seq:
                return self._slice(position.seq + 1, min(rows, MESSAGE_ROWS))
            await self._changed.wait()
        raise TailLostError

    async def _follow(self) -> None:
        head = await self._outbox.head()
        self._restart(head)
        pause = BUSY_POLL_S
        while True:
            records = await self._outbox.read(self._last)
            if records:
                self._append(records)
                pause = BUSY_POLL_S if len(records) == 1 else LOADED_POLL_S
            else:
                pause = min(pause * IDLE_GROWTH, IDLE_POLL_S)
            if len(records) < CHUNK_ROWS:
                await asyncio.sleep(pause)

    def _restart(self, head: Position) -> None:
        self._records.clear()
        self._bytes = 0
        self._first, self._last = head.seq + 1, head
        self._generation += 1
        self._advance()
        self._connected.set()
        self._wake()

    def _append(self, records: list[SequencedRecord]) -> None:
        for record in records:
            self._records[record.seq] = record
            self._bytes += len(record.payload)
        self._last = Position(records[-1].seq, records[-1].hash)
        self._advance()
        while len(self._records) > TAIL_ROWS or (
            self._bytes > TAIL_BYTES and self._first < self._last.seq
        ):
            self._bytes -= len(self._records.pop(self._first).payload)
            self._first += 1
        self._wake()

    def _advance(self) -> None:
        for follower in self._followers:
            follower.advance(self._last.seq)

    def _wake(self) -> None:
        """Wake whoever waits, and give those who wait from now on a fresh event."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _slice(self, seq: int, rows: int) -> list[SequencedRecord]:
        records = [self._records[seq]]
        size = len(records[0].payload)
        for following in range(seq + 1, min(seq + rows, self._last.seq + 1)):
            record = self._records[following]
            size += len(record.payload)
            if size > MESSAGE_BYTES:
                break
            records.append(record)
        return records
