"""Queues are bounded, late work is dropped, and nobody who leaves takes money along."""

import asyncio
import random
import time

import pytest

from tests.engine.faulty_shard import FaultyShard, Point
from tests.engine.world import World, posted, reason, until
from walletkit.errors import ServiceError

IN_FLIGHT = 200


def hold(shard: FaultyShard, point: Point) -> asyncio.Event:
    """Let the shard's next batch wait at a point until the event is set."""
    released = asyncio.Event()

    async def wait() -> None:
        await released.wait()

    shard.once[point].append(wait)
    return released


async def test_a_full_queue_sheds(world: World) -> None:
    """What does not fit is refused as OVERLOADED at once, and leaves no trace."""
    await world.start(queue_limit=5)
    source, other = await world.wallet(0, 100), await world.wallet(0)
    released = hold(world.shards[0], Point.BEFORE_LOAD)
    (running,) = world.queue([world.transfer(source, other)])
    await until(lambda: world.shards[0].loads > 3)
    queued = world.queue([world.transfer(source, other) for _ in range(5)])
    with pytest.raises(ServiceError) as shed:
        world.queue([world.transfer(source, other, 50)])
    assert (shed.value.reason, shed.value.code) == ("OVERLOADED", "UNAVAILABLE")
    released.set()
    for future in [running, *queued]:
        posted((await future).outcome)
    assert await world.posted(0, source) == 94
    await world.check()


async def test_legs_land_though_the_queue_of_callers_is_full(world: World) -> None:
    """Credits on their way and closings have room of their own."""
    await world.start(queue_limit=3, leg_wait_s=0.1)
    source, far, far_too = [await world.wallet(n, 100) for n in (0, 1, 1)]
    loads = world.shards[1].loads
    released = hold(world.shards[1], Point.BEFORE_LOAD)
    queued = world.queue([world.transfer(far, far_too)])
    await until(lambda: world.shards[1].loads > loads)
    queued += world.queue([world.transfer(far, far_too) for _ in range(3)])
    sent = posted(await world.do(world.transfer(source, far, 30)))
    assert sent.state.name == "PROCESSING"
    assert world.router.legs.under_way == 1
    released.set()
    await asyncio.gather(*queued)
    await until(lambda: world.router.legs.under_way == 0, within_s=0.5)
    await world.check()


async def test_late_work_is_dropped(world: World) -> None:
    """A deadline that passes before the batch begins: DEADLINE_EXCEEDED, and nothing changed."""
    await world.start()
    source, other = await world.wallet(0, 100), await world.wallet(0)
    loads = world.shards[0].loads
    released = hold(world.shards[0], Point.BEFORE_LOAD)
    soon = time.monotonic() + 0.05
    begun = world.router.submit(world.transfer(source, other), soon)
    await until(lambda: world.shards[0].loads > loads)
    late = world.router.submit(world.transfer(source, other, 50), soon)
    await asyncio.sleep(0.1)
    released.set()
    assert reason((await late).outcome) == "DEADLINE_EXCEEDED"
    posted((await begun).outcome)
    assert await world.posted(0, source) == 99
    assert len(await world.sql(0, "SELECT 1 FROM idem")) == 4
    await world.check()


async def test_a_caller_who_leaves_before_the_batch_takes_his_command_along(world: World) -> None:
    """Work whose caller has gone before its batch began is dropped."""
    await world.start()
    source, other = await world.wallet(0, 100), await world.wallet(0)
    loads = world.shards[0].loads
    released = hold(world.shards[0], Point.BEFORE_LOAD)
    (begun,) = world.queue([world.transfer(source, other)])
    await until(lambda: world.shards[0].loads > loads)
    caller = asyncio.create_task(world.do(world.transfer(source, other, 50)))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    released.set()
    posted((await begun).outcome)
    assert await world.posted(0, source) == 99
    await world.check()


async def test_a_caller_who_leaves_later_cancels_nothing(world: World) -> None:
    """What has begun is finished: debit, leg and closing, with nobody there to hear of it."""
    await world.start()
    source, far = await world.wallet(0, 100), await world.wallet(1)
    released = hold(world.shards[0], Point.BEFORE_SAVE)
    saves = world.shards[0].saves
    caller = asyncio.create_task(world.do(world.transfer(source, far, 30)))
    await until(lambda: world.shards[0].saves > saves)
    caller.cancel()
    await asyncio.wait([caller])
    released.set()
    await until(lambda: world.shards[0].saves > saves + 1)
    assert not await _open_after(world, 0.5)
    assert [await world.posted(0, source), await world.posted(1, far)] == [70, 30]
    await world.check()


async def test_callers_who_leave_at_any_time_strand_no_leg(world: World) -> None:
    """Two hundred transfers across shards, each abandoned at a moment of its own."""
    await world.start()
    wallets = [await world.wallet(n % 2, 1_000) for n in range(6)]
    random.seed(3)
    callers = []
    for n in range(IN_FLIGHT):
        transfer = world.transfer(wallets[n % 6], wallets[(n + 1) % 6])
        callers.append(asyncio.create_task(world.do(transfer)))
        asyncio.get_running_loop().call_later(random.uniform(0, 0.05), callers[-1].cancel)
    done, _ = await asyncio.wait(callers)
    assert any(task.cancelled() for task in done)
    assert not await _open_after(world, 0.5)
    await world.check()


@pytest.mark.parametrize("after_s", [0.0, 0.005, 0.02])
async def test_draining_strands_no_leg(world: World, after_s: float) -> None:
    """A drain answers all that was queued, and brings every leg home before it ends."""
    router = await world.start()
    wallets = [await world.wallet(n % 2, 1_000) for n in range(6)]
    queued = world.queue(
        [world.transfer(wallets[n % 6], wallets[(n + 1) % 6]) for n in range(IN_FLIGHT)]
    )
    await asyncio.sleep(after_s)
    async with asyncio.timeout(1.5):
        await router.drain()
    for future in queued:
        posted((await future).outcome)
    assert await world.open_intents() == 0
    await world.check()


async def test_draining_takes_nothing_new(world: World) -> None:
    """A call that comes while the queues empty is refused: safe to retry elsewhere."""
    router = await world.start()
    source, other = await world.wallet(0, 100), await world.wallet(0)
    released = hold(world.shards[0], Point.BEFORE_SAVE)
    (queued,) = world.queue([world.transfer(source, other)])
    draining = asyncio.create_task(router.drain())
    await asyncio.sleep(0.02)
    with pytest.raises(ServiceError) as refused:
        world.queue([world.transfer(source, other)])
    assert (refused.value.reason, refused.value.code) == ("SHUTTING_DOWN", "UNAVAILABLE")
    released.set()
    await draining
    posted((await queued).outcome)
    assert await world.posted(0, source) == 99


async def _open_after(world: World, within_s: float) -> int:
    """Return what is still open after a time in which no sweep takes it up."""
    for _ in range(int(within_s / 0.02)):
        if not await world.open_intents():
            return 0
        await asyncio.sleep(0.02)
    return await world.open_intents()
