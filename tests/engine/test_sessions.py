"""Sessions on a shard: what is cancelled stays cancelled, and breaks its session only."""

import asyncio
import contextlib

import asyncmy
import pytest

from tests.engine.world import World
from wallet.store.shard import Shard
from walletkit.sql.session import open_session, run_packet

SLOW = ("SELECT SLEEP(5)", "SELECT 1; SELECT SLEEP(5)", "SELECT 1; SELECT 2; DO SLEEP(5); SELECT 3")


@pytest.mark.parametrize("statements", SLOW)
async def test_a_cancelled_packet_stays_cancelled(world: World, statements: str) -> None:
    """At whichever of its results: an error of the driver instead would keep loops alive."""
    session = await open_session(world.urls[0], autocommit=True)
    packet = asyncio.create_task(run_packet(session, statements))
    await asyncio.sleep(0.1)
    packet.cancel()
    await asyncio.wait([packet], timeout=1)
    session.close()
    assert packet.cancelled()


@pytest.mark.parametrize("statements", SLOW)
async def test_a_packet_that_takes_too_long_times_out(world: World, statements: str) -> None:
    """The deadline is the caller's, and comes as a TimeoutError."""
    session = await open_session(world.urls[0], autocommit=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await run_packet(session, statements)
    session.close()


async def test_a_cancelled_read_stays_cancelled(world: World) -> None:
    """The reading session is dropped, and the next read has another one."""
    shard = Shard(0, world.urls[0], durable=True)
    read = asyncio.create_task(shard.query("SELECT SLEEP(5)"))
    await asyncio.sleep(0.1)
    read.cancel()
    await asyncio.wait([read], timeout=1)
    assert read.cancelled()
    assert await shard.query("SELECT 1") == [(1,)]
    shard.close()


async def test_a_connect_that_swallows_a_cancellation_is_cancelled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11's `wait_for` does, when the connection opens just then: a loop must end still."""
    connect = asyncmy.connect
    waiting = asyncio.Event()

    async def swallow(**arguments: object) -> asyncmy.Connection:
        with contextlib.suppress(asyncio.CancelledError):
            waiting.set()
            await asyncio.sleep(10)
        return await connect(**arguments)

    monkeypatch.setattr(asyncmy, "connect", swallow)
    opening = asyncio.create_task(open_session(world.urls[0], autocommit=True))
    await waiting.wait()
    opening.cancel()
    await asyncio.wait([opening], timeout=2)
    assert opening.cancelled()
