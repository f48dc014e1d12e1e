"""Forget old transactions, and what only mattered while they could be reversed. SQL only.

Only where WALLET_TRANSACTION_DAYS says so. First whole months of `transactions` go, never one with
an open intent. What hangs on them by their ids (which legs have landed, what was reversed, links,
postings) is spread over all shards, and each row of it guards money: without its row in `inbox` a
leg would land again, without its row in `reversed` a transaction could be reversed again. So those
go only below every transaction and every intent that any shard still has, and an hour after that
was first seen: by then no command is under way that had read what is gone.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from functools import partial

import asyncmy
import structlog

from wallet.store import partitions
from wallet.store.retention import PAUSE_S, earlier_clock, over
from walletkit import clock
from walletkit.sql.literals import literal
from walletkit.sql.session import open_session, run_packet

CHUNK_ROWS = 1_000
"""Of one DELETE, by primary key."""
MAX_CHUNKS = 10_000
"""Of one table and round; the next round goes on."""
CHUNK_PAUSE_S = 0.05
PACKET_TIMEOUT_S = 10

HANGING = ("inbox", "links", "tx_lines", "reversed")
"""The tables whose rows are over with their transaction; each has its id first in its key."""

log = structlog.get_logger()


async def drop_months(url: str, days: int) -> int:
    """Drop every partition of `transactions` that is older than ``days``; return how many.

    One in which a transaction has an open intent stays, and all after it. Raise ``OSError``,
    ``MySQLError``, ``TimeoutError``.
    """
    dropped = 0
    connection = await open_session(url, autocommit=True, durable=False)
    try:
        await run_packet(
            connection, f"SET SESSION lock_wait_timeout={partitions.ALTER_LOCK_WAIT_S}"
        )
        step = partial(_drop_oldest, connection, timedelta(days=days))
        while await partitions.patiently(step):
            dropped += 1
            await asyncio.sleep(PAUSE_S)
    finally:
        connection.close()
    return dropped


async def _drop_oldest(connection: asyncmy.Connection, kept: timedelta) -> bool:
    now = await earlier_clock(connection)
    bounds = await partitions.bounds_of(connection, "transactions")
    old = over(bounds, now, kept)
    if not old:
        return False
    below = partitions.first_id(bounds[old[0]])
    held = f"SELECT EXISTS(SELECT 1 FROM intents WHERE tx_id<{literal(below)})"
    (((open_intents,),),) = await run_packet(connection, held)
    if open_intents:
        log.error("old transactions have open intents", partition=old[0])
        return False
    await run_packet(connection, f"ALTER TABLE transactions DROP PARTITION {old[0]}")
    log.info("partition dropped", table="transactions", partition=old[0])
    return True


async def line_of(urls: Iterable[str], days: int) -> bytes:
    """Return an id below which no shard has a transaction or an intent any more.

    Nor is anything below it younger than ``days``. Raise ``OSError``, ``MySQLError``,
    ``TimeoutError`` when a shard does not answer: then nobody knows.
    """
    return min([await _line_of(url, days) for url in urls])


async def _line_of(url: str, days: int) -> bytes:
    connection = await open_session(url, autocommit=True, durable=False)
    try:
        async with asyncio.timeout(PACKET_TIMEOUT_S):
            now = await earlier_clock(connection)
            packet = "SELECT MIN(tx_id) FROM transactions; SELECT MIN(tx_id) FROM intents"
            ((transaction,),), ((intent,),) = await run_packet(connection, packet)
    finally:
        connection.close()
    aged = partitions.first_id(now - timedelta(days=days))
    return min(one for one in (aged, transaction, intent) if one is not None)


async def delete_below(url: str, line: bytes) -> int:
    """Delete what hangs on transactions with ids below a line; return how many rows.

    By small DELETEs, with pauses in which writers get in between. Raise as ``drop_months``.
    """
    deleted = 0
    connection = await open_session(url, autocommit=True, durable=False)
    try:
        for table in HANGING:
            statement = (
                f"DELETE FROM {table} WHERE tx_id<{literal(line)} ORDER BY tx_id"
                f" LIMIT {CHUNK_ROWS}; SELECT ROW_COUNT()"
            )
            for _ in range(MAX_CHUNKS):
                async with asyncio.timeout(PACKET_TIMEOUT_S):
                    (((rows,),),) = await run_packet(connection, statement)
                deleted += rows
                if rows < CHUNK_ROWS:
                    break
                await asyncio.sleep(CHUNK_PAUSE_S)
    finally:
        connection.close()
    if deleted:
        made = clock.to_datetime(int.from_bytes(line[:6], "big") * 1_000)
        log.info("old rows deleted", rows=deleted, made_before=made.isoformat())
    return deleted
