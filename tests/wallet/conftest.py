"""What the relay's tests run on: empty shards, and sinks that listen."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import FreshDatabases
from tests.wallet.ingest_sink import IngestSink
from wallet.store.bootstrap import bootstrap


@pytest.fixture
async def urls(fresh_databases: FreshDatabases) -> tuple[str, ...]:
    """Two empty shards."""
    await bootstrap(fresh_databases.shards)
    return fresh_databases.shards


@pytest.fixture
async def sinks() -> AsyncIterator[tuple[IngestSink, IngestSink]]:
    """Two sinks that listen."""
    pair = (IngestSink(), IngestSink())
    for sink in pair:
        await sink.start()
    yield pair
    for sink in pair:
        sink.free.set()
        await sink.stop()
