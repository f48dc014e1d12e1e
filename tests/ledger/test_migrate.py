"""Schema and partitions of the ledger's database, on a real server."""

import asyncio

import pytest

from ledger.store import bootstrap, partitions
from tests.conftest import FreshDatabases
from walletkit.sql import migrate
from walletkit.sql.session import Rows, open_session, run_packet

NAMES = """SELECT partition_name FROM information_schema.partitions
    WHERE table_schema=DATABASE() AND table_name='entries' ORDER BY partition_ordinal_position"""


async def sql(url: str, statements: str) -> list[Rows]:
    """Run statements on the ledger's database."""
    connection = await open_session(url, autocommit=True, durable=False)
    try:
        return await run_packet(connection, statements)
    finally:
        connection.close()


async def names(url: str) -> list[str]:
    """Return the partitions of `entries`."""
    return [name for (name,) in (await sql(url, NAMES))[0]]


async def test_migrations_go_up_and_down_and_up_again(fresh_databases: FreshDatabases) -> None:
    """From nothing to the newest schema, back to nothing, and once more."""
    url = fresh_databases.ledger
    await bootstrap.bootstrap(url)
    await bootstrap.bootstrap(url)
    tables = {name for (name,) in (await sql(url, "SHOW TABLES"))[0]}
    assert {"records", "entries", "accounts", "cursors"} < tables
    await migrate.downgrade(url, bootstrap.MIGRATIONS, "base")
    assert {name for (name,) in (await sql(url, "SHOW TABLES"))[0]} == {"alembic_version"}
    await bootstrap.bootstrap(url)
    assert {name for (name,) in (await sql(url, "SHOW TABLES"))[0]} == tables


async def test_partitions_are_made_ahead_once(
    fresh_databases: FreshDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two weeks ahead, day by day; two processes at once are harmless, and days pass."""
    url = fresh_databases.ledger
    await bootstrap.bootstrap(url)
    today = partitions.today()
    first = ["p0", *(f"d{day}" for day in range(today, today + partitions.DAYS_AHEAD + 1))]
    assert await names(url) == first
    monkeypatch.setattr(partitions, "today", lambda: today + 2)
    last = await asyncio.gather(*(partitions.extend(url) for _ in range(3)))
    assert last == [today + 2 + partitions.DAYS_AHEAD] * 3
    assert await names(url) == [*first, f"d{last[0] - 1}", f"d{last[0]}"]


async def test_upkeep_after_a_long_pause_leaves_no_hole(
    fresh_databases: FreshDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first partition made after a pause takes the days that were missed."""
    url = fresh_databases.ledger
    await bootstrap.bootstrap(url)
    later = partitions.today() + 100
    monkeypatch.setattr(partitions, "today", lambda: later)
    await partitions.extend(url)
    missed = later - 50
    values = f"(x'{'01' * 16}',1,{missed},0,1,0,0,x'{'00' * 16}',x'{'00' * 16}',1,1,1)"
    await sql(url, f"INSERT INTO entries VALUES {values}")
    found = await sql(url, f"SELECT COUNT(*) FROM entries PARTITION (d{later})")
    assert found == [[(1,)]]
