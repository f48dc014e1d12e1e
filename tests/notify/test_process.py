"""Notify as operators run it: a process that is migrated, served, killed and stopped."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
from aiohttp import web
from grpc_health.v1 import health_pb2

from notify.api.notify_servicer import SERVICE_NAME
from notify.settings import Settings
from notify.streams import keys
from notify.streams.connection import connect
from tests.notify.world import Client, Endpoint, Post, Shard, until
from walletkit.stack.settings import free_ports


async def command(settings: Settings, name: str, port: int) -> Process:
    """Start a command of notify with nothing but its own environment."""
    environment = {name: value for name, value in os.environ.items() if name[:7] != "NOTIFY_"}
    environment |= {
        "NOTIFY_LISTEN": f"127.0.0.1:{port}",
        "NOTIFY_AUTH_MODE": "trusted",
        "NOTIFY_DATABASE_URL": settings.database_url,
        "NOTIFY_REDIS_URL": settings.redis_url,
        "NOTIFY_ALLOW_PRIVATE_TARGETS": "true",
        "NOTIFY_DELIVERY_TIMEOUT_S": "30",
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "notify", name, env=environment
    )


@asynccontextmanager
async def served(settings: Settings, port: int) -> AsyncIterator[Process]:
    """Run a process that is ready, and end it whatever happens."""
    process = await command(settings, "serve", port)
    try:
        await until(lambda: ready(port), timeout_s=20)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ready(port: int) -> bool:
    """Tell whether health says SERVING for the service by its name."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        # Called by name: the stub that is installed has no types.
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            reply = await check(health_pb2.HealthCheckRequest(service=SERVICE_NAME), timeout=1)
        except grpc.aio.AioRpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


async def test_killed_before_it_notes_the_answer(settings: Settings, endpoint: Endpoint) -> None:
    """A process killed before it notes a delivery delivers again: the same id, signed anew."""
    got = asyncio.Event()

    async def answer_late(_post: Post) -> web.Response:
        got.set()
        await asyncio.sleep(60)
        return web.Response()

    (port,) = free_ports(1)
    migration = await command(settings, "migrate", port)
    assert await migration.wait() == 0
    endpoint.answer = answer_late
    shard = Shard()
    client = Client(port)
    async with served(settings, port) as process:
        created = await client.subscribe(endpoint.url)
        shard.commit(shard.deposit(shard.wallet()))
        await client.send(shard)
        await asyncio.wait_for(got.wait(), 5)
        process.kill()
        await process.wait()
        endpoint.reply(200)
        await _end_leases(settings)
    async with served(settings, port) as process:
        await until(lambda: len(endpoint.posts) == 2)
        assert endpoint.ids == ["evt_0_1_0_c"] * 2
        endpoint.posts[1].verify(created.secret)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        assert time.monotonic() - began < 5
    await client.channel.close()


async def _end_leases(settings: Settings) -> None:
    """Make all claimed deliveries due now: nobody waits for a lease here."""
    redis = connect(settings.redis_url)
    for name in await redis.zrange(keys.WAKE, 0, -1):
        for event in await redis.zrange(keys.due(name.decode()), 0, -1):
            await redis.zadd(keys.due(name.decode()), {event: 0})
        await redis.zadd(keys.WAKE, {name: 0})
    await redis.aclose()
