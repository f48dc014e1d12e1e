"""Partitions exist long before an insert needs them, whoever is at work meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from tests.conftest import FreshDatabases
from tests.wallet.shard_sql import query
from wallet.store import partitions
from wallet.store.bootstrap import bootstrap
from walletkit.clock import day_of, to_us
from walletkit.sql.literals import literal
from walletkit.sql.session import open_session, run_packet


@pytest.fixture
async def url(fresh_databases: FreshDatabases) -> str:
    """A shard with its schema and partitions."""
    await bootstrap(fresh_databases.shards[:1])
    return fresh_databases.shards[0]


async def names(url: str) -> list[tuple[str, str]]:
    """List tables and partitions in their order."""
    return [
        (table, name)
        for table, name in await query(
            url,
            "SELECT table_name,partition_name FROM information_schema.partitions"
            " WHERE table_schema=DATABASE() AND partition_name IS NOT NULL"
            " ORDER BY table_name,partition_ordinal_position",
        )
    ]


def inserts(moment: datetime) -> str:
    """Write a row into each partitioned table as if it were made at a moment."""
    us = to_us(moment)
    id_ = literal((us // 1_000).to_bytes(6, "big") + b"\x70" + bytes(9))
    return (
        "INSERT INTO transactions(tx_id,slot,type,state,source,destination,currency,amount,"
        f"created_at,reference,opaque) VALUES ({id_},0,1,2,{id_},{id_},'EUR',1,NOW(6),'','');"
        f"INSERT INTO outcomes(ref,slot,fingerprint,outcome) VALUES ({id_},0,{id_},'');"
        f"INSERT INTO idem(key_hash,day,slot,ref) VALUES ({id_},{day_of(us)},0,{id_})"
    )


async def last_of(url: str, table: str) -> str:
    """Return the name of a table's last partition."""
    return [name for of, name in await names(url) if of == table][-1]


@pytest.mark.parametrize("days", [-1, 0, 7, 56])
async def test_rows_of_today_and_of_eight_weeks_ahead_have_a_place(url: str, days: int) -> None:
    """Each table takes a row of these days, and of a clock that is a day behind."""
    await query(url, inserts(datetime.now(UTC) + timedelta(days=days)))


async def test_transactions_have_a_place_for_three_months(url: str) -> None:
    """The months are made further ahead than the weeks."""
    last = datetime.strptime(await last_of(url, "transactions"), "to%Y%m%d").replace(tzinfo=UTC)
    assert last - datetime.now(UTC) > timedelta(days=90)


async def test_a_row_lies_in_the_partition_of_its_time(url: str) -> None:
    """A bound is the first moment that its partition does not hold, for all three tables."""
    bounds = {table: await last_of(url, table) for table in ("transactions", "outcomes", "idem")}
    for table, name in bounds.items():
        bound = datetime.strptime(name, "to%Y%m%d").replace(tzinfo=UTC)
        statement = next(
            text for text in inserts(bound - timedelta(milliseconds=1)).split(";") if table in text
        )
        await query(url, statement)
        ((rows,),) = await query(url, f"SELECT COUNT(*) FROM {table} PARTITION({name})")
        assert rows == 1


async def test_extending_again_changes_nothing(url: str) -> None:
    """Every process may do it every day."""
    before = await names(url)
    left = await partitions.extend(url)
    assert await names(url) == before
    assert left >= timedelta(weeks=8)


async def test_what_is_missing_is_added(url: str) -> None:
    """After weeks without upkeep the missing partitions come behind those that are there."""
    before = await names(url)
    for _ in range(4):
        await query(url, f"ALTER TABLE idem DROP PARTITION {await last_of(url, 'idem')}")
    await query(url, f"ALTER TABLE outcomes DROP PARTITION {await last_of(url, 'outcomes')}")
    await partitions.extend(url)
    assert await names(url) == before


async def test_two_at_once_do_no_harm(url: str) -> None:
    """The one that comes second finds what the first has made."""
    before = await names(url)
    await query(url, f"ALTER TABLE idem DROP PARTITION {await last_of(url, 'idem')}")
    await asyncio.gather(*[partitions.extend(url) for _ in range(4)])
    assert await names(url) == before


async def test_a_busy_table_is_waited_for_only_shortly(url: str) -> None:
    """Behind a long transaction it tries again and again, and writers get in between."""
    before = await names(url)
    await query(url, f"ALTER TABLE idem DROP PARTITION {await last_of(url, 'idem')}")
    reader = await open_session(url, autocommit=False)
    try:
        await run_packet(reader, "SELECT * FROM idem")
        extending = asyncio.create_task(partitions.extend(url))
        await asyncio.sleep(0.3)
        async with asyncio.timeout(3):
            await query(url, inserts(datetime.now(UTC)))
        assert not extending.done()
        await run_packet(reader, "COMMIT")
        await extending
    finally:
        reader.close()
    assert await names(url) == before


def test_little_left_is_an_error_in_the_log() -> None:
    """Two weeks are left to look why nothing was made."""
    with structlog.testing.capture_logs() as lines:
        partitions.check(timedelta(days=15), shard=3)
        assert lines == []
        partitions.check(timedelta(days=13), shard=3)
    assert [(line["log_level"], line["shard"]) for line in lines] == [("error", 3)]
