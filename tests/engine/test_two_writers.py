"""Two processes write the same shards: row locks, head and fence keep both correct."""

import asyncio

from tests.engine.faulty_shard import FaultyShard, Point
from tests.engine.test_shedding import hold
from tests.engine.world import World, account_on, again, create, posted, until
from wallet.domain.outcome import Posted, WalletSet
from walletkit.errors import ServiceError

CALLS = 300


async def test_one_wallet_is_created_for_one_key(world: World) -> None:
    """Raced by two routers, ten calls each: one wallet, one who made it, equal replies."""
    routers = [await world.start(), await world.start()]
    for shard in (0, 1):
        account_id = account_on(shard)
        outcomes = await asyncio.gather(
            *[world.do(create(account_id), router=routers[n % 2]) for n in range(20)]
        )
        made = [outcome for outcome in outcomes if isinstance(outcome, WalletSet)]
        assert len(made) == 20
        assert len({outcome.facts for outcome in made}) == 1
        assert sum(not outcome.replayed for outcome in made) == 1
        rows = await world.sql(shard, f"SELECT 1 FROM wallets WHERE account_id='{account_id}'")
        assert len(rows) == 1
    await world.check()


async def test_the_second_creator_waits_for_the_first_one(world: World) -> None:
    """The account's slot is locked: the loser finds the key, instead of colliding with it."""
    routers = [await world.start(), await world.start()]
    account_id = account_on(0)
    seconds = [loop.shard for loop in routers[1].loops]
    assert isinstance(seconds[0], FaultyShard)
    released = hold(world.shards[0], Point.BEFORE_SAVE)
    saves = world.shards[0].saves
    first = asyncio.create_task(world.do(create(account_id), router=routers[0]))
    await until(lambda: world.shards[0].saves > saves)
    second = asyncio.create_task(world.do(create(account_id), router=routers[1]))
    await asyncio.sleep(0.3)
    assert (seconds[0].loads, seconds[0].saves) == (1, 0)
    released.set()
    made = [await first, await second]
    assert [getattr(outcome, "replayed", None) for outcome in made] == [False, True]
    assert seconds[0].errors == []
    await world.check()


async def test_one_transfer_is_made_for_one_key(world: World) -> None:
    """Fifty calls with one key over two routers: one effect, equal replies."""
    routers = [await world.start(), await world.start()]
    source, far = await world.wallet(0, 100), await world.wallet(1)
    command = world.transfer(source, far, 60)
    outcomes = await asyncio.gather(
        *[world.do(again(command), router=routers[n % 2]) for n in range(50)]
    )
    made = [outcome for outcome in outcomes if isinstance(outcome, Posted)]
    assert len(made) == 50
    assert len({(outcome.command.ref, outcome.source_after) for outcome in made}) == 1
    assert sum(not outcome.replayed for outcome in made) == 1
    await world.check()
    assert await world.posted(1, far) == 60


async def test_two_writers_never_overdraw_a_wallet(world: World) -> None:
    """Two hundred transfers over two routers drain one wallet: half pass, half are declined."""
    routers = [await world.start(), await world.start()]
    source, near, far = [
        await world.wallet(n, amount) for n, amount in ((0, 1_000), (0, 0), (1, 0))
    ]
    outcomes = await asyncio.gather(
        *[
            world.do(world.transfer(source, (near, far)[n // 2 % 2], 10), router=routers[n % 2])
            for n in range(200)
        ]
    )
    assert sum(isinstance(outcome, Posted) for outcome in outcomes) == 100
    declined = [outcome for outcome in outcomes if isinstance(outcome, ServiceError)]
    assert {outcome.reason for outcome in declined} == {"INSUFFICIENT_FUNDS"}
    assert await world.posted(0, source) == 0
    await world.check()


async def test_two_writers_do_not_deadlock_for_long(world: World) -> None:
    """Opposite transfers within and across shards, in batches: all succeed."""
    routers = [await world.start(), await world.start()]
    wallets = [await world.wallet(n % 2, 1_000) for n in range(12)]
    outcomes = await asyncio.gather(
        *[
            world.do(
                world.transfer(wallets[n % 12], wallets[(n * 5 + 1 + n // 12) % 12]),
                router=routers[n // 2 % 2],
            )
            for n in range(CALLS)
            if n % 12 != (n * 5 + 1 + n // 12) % 12
        ]
    )
    for outcome in outcomes:
        posted(outcome)
    await world.check()
    deadlocks = sum(loop._run_batch.reruns for router in routers for loop in router.loops)
    assert deadlocks <= 3, "locks are taken in one order"
