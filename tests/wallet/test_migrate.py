"""Databases, schema, head and slots come into being once, and again after any interruption."""

from collections.abc import Sequence

import pytest

from tests.conftest import FreshDatabases
from tests.wallet.shard_sql import query
from wallet.store.bootstrap import MIGRATIONS, BootstrapError, bootstrap
from walletkit.chain import genesis_hash
from walletkit.ids import SLOTS
from walletkit.sql.migrate import downgrade, upgrade
from walletkit.sql.session import create_database

FIRST_TABLES = {
    "balances",
    "fence",
    "head",
    "idem",
    "inbox",
    "intents",
    "outbox",
    "outcomes",
    "slots",
    "system_wallets",
    "transactions",
    "wallets",
}
TABLES = FIRST_TABLES | {
    "accounts",
    "aliases",
    "assets",
    "holds",
    "limits",
    "links",
    "reversed",
    "tx_lines",
}


async def tables(url: str) -> set[str]:
    """List the tables, without alembic's own."""
    return {name for (name,) in await query(url, "SHOW TABLES")} - {"alembic_version"}


async def slots(urls: Sequence[str]) -> list[list[int]]:
    """List each shard's slots."""
    return [[slot for (slot,) in await query(url, "SELECT slot FROM slots")] for url in urls]


async def test_schema_goes_up_down_and_up(fresh_databases: FreshDatabases) -> None:
    """From empty, and again after everything was taken down; going up twice changes nothing."""
    url = fresh_databases.shards[0]
    await create_database(url)
    await upgrade(url, MIGRATIONS)
    assert await tables(url) == TABLES
    await upgrade(url, MIGRATIONS)
    await downgrade(url, MIGRATIONS, "base")
    assert await tables(url) == set()
    await upgrade(url, MIGRATIONS)
    assert await tables(url) == TABLES
    assert await query(url, "SELECT x FROM fence") == [(1,)]


async def test_schema_goes_up_after_it_broke_half_way(fresh_databases: FreshDatabases) -> None:
    """DDL commits by itself: what an interrupted run left is no obstacle to the next one."""
    url = fresh_databases.shards[0]
    await create_database(url)
    await upgrade(url, MIGRATIONS)
    await query(url, "DELETE FROM alembic_version; DROP TABLE outbox; DROP TABLE fence")
    await upgrade(url, MIGRATIONS)
    assert await tables(url) == TABLES
    assert await query(url, "SELECT x FROM fence") == [(1,)]


async def test_movements_are_added_to_what_is_there(fresh_databases: FreshDatabases) -> None:
    """Rows of before take the defaults, also when it broke half way; and it can be taken back."""
    url = fresh_databases.shards[0]
    await create_database(url)
    await upgrade(url, MIGRATIONS)
    await downgrade(url, MIGRATIONS, "0001")
    assert await tables(url) == FIRST_TABLES
    await query(
        url,
        "INSERT INTO balances VALUES (REPEAT('w',16),5,'EUR',7,0,0,1,1);"
        " INSERT INTO wallets VALUES (REPEAT('w',16),5,'acme','EUR',NOW(6),'');"
        " INSERT INTO intents VALUES (REPEAT('t',16),0,5,'a','b','EUR',3);"
        " ALTER TABLE balances ADD COLUMN flags TINYINT UNSIGNED NOT NULL DEFAULT 0",
    )
    await upgrade(url, MIGRATIONS)
    await upgrade(url, MIGRATIONS)
    assert await tables(url) == TABLES
    assert await query(url, "SELECT posted,flags FROM balances") == [(7, 0)]
    assert await query(url, "SELECT alias FROM wallets") == [(b"",)]
    assert await query(url, "SELECT legs,effective_us FROM intents") == [(1, 0)]


async def test_the_time_of_a_leg_is_added_and_taken_back(fresh_databases: FreshDatabases) -> None:
    """What is on its way stays so, and counts when it lands; broken half way, it goes on."""
    url = fresh_databases.shards[0]
    await create_database(url)
    await upgrade(url, MIGRATIONS)
    await downgrade(url, MIGRATIONS, "0002")
    await query(url, "INSERT INTO intents VALUES (REPEAT('t',16),0,5,'a','b','EUR',3,2)")
    for _ in range(2):
        await upgrade(url, MIGRATIONS)
        found = await query(url, "SELECT amount,legs,effective_us FROM intents")
        assert found == [(3, 2, 0)]
        await query(url, "UPDATE alembic_version SET version_num='0002'")
    await upgrade(url, MIGRATIONS)
    await query(url, "UPDATE intents SET effective_us=-5")
    await downgrade(url, MIGRATIONS, "0002")
    await downgrade(url, MIGRATIONS, "0001")
    assert await query(url, "SELECT amount FROM intents") == [(3,)]


async def test_every_new_table_says_its_slot(fresh_databases: FreshDatabases) -> None:
    """What can't be found by its slot can't move with it."""
    url = fresh_databases.shards[0]
    await create_database(url)
    await upgrade(url, MIGRATIONS)
    found = await query(
        url,
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema=DATABASE() AND column_name='slot'",
    )
    assert {name for (name,) in found} == TABLES - {"fence", "head", "outbox", "system_wallets"}


async def test_every_slot_is_given_once(fresh_databases: FreshDatabases) -> None:
    """Contiguous even ranges, a head at each shard's own genesis; a second run changes nothing."""
    urls = fresh_databases.shards
    await bootstrap(urls)
    assert await slots(urls) == [list(range(2_048)), list(range(2_048, SLOTS))]
    for shard, url in enumerate(urls):
        head = await query(url, "SELECT shard,seq,prev_hash,hash,epoch,clock_us FROM head")
        assert head == [(shard, 0, genesis_hash(shard), genesis_hash(shard), 1, 0)]
        assert await query(url, "SELECT DISTINCT state,epoch FROM slots") == [(1, 1)]
    await query(urls[0], "UPDATE slots SET state=2, epoch=7 WHERE slot=5; UPDATE head SET epoch=9")
    await bootstrap(urls)
    assert await query(urls[0], "SELECT state,epoch FROM slots WHERE slot=5") == [(2, 7)]
    assert await query(urls[0], "SELECT epoch FROM head") == [(9,)]
    assert await slots(urls) == [list(range(2_048)), list(range(2_048, SLOTS))]


async def test_a_shard_that_is_added_gets_no_slot(fresh_databases: FreshDatabases) -> None:
    """Slots never move by themselves: what lies in them would not move with them."""
    urls = fresh_databases.shards
    await bootstrap(urls[:1])
    await bootstrap(urls)
    assert await slots(urls) == [list(range(SLOTS)), []]


async def test_giving_slots_is_finished_after_it_was_cut_short(
    fresh_databases: FreshDatabases,
) -> None:
    """A first creation that ended between two shards goes on at the second."""
    urls = fresh_databases.shards
    await bootstrap(urls)
    await query(urls[1], "DELETE FROM slots")
    await bootstrap(urls)
    assert await slots(urls) == [list(range(2_048)), list(range(2_048, SLOTS))]


async def test_a_missing_shard_is_refused(fresh_databases: FreshDatabases) -> None:
    """Half the slots and one url: a shard is missing, and nobody takes over what it has."""
    urls = fresh_databases.shards
    await bootstrap(urls)
    with pytest.raises(BootstrapError, match="owned by no shard"):
        await bootstrap(urls[:1])


async def test_swapped_shards_are_refused(fresh_databases: FreshDatabases) -> None:
    """A database knows which shard it is."""
    urls = fresh_databases.shards
    await bootstrap(urls)
    with pytest.raises(BootstrapError, match="shard 0: this database is shard 1"):
        await bootstrap(urls[::-1])


async def test_a_slot_owned_twice_is_refused(fresh_databases: FreshDatabases) -> None:
    """Two shards that believe to own a slot would both take its money."""
    urls = fresh_databases.shards
    await bootstrap(urls)
    await query(urls[1], "INSERT INTO slots(slot,state,epoch) VALUES (5,1,1)")
    with pytest.raises(BootstrapError, match="more than one"):
        await bootstrap(urls)


async def test_lost_rows_are_not_made_up(fresh_databases: FreshDatabases) -> None:
    """A shard with records but without slots or head has lost them: that is not for a start."""
    urls = fresh_databases.shards
    await bootstrap(urls)
    await query(urls[1], "DELETE FROM slots; UPDATE head SET seq=3")
    with pytest.raises(BootstrapError, match="records up to 3, but no slots"):
        await bootstrap(urls)
    await query(
        urls[1],
        "INSERT INTO outbox(seq,prev_hash,hash,payload) SELECT 1,hash,hash,'' FROM head;"
        " DELETE FROM head",
    )
    with pytest.raises(BootstrapError, match="no head"):
        await bootstrap(urls)
