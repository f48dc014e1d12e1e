"""Two migrated shards for the tests of the engine: shared and emptied, or a test's very own."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.conftest import FreshDatabases
from tests.engine.world import World, run_sql
from wallet.store.bootstrap import bootstrap
from walletkit.chain import genesis_hash
from walletkit.sql.literals import literal
from walletkit.stack import Stack

GROWING = (
    *("balances", "wallets", "transactions", "idem", "outcomes"),
    *("intents", "inbox", "system_wallets", "outbox"),
    *("holds", "links", "tx_lines", "reversed", "limits", "accounts", "aliases", "assets"),
)


@pytest.fixture(scope="session")
def migrated(databases: Stack) -> Iterator[tuple[str, ...]]:
    """Bring two shards into being for all tests that leave their schema alone."""
    names = ("engine_0", "engine_1")
    urls = tuple(databases.shard_url(n, name) for n, name in enumerate(names))
    asyncio.run(bootstrap(urls))
    yield urls
    databases.start(*databases.databases)
    for number, name in enumerate(names):
        databases.execute(f"shard-{number}", f"DROP DATABASE {name}")


@pytest_asyncio.fixture
async def world(databases: Stack, migrated: tuple[str, ...]) -> AsyncIterator[World]:
    """Two empty shards without a router; the routers that the test starts are drained."""
    await asyncio.to_thread(databases.start, *databases.databases)
    await asyncio.gather(*[_empty(number, url) for number, url in enumerate(migrated)])
    world = World(migrated)
    yield world
    await world.end()


@pytest_asyncio.fixture
async def own_world(fresh_databases: FreshDatabases) -> AsyncIterator[World]:
    """Two shards of the test's own, whose schema and slots it may change."""
    await bootstrap(fresh_databases.shards)
    world = World(fresh_databases.shards)
    yield world
    await world.end()


async def _empty(number: int, url: str) -> None:
    genesis = literal(genesis_hash(number))
    begin = f"UPDATE head SET seq=0,prev_hash={genesis},hash={genesis},epoch=1,clock_us=0"
    await run_sql(url, "; ".join([f"DELETE FROM {table}" for table in GROWING] + [begin]))
