"""Read one consistent snapshot of a shard: where in its stream it was taken, and all it holds. SQL.

The snapshot is a transaction of its own session at REPEATABLE READ: it locks nothing, but the
server keeps old versions of rows while it lasts, so its time is bounded.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncmy
from asyncmy.errors import MySQLError

from walletkit.ids import NIL
from walletkit.sql.literals import literal
from walletkit.sql.session import Rows, UnsafeServerError, open_session, run_packet

CHUNK_ROWS = 1_000
QUERY_TIMEOUT_S = 10
MAX_DURATION_S = 300

_EPOCH = "TIMESTAMP'1970-01-01 00:00:00.000000'"


class SnapshotError(Exception):
    """The shard did not answer, or not in time, or is not the one that it should be."""


class BalanceRow(NamedTuple):
    """A customer wallet; amounts in minor units."""

    wallet_id: bytes
    currency: str
    posted: int
    held: int
    overdraft_limit: int
    version: int
    status: int
    flags: int


class SystemRow(NamedTuple):
    """A system wallet; ``posted`` in minor units, of up to 38 digits."""

    kind: int
    currency: str
    posted: int


class IntentRow(NamedTuple):
    """A credit on its way to another shard; ``amount`` in minor units."""

    tx_id: bytes
    leg: int
    destination: bytes
    currency: str
    amount: int


class HoldRow(NamedTuple):
    """An open hold; amounts in minor units, the time in microseconds."""

    hold_id: bytes
    wallet_id: bytes
    currency: str
    state: int
    authorized: int
    captured: int
    released: int
    expire_time_us: int


class Snapshot:
    """One view of a shard; every method reads as of the same commit. Raises ``SnapshotError``."""

    def __init__(self, session: asyncmy.Connection, seq: int, hash_: bytes) -> None:
        """Take the session that holds the snapshot, and the record after which it was taken."""
        self.seq = seq
        self.hash = hash_
        self._session = session
        self._ends_at = asyncio.get_running_loop().time() + MAX_DURATION_S

    async def balances(self) -> AsyncIterator[list[BalanceRow]]:
        """Yield the customer wallets in chunks, by ascending id."""
        last = NIL
        columns = ",".join(BalanceRow._fields)
        while True:
            chunk = await self._query(
                f"SELECT {columns} FROM balances WHERE wallet_id>{literal(last)}"
                f" ORDER BY wallet_id LIMIT {CHUNK_ROWS}"
            )
            if not chunk:
                return
            yield [BalanceRow(*row) for row in chunk]
            last = chunk[-1][0]

    async def system_wallets(self) -> list[SystemRow]:
        """Return the system wallets; there is one of each kind and currency at most."""
        found = await self._query("SELECT kind,currency,posted FROM system_wallets")
        return [SystemRow(kind, currency, int(posted)) for kind, currency, posted in sorted(found)]

    async def intents(self) -> AsyncIterator[list[IntentRow]]:
        """Yield the open intents in chunks, by ascending transaction and leg."""
        tx_id, leg = NIL, 0
        columns = ",".join(IntentRow._fields)
        while True:
            chunk = await self._query(
                f"SELECT {columns} FROM intents WHERE tx_id>{literal(tx_id)}"
                f" OR (tx_id={literal(tx_id)} AND leg>{literal(leg)})"
                f" ORDER BY tx_id,leg LIMIT {CHUNK_ROWS}"
            )
            if not chunk:
                return
            yield [IntentRow(*row) for row in chunk]
            tx_id, leg = chunk[-1][:2]

    async def holds(self) -> AsyncIterator[list[HoldRow]]:
        """Yield the open holds in chunks, in the order in which they end."""
        above = "open_until IS NOT NULL"
        columns = ",".join(HoldRow._fields[:-1])
        while True:
            chunk = await self._query(
                f"SELECT {columns},TIMESTAMPDIFF(MICROSECOND,{_EPOCH},expires_at),"
                f" TIMESTAMPDIFF(MICROSECOND,{_EPOCH},open_until) FROM holds WHERE {above}"
                f" ORDER BY open_until,hold_id LIMIT {CHUNK_ROWS}"
            )
            if not chunk:
                return
            yield [HoldRow(*row[:-1]) for row in chunk]
            hold_id, until_us = chunk[-1][0], chunk[-1][-1]
            until = f"TIMESTAMPADD(MICROSECOND,{literal(until_us)},{_EPOCH})"
            above = f"open_until>{until} OR (open_until={until} AND hold_id>{literal(hold_id)})"

    async def _query(self, sql: str) -> Rows:
        if asyncio.get_running_loop().time() > self._ends_at:
            raise SnapshotError(f"the snapshot took longer than {MAX_DURATION_S} s")
        return (await _run(self._session, sql))[0]


@asynccontextmanager
async def open_snapshot(url: str, shard: int) -> AsyncIterator[Snapshot]:
    """Take a snapshot; it ends with the block. Raise ``SnapshotError``."""
    try:
        session = await open_session(url, autocommit=True, durable=False)
    except (OSError, EOFError, MySQLError, UnsafeServerError) as error:
        raise SnapshotError(f"shard {shard} does not answer") from error
    try:
        begin = (
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
            " START TRANSACTION WITH CONSISTENT SNAPSHOT;"
            " SELECT shard,seq,hash FROM head WHERE id=1"
        )
        head = (await _run(session, begin))[0]
        if not head or head[0][0] != shard:
            raise SnapshotError(f"the database of shard {shard} is another one")
        _, seq, hash_ = head[0]
        yield Snapshot(session, seq, hash_)
    finally:
        session.close()


async def _run(session: asyncmy.Connection, sql: str) -> list[Rows]:
    try:
        async with asyncio.timeout(QUERY_TIMEOUT_S):
            return await run_packet(session, sql)
    except (OSError, EOFError, MySQLError) as error:
        raise SnapshotError("the shard stopped answering") from error
