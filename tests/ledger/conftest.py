"""Fixtures: a ledger on a database of its own for each test, and two shards that fill it."""

import random
from collections.abc import AsyncIterator

import pytest

from ledger.store import bootstrap
from tests.conftest import FreshDatabases
from tests.ledger import listing, proofs
from tests.ledger.running import FakeWallets, Running, serving


@pytest.fixture
async def fresh_ledger(fresh_databases: FreshDatabases) -> str:
    """Return the URL of a ledger's database without a record."""
    await bootstrap.bootstrap(fresh_databases.ledger)
    return fresh_databases.ledger


@pytest.fixture
async def running(fresh_ledger: str) -> AsyncIterator[Running]:
    """Serve a ledger on a fresh database."""
    async with serving(fresh_ledger, FakeWallets()) as ledger:
        yield ledger


@pytest.fixture
async def world(running: Running) -> proofs.World:
    """Two shards with traffic within and between them, all of it in the ledger."""
    return await proofs.two_shards(running)


@pytest.fixture
async def filled(running: Running) -> listing.World:
    """A world that the ledger has taken in."""
    made = listing.World(random.Random(9))
    await running.take(made.home, made.away)
    return made
