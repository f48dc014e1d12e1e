"""The wallet service in this process, over two real shards, and its books checked after each test.

The databases are made once a run and shared; each test has a server and wallets of its own.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import pytest_asyncio

from tests.api import books
from tests.api.suite import Suite, running
from wallet.store.bootstrap import bootstrap
from walletkit.stack import Stack

Urls = tuple[str, str]


@pytest.fixture(scope="session")
def shard_urls(databases: Stack) -> Urls:
    """Two migrated shards."""
    urls = (databases.shard_url(0, "api_wallet_0"), databases.shard_url(1, "api_wallet_1"))
    # In a thread, because the tests' own loop may already run in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, bootstrap(urls)).result()
    return urls


@pytest_asyncio.fixture
async def suite(shard_urls: Urls) -> AsyncIterator[Suite]:
    """A running service; when the test is over nothing may be missing or left behind."""
    async with running(shard_urls) as suite:
        yield suite
        await books.check(shard_urls)
