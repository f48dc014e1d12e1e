"""Transactions of many legs: the last one to close ends them, whichever process closes it."""

import asyncio
import math
from contextlib import suppress

from tests.engine import movements as make
from tests.engine.faulty_shard import Point
from tests.engine.world import World, posted
from wallet.domain.commands import CloseIntent, LandLeg
from wallet.domain.kinds import TransactionState
from wallet.store import queries
from walletkit.ids import slot_of

LEGS = 40


async def test_two_processes_close_the_legs_of_one_transaction(world: World) -> None:
    """Each closes every leg, in opposite order, at once: COMPLETED with the last, never before."""
    routers = [await world.start(leg_wait_s=0.0), await world.start()]
    # What the test leaves open for longer than a second the sweeps would close.
    await asyncio.gather(*[router.legs.stop() for router in routers])
    payer = await world.wallet(0, 1_000)
    far = [await world.wallet(1) for _ in range(4)]

    async def refuse() -> None:
        raise ValueError("not yet")

    # The legs wait: this process can't bring them itself.
    world.shards[1].always[Point.BEFORE_LOAD] = refuse
    lines = [(payer, far[n % 4], 1) for n in range(LEGS)]
    outcome = posted(await world.do(make.post(slot_of(payer), *lines)))
    tx_id, home = outcome.command.ref, slot_of(payer)
    intents = await queries.open_intents(routers[0].shard_of(payer), (b"", 0), 100)
    assert [(intent.leg, intent.legs) for intent in intents] == [(n, LEGS) for n in range(LEGS)]
    landings = [
        routers[1].submit(LandLeg(slot_of(intent.destination), intent), math.inf)
        for intent in intents
    ]
    await asyncio.gather(*landings)
    assert await world.state(0, tx_id) == TransactionState.PROCESSING
    done = TransactionState.COMPLETED
    first, *others = [CloseIntent(home, tx_id, n, done, LEGS) for n in range(LEGS)]
    await asyncio.gather(
        *[routers[0].submit(command, math.inf) for command in others[:-1]],
        *[routers[1].submit(command, math.inf) for command in reversed(others[:-1])],
    )
    assert await world.state(0, tx_id) == TransactionState.PROCESSING
    await asyncio.gather(
        *[routers[n].submit(c, math.inf) for n in (0, 1) for c in (first, others[-1])]
    )
    assert await world.state(0, tx_id) == TransactionState.COMPLETED
    del world.shards[1].always[Point.BEFORE_LOAD]
    await world.check()


async def test_waiting_ends_with_all_legs_or_in_time(world: World) -> None:
    """While a leg is held back the reply says PROCESSING in time; with all landed, COMPLETED."""
    router = await world.start(leg_wait_s=0.3)
    payer, far = await world.wallet(0, 100), await world.wallet(1)
    released = asyncio.Event()

    async def wait() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(released.wait(), 5)

    world.shards[1].once[Point.BEFORE_LOAD].append(wait)
    command = make.post(slot_of(payer), (payer, far, 1), (payer, far, 2))
    assert posted(await world.do(command)).state == TransactionState.PROCESSING
    released.set()
    await world.settle()
    command = make.post(slot_of(payer), (payer, far, 1), (payer, far, 2))
    assert posted(await world.do(command)).state == TransactionState.COMPLETED
    assert router.legs.under_way <= 2
    await world.check()
