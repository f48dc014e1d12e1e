"""The wait for a reading connection has a bound of its own, and is no sign of a broken shard."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from tests.engine.world import World, posted
from wallet.store import shard as store
from wallet.store.shard import Shard
from walletkit.errors import ServiceError

BUSY = "SELECT SLEEP(1)"


@pytest.fixture
def shard(world: World) -> Iterator[Shard]:
    """A shard that nobody else reads: a router's sweeps would take readers, too."""
    shard = Shard(0, world.urls[0], durable=True)
    yield shard
    shard.close()


async def test_reads_beyond_the_readers_are_refused_in_time(
    shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OVERLOADED, not SHARD_UNAVAILABLE; those that read are let be, and the readers stay open."""
    monkeypatch.setattr(store, "READER_WAIT_S", 0.3)
    reading = [asyncio.create_task(shard.query(BUSY)) for _ in range(store.READERS)]
    await asyncio.sleep(0.1)
    began = time.monotonic()
    waiting = await asyncio.gather(
        *[shard.query("SELECT 1") for _ in range(20)], return_exceptions=True
    )
    assert time.monotonic() - began < 0.8
    for error in waiting:
        assert isinstance(error, ServiceError)
        assert (error.reason, error.metadata) == ("OVERLOADED", {"shard": "0"})
    assert await asyncio.gather(*reading) == [[(0,)]] * store.READERS
    assert len(shard._idle_readers) == store.READERS
    assert await shard.query("SELECT 1") == [(1,)]


async def test_the_time_for_a_query_begins_when_a_reader_is_had(
    shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting and reading together may take longer than either alone."""
    monkeypatch.setattr(store, "PACKET_TIMEOUT_S", 1.5)
    reads = [shard.query(BUSY) for _ in range(2 * store.READERS)]
    began = time.monotonic()
    assert await asyncio.gather(*reads) == [[(0,)]] * (2 * store.READERS)
    assert time.monotonic() - began > 1.5


async def test_a_given_up_wait_leaves_the_readers_whole(
    shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is cancelled while it waits or reads gives its place back."""
    reads = [asyncio.create_task(shard.query(BUSY)) for _ in range(3 * store.READERS)]
    await asyncio.sleep(0.1)
    for one in reads:
        one.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    monkeypatch.setattr(store, "READER_WAIT_S", 0.3)
    after = await asyncio.gather(*[shard.query("SELECT 1") for _ in range(store.READERS)])
    assert after == [[(1,)]] * store.READERS


async def test_transfers_do_not_wait_for_readers(world: World) -> None:
    """All readers are busy and a queue waits: the look at another shard has its own."""
    await world.start()
    near, far = await world.wallet(0, 100), await world.wallet(1)
    async with AsyncExitStack() as ends:
        for _ in range(2 * store.READERS):
            read = asyncio.create_task(world.shards[1].query(BUSY))
            ends.push_async_callback(asyncio.wait, [read])
        await asyncio.sleep(0.1)
        began = time.monotonic()
        posted(await world.do(world.transfer(near, far, 1)))
        assert time.monotonic() - began < 0.5
    await world.check()
