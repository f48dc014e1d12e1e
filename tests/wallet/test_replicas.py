"""How far a real replica is behind its shard is told; one that is none is told of, too."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import FreshDatabases
from tests.wallet.ingest_sink import IngestSink
from tests.wallet.relaying import relaying, until
from tests.wallet.shard_sql import append
from wallet.store.bootstrap import bootstrap
from walletkit.sql.session import parse_url
from walletkit.stack import Stack
from walletkit.telemetry.metrics import relay as metrics

CHANNEL = "watched"


@pytest.fixture
async def replicated(
    databases: Stack, fresh_databases: FreshDatabases
) -> AsyncIterator[tuple[str, str]]:
    """A shard, and its copy on the other server, which follows its binlog."""
    url = fresh_databases.shards[0]
    source = parse_url(url)
    file, place = databases.execute("shard-0", "SHOW MASTER STATUS").split()[:2]
    databases.execute(
        "shard-1",
        f"CHANGE MASTER '{CHANNEL}' TO MASTER_HOST='{source.host}', MASTER_PORT={source.port},"
        f" MASTER_USER='root', MASTER_LOG_FILE='{file}', MASTER_LOG_POS={place},"
        f" MASTER_USE_GTID=no; SET GLOBAL {CHANNEL}.replicate_do_db='{source.database}';"
        f" START SLAVE '{CHANNEL}'",
    )
    await bootstrap((url,))
    try:
        yield url, databases.shard_url(1, source.database)
    finally:
        databases.execute("shard-1", f"STOP SLAVE '{CHANNEL}'; RESET SLAVE '{CHANNEL}' ALL")
        databases.execute("shard-1", f"DROP DATABASE IF EXISTS {source.database}")


async def test_a_replica_tells_how_far_it_is_behind(
    databases: Stack, replicated: tuple[str, str], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """By nothing while it follows; by what it lacks, and since when, while it stands; then not."""
    url, copy = replicated
    address = parse_url(copy)
    name = f"{address.host}:{address.port}"
    records = metrics.REPLICA_LAG_RECORDS.of("0", name)
    seconds = metrics.REPLICA_LAG_SECONDS.of("0", name)
    await append(url, 3)
    async with relaying((url,), *sinks, replica_urls=(copy,)):
        await until(lambda: metrics.REPLICA_UP.of(name).value == 1)
        await until(lambda: (records.value, seconds.value) == (0, 0))
        databases.execute("shard-1", f"STOP SLAVE '{CHANNEL}'")
        await append(url, 5)
        await until(lambda: records.value == 5 and seconds.value > 1)
        databases.execute("shard-1", f"START SLAVE '{CHANNEL}'")
        await until(lambda: (records.value, seconds.value) == (0, 0))


async def test_a_replica_that_does_not_answer_is_down(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """So is a database that follows no shard of this relay; the others go on."""
    nobody = "mysql://root@127.0.0.1:1/wallet_0"
    stranger = urls[1].replace("127.0.0.1", "localhost")
    strange = parse_url(stranger)
    name = f"{strange.host}:{strange.port}"
    metrics.REPLICA_UP.of("127.0.0.1:1").set(1)
    metrics.REPLICA_UP.of(name).set(1)
    async with relaying(urls[:1], *sinks, replica_urls=(nobody, stranger)):
        await until(lambda: metrics.REPLICA_UP.of("127.0.0.1:1").value == 0)
        await until(lambda: metrics.REPLICA_UP.of(name).value == 0)
        await append(urls[0], 2)
        await until(lambda: len(sinks[0].taken(0)) == 2)
