"""Hold one shard's connections: one that writes, a few that read; reopened when they break."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import asyncmy
from asyncmy.errors import InterfaceError, OperationalError

from wallet.domain.batch import Batch
from wallet.store import probe
from wallet.store.collect import Collector
from wallet.store.load import PACKET_TIMEOUT_S, StaleEpochError, load
from wallet.store.needs import ReadSet
from wallet.store.save import save
from walletkit.errors import ServiceError
from walletkit.ids import SLOT_ACTIVE, SLOTS
from walletkit.sql.session import open_session, run_packet
from walletkit.telemetry.metrics import wallet as metrics

WRITERS = 1
READERS = 4
"""Most reading connections of a shard; further reads wait."""
LOOK_UPS = 2
"""More of them for looking at counterparties alone: slow reads must not hold up transfers."""
READER_WAIT_S = 2.0
"""Longest wait for a free reader; then a read is refused.

That many wait says nothing of the shard, so no connection is doubted for it.
"""
_SNAPSHOT = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT"
)
_BROKEN = (OSError, TimeoutError, EOFError, OperationalError, InterfaceError)

Found = TypeVar("Found")


class NotOurShardError(Exception):
    """The database behind a shard's url is not that shard, or is not to be written to."""


class Shard:
    """One shard, as its engine and its queries use it."""

    def __init__(self, number: int, url: str, *, durable: bool) -> None:
        """Name a shard; nothing is opened yet."""
        self.number = number
        self.local_slots: list[bool] = [False] * SLOTS
        self._url = url
        self._durable = durable
        self._epoch = 0
        self._writer: asyncmy.Connection | None = None
        self._idle_readers: list[asyncmy.Connection] = []
        self._reads = asyncio.Semaphore(READERS)
        self._look_ups = asyncio.Semaphore(LOOK_UPS)
        self._collectors: dict[object, Collector[Any]] = {}
        self._in_use = metrics.CONNECTIONS.of(str(number))
        self._waits = metrics.CONNECTION_WAITS.of(str(number))
        metrics.CONNECTIONS_MAX.of(str(number)).set(WRITERS + READERS + LOOK_UPS)

    async def open(self) -> None:
        """Connect, check that this is the shard, and read which slots it has and at which epoch."""
        writer = await self._write_connection()
        async with asyncio.timeout(PACKET_TIMEOUT_S):
            head, slots = await run_packet(
                writer, "SELECT shard,epoch FROM head WHERE id=1; SELECT slot,state FROM slots"
            )
            await run_packet(writer, "ROLLBACK")
        if not head or head[0][0] != self.number:
            message = f"the database of WALLET_SHARD_{self.number}_URL is not shard {self.number}"
            raise NotOurShardError(message)
        fenced = [slot for slot, state in slots if state != SLOT_ACTIVE]
        if fenced:
            message = f"shard {self.number} is fenced: {len(fenced)} slots are not active"
            raise NotOurShardError(message)
        owned = {slot for slot, _ in slots}
        self._epoch = head[0][1]
        self.local_slots[:] = [slot in owned for slot in range(SLOTS)]

    async def load(self, needs: ReadSet) -> Batch:
        """Lock and read what a batch needs; see ``wallet.store.load``."""
        return await load(await self._write_connection(), self.number, self._epoch, needs)

    async def peek(self, needs: ReadSet) -> Batch:
        """Read what a batch needs as of one moment, and lock nothing: for decisions without effect.

        Raise ``ServiceError`` SHARD_UNAVAILABLE or OVERLOADED, or what the driver raises of a
        faulty statement.
        """
        return await self._twice(partial(self._peek_once, needs), (*_BROKEN, StaleEpochError))

    async def _peek_once(self, needs: ReadSet) -> Batch:
        async with self._reader(self._reads) as reader:
            await run_packet(reader, _SNAPSHOT)
            batch = await load(reader, self.number, self._epoch, needs, lock=False)
            await run_packet(reader, "ROLLBACK")
        return batch

    async def save(self, batch: Batch) -> int:
        """Write a batch and commit; see ``wallet.store.save``."""
        return await save(await self._write_connection(), self._epoch, batch)

    async def rollback(self) -> None:
        """Undo whatever the writing session holds; drop it if that can't be told to the server."""
        if self._writer is None:
            return
        try:
            async with asyncio.timeout(PACKET_TIMEOUT_S):
                await run_packet(self._writer, "ROLLBACK")
        except Exception:  # noqa: BLE001  # a session that can't roll back must not be used again
            self.drop_writer()

    def drop_writer(self) -> None:
        """Give the writing session up; the server rolls back what it had not committed."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def ping(self) -> None:
        """Keep the idle writing session alive, and learn whether the shard answers."""
        writer = await self._write_connection()
        async with asyncio.timeout(PACKET_TIMEOUT_S):
            await run_packet(writer, "SELECT 1; ROLLBACK")

    async def blocked(self, locks: set[bytes]) -> set[bytes]:
        """Return those of the rows that another session holds locked; see ``probe``."""
        writer = await self._write_connection()
        async with asyncio.timeout(PACKET_TIMEOUT_S):
            return await probe.blocked(writer, locks)

    async def find(
        self,
        read: "Callable[[Shard, Collection[bytes]], Awaitable[Mapping[bytes, Found]]]",
        id_: bytes,
    ) -> Found | None:
        """Read what ``read``, a query of ``queries``, finds of one id; with others who ask for it.

        Raise ``ServiceError`` SHARD_UNAVAILABLE or OVERLOADED.
        """
        collector: Collector[Found] | None = self._collectors.get(read)
        if collector is None:
            collector = Collector(partial(read, self), self._overloaded)
            self._collectors[read] = collector
        return await collector.get(id_)

    async def query(self, sql: str, args: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one reading statement, its ``args`` bound; a broken connection is replaced once.

        Raise ``ServiceError`` SHARD_UNAVAILABLE or OVERLOADED.
        """
        return await self._twice(partial(self._query_once, self._reads, sql, args), _BROKEN)

    async def look_up(self, sql: str) -> list[tuple[object, ...]]:
        """Run one reading statement that a transfer waits for, beside all that only read.

        Raise ``ServiceError`` SHARD_UNAVAILABLE or OVERLOADED.
        """
        return await self._twice(partial(self._query_once, self._look_ups, sql, ()), _BROKEN)

    async def _twice(
        self, read: Callable[[], Awaitable[Found]], broken: tuple[type[Exception], ...]
    ) -> Found:
        """Read, and where a connection turns out to be broken once more, on a fresh one."""
        try:
            return await read()
        except broken:
            self._close_idle()
        try:
            return await read()
        except broken as error:
            number = str(self.number)
            message = f"shard {number} does not answer"
            raise ServiceError("SHARD_UNAVAILABLE", message, {"shard": number}) from error

    async def _query_once(
        self, room: asyncio.Semaphore, sql: str, args: Sequence[object]
    ) -> list[tuple[object, ...]]:
        async with self._reader(room) as reader, reader.cursor() as cursor:
            await cursor.execute(sql, tuple(args) or None)
            return list(await cursor.fetchall())

    @asynccontextmanager
    async def _reader(self, room: asyncio.Semaphore) -> AsyncIterator[asyncmy.Connection]:
        """Lend a reader out; the time for what it is used for begins when it is had."""
        await self._wait_for(room)
        self._in_use.add(1)
        try:
            async with asyncio.timeout(PACKET_TIMEOUT_S):
                if self._idle_readers:
                    reader = self._idle_readers.pop()
                else:
                    reader = await open_session(self._url, autocommit=True, durable=False)
                try:
                    yield reader
                except BaseException:
                    reader.close()
                    raise
                self._idle_readers.append(reader)
        finally:
            self._in_use.add(-1)
            room.release()

    async def _wait_for(self, room: asyncio.Semaphore) -> None:
        """Take a place among the readers. Raise ``ServiceError`` OVERLOADED."""
        if not room.locked():
            # A timeout costs a tenth of a lone read; this one could not pass.
            await room.acquire()
            return
        began = time.perf_counter()
        try:
            async with asyncio.timeout(READER_WAIT_S):
                await room.acquire()
        except TimeoutError:
            raise self._overloaded() from None
        finally:
            self._waits.observe(time.perf_counter() - began)

    def _overloaded(self) -> ServiceError:
        number = str(self.number)
        message = f"too many reads of shard {number} wait; nothing was changed"
        return ServiceError("OVERLOADED", message, {"shard": number})

    async def _write_connection(self) -> asyncmy.Connection:
        if self._writer is None:
            self._writer = await open_session(self._url, autocommit=False, durable=self._durable)
        return self._writer

    def _close_idle(self) -> None:
        while self._idle_readers:
            self._idle_readers.pop().close()

    def close(self) -> None:
        """Close every connection."""
        self.drop_writer()
        self._close_idle()
