"""A small, bounded pool of sessions for reads. Every wait in it has an end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncmy
from asyncmy.errors import MySQLError

from walletkit.errors import ServiceError
from walletkit.sql.session import Rows, open_session, run_packet
from walletkit.telemetry.metrics import ledger as metrics

READ_TIMEOUT_S = 10
ACQUIRE_TIMEOUT_S = 5
MAX_IDLE_S = 20
"""A session idle for longer is opened anew: the server may have dropped it."""

_ROOT_CAUSES = (OSError, MySQLError, TimeoutError)


class Session:
    """A leased session; each packet of statements has a deadline."""

    def __init__(self, connection: asyncmy.Connection, answer_s: float = READ_TIMEOUT_S) -> None:
        self._connection = connection
        self._answer_s = answer_s

    async def run(self, packet: str) -> list[Rows]:
        """Send statements and return the rows of each that has any."""
        async with asyncio.timeout(self._answer_s):
            return await run_packet(self._connection, packet)

    async def rows(self, query: str) -> Rows:
        """Return the rows of one query."""
        (rows,) = await self.run(query)
        return rows


class Pool:
    """At most ``size`` sessions, autocommitting; the one used last is used next.

    ``answer_s`` is how long a packet may take.
    """

    def __init__(self, url: str, size: int, name: str, answer_s: float = READ_TIMEOUT_S) -> None:
        self._url = url
        self._answer_s = answer_s
        self._free = asyncio.Semaphore(size)
        self._in_use = metrics.CONNECTIONS.of(name)
        self._waits = metrics.CONNECTION_WAITS.of(name)
        metrics.CONNECTIONS_MAX.of(name).set(size)
        self._idle: list[tuple[float, asyncmy.Connection]] = []

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Lease a session.

        Raise ``ServiceError`` (LEDGER_UNAVAILABLE) when the database does not answer in time.
        """
        async with self._lease() as connection:
            yield Session(connection, self._answer_s)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Session]:
        """Lease a session that sees one moment of the database, whatever is written meanwhile."""
        async with self._lease() as connection:
            session = Session(connection, self._answer_s)
            await session.run(
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
                " START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
            )
            yield session
            await session.run("ROLLBACK")

    async def close(self) -> None:
        """Close what is idle; leased sessions close when they come back late."""
        while self._idle:
            self._idle.pop()[1].close()

    @asynccontextmanager
    async def _lease(self) -> AsyncIterator[asyncmy.Connection]:
        await self._acquire()
        self._in_use.add(1)
        connection: asyncmy.Connection | None = None
        try:
            connection = await self._connection()
            yield connection
            self._idle.append((time.monotonic(), connection))
            connection = None
        except _ROOT_CAUSES as error:
            raise ServiceError("LEDGER_UNAVAILABLE", f"the database failed: {error}") from error
        finally:
            if connection is not None:
                # What is left of a failed call may still be on its way: don't use it again.
                connection.close()
            self._in_use.add(-1)
            self._free.release()

    async def _acquire(self) -> None:
        began = time.perf_counter() if self._free.locked() else None
        try:
            async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
                await self._free.acquire()
        except TimeoutError as error:
            raise ServiceError("LEDGER_UNAVAILABLE", "all sessions are in use") from error
        finally:
            if began is not None:
                self._waits.observe(time.perf_counter() - began)

    async def _connection(self) -> asyncmy.Connection:
        while self._idle:
            used_at, connection = self._idle.pop()
            if time.monotonic() - used_at < MAX_IDLE_S:
                return connection
            connection.close()
        return await open_session(self._url, autocommit=True, durable=False)
