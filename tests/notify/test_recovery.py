"""Notify over faults: Redis dies, forgets, and comes back; the process stays."""

import asyncio

import grpc
import grpc.aio
import pytest

from guilder.notify.v1 import notify_service_pb2 as pb
from notify import wiring
from notify.settings import Settings
from notify.streams import keys
from notify.streams.connection import connect
from tests.notify.world import Client, Endpoint, Shard, reason_of, running, until
from walletkit.stack import Stack


async def test_redis_down_and_back(
    migrated: Settings, databases: Stack, endpoint: Endpoint
) -> None:
    """While Redis is down calls fail as safe to retry; when it is back nothing is lost."""
    shard = Shard()
    app = wiring.build(migrated)
    assert not app.loops.is_ready()
    await app.close()
    async with running(migrated) as client:
        await client.subscribe(endpoint.url)
        shard.commit(shard.deposit(shard.wallet()))
        await client.send(shard)
        await until(lambda: len(endpoint.posts) == 1)
        await asyncio.to_thread(databases.kill, "redis")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.position(0)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert reason_of(caught.value)[0] == "NOTIFY_UNAVAILABLE"
        await asyncio.to_thread(databases.start, "redis")
        shard.commit(shard.deposit(shard.wallet()))
        await until(lambda: _sent(client, shard))
        await until(lambda: {"evt_0_1_0_c", "evt_0_2_0_c"} <= set(endpoint.ids))


async def test_redis_forgot_its_last_second(migrated: Settings, endpoint: Endpoint) -> None:
    """An idle stream ends when Redis went back; resent records are delivered, with the same ids."""
    shard = Shard()
    async with running(migrated) as client:
        await client.subscribe(endpoint.url)
        shard.commit(shard.deposit(shard.wallet()))
        shard.commit(shard.deposit(shard.wallet()))
        call = client.stub.Ingest()
        await call.write(pb.IngestRequest(shard=0))
        await call.read()
        await call.write(pb.IngestRequest(shard=0, records=shard.records))
        await call.read()
        await until(lambda: len(endpoint.posts) == 2)
        await _forget_all(migrated)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert reason_of(caught.value)[0] == "NOTIFY_UNAVAILABLE"
        assert (await client.position(0)).seq == 0
        endpoint.posts.clear()
        await client.send(shard)
        shard.commit(shard.deposit(shard.wallet()))
        await client.send(shard)
        expected = {"evt_0_1_0_c", "evt_0_2_0_c", "evt_0_3_0_c"}
        await until(lambda: set(endpoint.ids) == expected)


async def test_a_place_that_was_set_by_hand(migrated: Settings, endpoint: Endpoint) -> None:
    """Redis is lost, and the first records are purged: it goes on behind them, as it was told."""
    shard = Shard()
    async with running(migrated) as client:
        await client.subscribe(endpoint.url)
        for _ in range(4):
            shard.commit(shard.deposit(shard.wallet()))
        await client.send(shard)
        await until(lambda: len(endpoint.posts) == 4)
    await _forget_all(migrated)
    endpoint.posts.clear()
    redis = connect(migrated.redis_url)
    await redis.hset(keys.head(0), mapping={"seq": 2, "hash": shard.records[2].prev_hash})
    await redis.aclose()
    async with running(migrated) as client:
        assert (await client.relay(0, shard.records[2:])).seq == 4
        await until(lambda: {"evt_0_3_0_c", "evt_0_4_0_c"} <= set(endpoint.ids))
        assert set(endpoint.ids) == {"evt_0_3_0_c", "evt_0_4_0_c"}


async def test_unasked_records_are_not_looked_at(migrated: Settings) -> None:
    """Without a subscription records only pass into the stream: nothing is queued or dispatched."""
    shard = Shard()
    async with running(migrated) as client:
        for _ in range(20):
            shard.commit(shard.deposit(shard.wallet()))
        await client.send(shard)
        await asyncio.sleep(0.3)
        redis = connect(migrated.redis_url)
        names = {name.decode().rpartition("}:")[2] for name in await redis.keys("*")}
        await redis.aclose()
        assert names == {"head:0", "records:0", "shards", "generation"}


async def test_two_processes_share_the_work(migrated: Settings, endpoint: Endpoint) -> None:
    """Of two processes each knows the other's subscriptions at once, and each event comes once."""
    shard = Shard()
    async with running(migrated) as one, running(migrated) as two:
        await one.subscribe(endpoint.url, "one")
        shard.commit(shard.deposit(shard.wallet()))
        await two.send(shard)
        await until(lambda: len(endpoint.posts) == 1)
        await two.subscribe(endpoint.url, "two")
        for _ in range(20):
            shard.commit(shard.deposit(shard.wallet()))
            await one.send(shard)
        await until(lambda: len(endpoint.posts) == 41)
        await asyncio.sleep(0.3)
        assert len(endpoint.posts) == 41


async def _sent(client: Client, shard: Shard) -> bool:
    try:
        await client.send(shard)
    except grpc.aio.AioRpcError:
        return False
    return True


async def _forget_all(settings: Settings) -> None:
    """Take Redis back further than a crash could: to before everything."""
    redis = connect(settings.redis_url)
    await redis.delete(
        *[name for name in await redis.keys("*") if name.decode() != keys.GENERATION]
    )
    await redis.aclose()
