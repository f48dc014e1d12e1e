"""Bring shards into being: databases, schema, partitions, ``head``, slots. Run by ``migrate``.

Everything here can be run again, at any time, and after it broke anywhere: it only adds what is
missing, and refuses what does not fit. Slots are given out once, when no shard has any; from then
on the tables are the truth.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncmy
import structlog

from wallet.store import partitions
from walletkit.chain import genesis_hash
from walletkit.ids import SLOT_ACTIVE, SLOTS
from walletkit.sql.literals import literal, rows
from walletkit.sql.migrate import upgrade
from walletkit.sql.session import create_database, open_session, run_packet

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
STEP_TIMEOUT_S = 30

FIRST_EPOCH = 1

log = structlog.get_logger()


class BootstrapError(RuntimeError):
    """The shards' tables don't fit what is configured; the shard named was not changed."""


async def bootstrap(urls: Sequence[str]) -> None:
    """Create what is missing on every shard; ``urls`` in the order of the shards' numbers.

    Raise ``BootstrapError``, and ``OSError``, ``MySQLError`` or ``TimeoutError`` when a shard does
    not answer.
    """
    for shard, url in enumerate(urls):
        await create_database(url)
        await upgrade(url, MIGRATIONS)
        await _ensure_head(url, shard)
        partitions.check(await partitions.extend(url), shard)
    await _ensure_slots(urls)
    log.info("shards are ready", shards=len(urls))


async def _ensure_head(url: str, shard: int) -> None:
    """Write the row before the first record, or check that the one there is this shard's."""
    async with _session(url) as connection:
        packet = """SELECT shard FROM head WHERE id=1;
            SELECT EXISTS(SELECT 1 FROM outbox), EXISTS(SELECT 1 FROM balances)"""
        head, ((records, balances),) = await run_packet(connection, packet)
        if head and head[0][0] != shard:
            raise BootstrapError(
                f"shard {shard}: this database is shard {head[0][0]}: check the order of the urls"
            )
        if not head and (records or balances):
            raise BootstrapError(f"shard {shard}: it has records or balances, but no head")
        if not head:
            genesis = literal(genesis_hash(shard))
            row = f"1,{shard},0,{genesis},{genesis},{FIRST_EPOCH},0"
            columns = "id,shard,seq,prev_hash,hash,epoch,clock_us"
            await run_packet(connection, f"INSERT INTO head({columns}) VALUES ({row}); COMMIT")
            log.info("shard created", shard=shard)


async def _ensure_slots(urls: Sequence[str]) -> None:
    """Give out the slots in even ranges when nobody has any; finish it where it was cut short."""
    owned = [await _owned(url) for url in urls]
    total = sum(map(len, owned))
    if len(frozenset().union(*owned)) != total:
        raise BootstrapError("slots are owned by more than one shard")
    planned = [_range(shard, len(urls)) for shard in range(len(urls))]
    if total == SLOTS:
        for shard in (n for n, slots in enumerate(owned) if not slots):
            log.warning("shard has no slots: nothing is routed to it", shard=shard)
        return
    for shard, url in enumerate(urls):
        if owned[shard] and owned[shard] != set(planned[shard]):
            raise BootstrapError(
                f"shard {shard}: {SLOTS - total} slots are owned by no shard: is a url missing?"
            )
        if not owned[shard]:
            await _give_slots(url, shard, planned[shard])


def _range(shard: int, shards: int) -> range:
    """Return a shard's even part of the slots."""
    return range(SLOTS * shard // shards, SLOTS * (shard + 1) // shards)


async def _owned(url: str) -> set[int]:
    async with _session(url) as connection:
        return {slot for (slot,) in (await run_packet(connection, "SELECT slot FROM slots"))[0]}


async def _give_slots(url: str, shard: int, slots: range) -> None:
    """Insert a shard's slots; refuse one that was in use already, for then its slots were lost."""
    async with _session(url) as connection:
        ((seq,),) = (await run_packet(connection, "SELECT seq FROM head WHERE id=1 FOR UPDATE"))[0]
        if seq != 0:
            raise BootstrapError(f"shard {shard}: it has records up to {seq}, but no slots")
        values = rows((slot, SLOT_ACTIVE, FIRST_EPOCH) for slot in slots)
        await run_packet(connection, f"INSERT INTO slots(slot,state,epoch) VALUES {values}; COMMIT")
        log.info("slots given", shard=shard, first=slots[0], last=slots[-1])


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[asyncmy.Connection]:
    """Open a session for one step; what was not committed at its end is undone by the server."""
    connection = await open_session(url, autocommit=False, durable=False)
    try:
        async with asyncio.timeout(STEP_TIMEOUT_S):
            yield connection
    finally:
        connection.close()
