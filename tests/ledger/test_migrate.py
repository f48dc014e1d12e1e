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


async def columns(url: str) -> set[tuple[str, str]]:
    """Return every column of every table."""
    query = """SELECT table_name,column_name FROM information_schema.columns
        WHERE table_schema=DATABASE()"""
    return {(table, column) for table, column in (await sql(url, query))[0]}


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


async def test_each_migration_goes_down_to_what_was_before_it(
    fresh_databases: FreshDatabases,
) -> None:
    """A step back takes columns, keys and tables away; a step forward keeps the rows there are."""
    url = fresh_databases.ledger
    await bootstrap.bootstrap(url)
    newest = await columns(url)
    await migrate.downgrade(url, bootstrap.MIGRATIONS, "0001")
    before = await columns(url)
    assert newest - before >= {("accounts", "held"), ("entries", "type"), ("labels", "label")}
    assert not before - newest
    owner = f"(x'{'01' * 16}',0,'EUR','ann',1,5,1,0,5,7)"
    await sql(url, f"INSERT INTO accounts VALUES {owner}")
    await bootstrap.bootstrap(url)
    assert await columns(url) == newest
    kept = await sql(url, "SELECT posted,held,overdraft_limit,account_freeze FROM accounts")
    assert kept == [[(5, 0, 0, 0)]]


async def test_an_interrupted_migration_is_finished(fresh_databases: FreshDatabases) -> None:
    """DDL commits by itself: what the first try has done does not stop the second."""
    url = fresh_databases.ledger
    await bootstrap.bootstrap(url)
    newest = await columns(url)
    await sql(url, "UPDATE alembic_version SET version_num='0001'; DROP TABLE assets")
    await bootstrap.bootstrap(url)
    assert await columns(url) == newest


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
    values = f"(x'{'01' * 16}',1,{missed},0,1,0,0,x'{'00' * 16}',x'{'00' * 16}',1,1,1,3)"
    await sql(url, f"INSERT INTO entries VALUES {values}")
    found = await sql(url, f"SELECT COUNT(*) FROM entries PARTITION (d{later})")
    assert found == [[(1,)]]
