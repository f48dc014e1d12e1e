"""Parts that are away for a while, and a wallet service that is asked to stop."""

import asyncio
import itertools
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2

from guilder.client.calls import CallPolicy
from tests.e2e.conftest import LONG
from tests.e2e.traffic import Traffic, open_client, open_intents, shard_urls
from tests.e2e.verification import expect_clean
from walletkit.stack import Stack

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
CLIENTS = 8
STOP_S = 5.0


@pytest.mark.parametrize("away", ["ledger", *(["notify", "relay", "books", "redis"] * LONG)])
async def test_transfers_go_on_without(suite: Stack, away: str) -> None:
    """No transfer is refused meanwhile; back again, the books catch up without a gap."""
    async with open_client(suite) as guilder:
        traffic = Traffic(guilder, random.Random(1))
        await traffic.prepare()
        stop = asyncio.Event()
        await asyncio.to_thread(suite.kill, away)
        working = asyncio.create_task(traffic.run(CLIENTS, stop))
        await asyncio.sleep(1.5)
        stop.set()
        await working
        assert traffic.made
        assert traffic.refused == []
        await asyncio.to_thread(suite.start, away)
        assert await traffic.faults(suite) == []
        await expect_clean(suite)


async def test_a_wallet_service_that_is_asked_to_stop(suite: Stack) -> None:
    """Health turns NOT_SERVING, calls in flight finish, it ends with 0 in time; no leg is left."""
    async with open_client(suite) as guilder:
        traffic = Traffic(guilder, random.Random(2))
        await traffic.prepare()
        stop = asyncio.Event()
        working = asyncio.create_task(traffic.run(CLIENTS * 4, stop))
        healths: list[int] = []
        watching = asyncio.create_task(_watch(suite, healths))
        await asyncio.sleep(1)
        assert healths == [SERVING]
        child = suite._runner._children["wallet"]
        began = time.monotonic()
        suite.signal("wallet", signal.SIGTERM)
        stop.set()
        assert await asyncio.to_thread(_exit_code, child) == 0
        assert time.monotonic() - began < STOP_S
        assert await open_intents(shard_urls(suite)) == 0
        await asyncio.wait_for(watching, 2)
        assert healths[:2] == [SERVING, NOT_SERVING]
        await asyncio.to_thread(suite.start, "wallet")
        await asyncio.wait_for(working, 60)
        assert set(traffic.refused) <= {"SHUTTING_DOWN", "UNAVAILABLE"}, "a call was cut off"
        assert await traffic.faults(suite) == []
        await expect_clean(suite)


async def test_calls_in_flight_are_answered_before_the_end(suite: Stack) -> None:
    """What was sent before SIGTERM gets its answer, not an error of the transport."""
    async with open_client(suite, CallPolicy(max_attempts=1)) as guilder:
        traffic = Traffic(guilder, random.Random(3))
        await traffic.prepare()
        pairs = list(itertools.pairwise(traffic.wallets))
        sent = [
            asyncio.create_task(
                traffic.transfer(f"{traffic.name}-flight-{n}", *pairs[n % len(pairs)], amount=1)
            )
            for n in range(200)
        ]
        await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
        child = suite._runner._children["wallet"]
        suite.signal("wallet", signal.SIGTERM)
        async with asyncio.timeout(STOP_S):
            await asyncio.gather(*sent)
        assert traffic.refused == []
        assert await asyncio.to_thread(_exit_code, child) == 0
        assert len(traffic.made) == 200
        await asyncio.to_thread(suite.up)
        assert await traffic.faults(suite) == []


def _exit_code(child: subprocess.Popen[bytes]) -> int:
    return child.wait(STOP_S + 5)


async def _watch(suite: Stack, seen: list[int]) -> None:
    """Follow the wallet service's health until it goes away."""
    try:
        async for status in _statuses(suite):
            seen.append(status)  # noqa: PERF401  # to be seen while it goes on
    except grpc.aio.AioRpcError:
        return


async def _statuses(suite: Stack) -> AsyncIterator[int]:
    async with grpc.aio.insecure_channel(suite.address("wallet")) as channel:
        watch = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        service = "guilder.wallet.v1.WalletService"
        async for reply in watch(health_pb2.HealthCheckRequest(service=service)):
            yield reply.status
