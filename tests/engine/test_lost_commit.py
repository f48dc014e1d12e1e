"""The connection breaks at COMMIT: one effect, and the caller gets its own answer."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from asyncmy.errors import OperationalError

from tests.engine.faulty_shard import FaultyShard, Point
from tests.engine.world import World, account_on, again, create, posted, run_sql, until
from wallet.domain.kinds import WalletChangeKind
from wallet.domain.outcome import WalletSet
from wallet.store.faults import in_doubt

LOST = 2013
KILLED = 1317
KILLS = 24


async def lose() -> None:
    """Break as a driver does whose server is gone."""
    raise OperationalError(LOST, "Lost connection to MySQL server during query")


async def reset() -> None:
    """Break as a socket does."""
    raise ConnectionResetError


async def hang() -> None:
    """Break as a network does that swallows packets."""
    raise TimeoutError


async def kill() -> None:
    """Break as a statement does that is killed, which may be the COMMIT."""
    raise OperationalError(KILLED, "Query execution was interrupted")


def test_a_killed_statement_leaves_a_doubt() -> None:
    """Its callers must not hear that nothing was changed, whatever becomes of the next attempt."""
    assert in_doubt(OperationalError(KILLED, "Query execution was interrupted"))


@pytest.mark.parametrize("breakage", [lose, reset, hang, kill])
@pytest.mark.parametrize("point", [Point.BEFORE_SAVE, Point.AFTER_SAVE])
@pytest.mark.parametrize("shard", [0, 1])
async def test_one_effect_and_the_right_answer(
    world: World, point: Point, breakage: Callable[[], Awaitable[None]], shard: int
) -> None:
    """Whether the commit happened or not, and on the home shard or at the credit's landing."""
    await world.start(leg_wait_s=0.3)
    source, near, far = [await world.wallet(n, 100) for n in (0, 0, 1)]
    faulty = world.shards[shard]
    faulty.once[point].append(breakage)
    saves = faulty.saves
    local, remote = world.queue([world.transfer(source, near, 10), world.transfer(source, far, 20)])
    assert posted((await local).outcome).source_after is not None
    assert posted((await remote).outcome).source_after is not None
    await world.check()
    assert [await world.posted(0, source), await world.posted(0, near)] == [70, 110]
    assert await world.posted(1, far) == 120
    assert faulty.saves > saves
    assert [type(error) for error in faulty.errors] == [type(await _raised(breakage))]


async def test_answers_of_a_lost_commit_are_those_of_the_commit(world: World) -> None:
    """Balances of that moment, declines, and who came first of two with one key."""
    await world.start()
    source, near = await world.wallet(0, 100), await world.wallet(0)
    first, second = world.transfer(source, near, 60), world.transfer(source, near, 60)
    twin = again(first)
    world.shards[0].once[Point.AFTER_SAVE].append(lose)
    outcomes = [(await future).outcome for future in world.queue([first, twin, second])]
    made = posted(outcomes[0])
    assert made.source_after is not None
    assert made.source_after.posted == 40
    assert getattr(outcomes[1], "replayed", None) is True
    assert getattr(outcomes[2], "reason", None) == "INSUFFICIENT_FUNDS"
    assert len(await world.sql(0, "SELECT 1 FROM transactions")) == 2
    await world.check()


async def test_a_wallet_is_created_and_frozen_once(world: World) -> None:
    """A lost commit of a creation or a freeze is found again by its key, and is not a replay."""
    await world.start()
    shard = world.shards[0]
    shard.once[Point.AFTER_SAVE].append(lose)
    made = await world.do(create(account_on(0)))
    assert isinstance(made, WalletSet)
    assert not made.replayed
    shard.once[Point.AFTER_SAVE].append(lose)
    frozen = await world.do(world.change(WalletChangeKind.FROZEN, made.facts.wallet_id))
    assert isinstance(frozen, WalletSet)
    assert (frozen.replayed, frozen.status.name, frozen.after.version) == (False, "FROZEN", 2)
    assert frozen.facts == made.facts
    await world.check()


async def test_the_server_kills_the_connection_around_the_commit(world: World) -> None:
    """KILL reaches the server some way into the packet: before, at and behind its COMMIT."""
    await world.start()
    source, near, far = [await world.wallet(n, 10_000) for n in (0, 0, 1)]
    shard = world.shards[0]
    kills: list[asyncio.Task[object]] = []
    random.seed(7)
    for n in range(KILLS):
        delay_s = random.uniform(0, 0.004)

        async def kill(delay_s: float = delay_s) -> None:
            kills.append(asyncio.create_task(_kill(shard, await shard.writer_id(), delay_s)))

        shard.once[Point.BEFORE_SAVE].append(kill)
        commands = [world.transfer(source, far if k % 2 else near) for k in range(10)]
        for future in world.queue(commands):
            posted((await future).outcome)
        await kills[n]
    await world.check()
    assert shard.errors, "no kill came in time"
    assert await world.posted(0, near) == 10_000 + KILLS * 5
    assert await world.posted(1, far) == 10_000 + KILLS * 5


async def test_a_commit_that_stays_unknown_says_so(world: World) -> None:
    """Every attempt breaks behind its commit: OUTCOME_UNKNOWN, and the key tells the truth."""
    await world.start()
    source, near = await world.wallet(0, 100), await world.wallet(0)
    shard = world.shards[0]
    command = world.transfer(source, near, 10)
    shard.once[Point.AFTER_SAVE].append(lose)
    shard.always[Point.BEFORE_LOAD] = _after_a_save(shard)
    answer = await world.router.submit(command, float("inf"))
    assert getattr(answer.outcome, "reason", None) == "OUTCOME_UNKNOWN"
    shard.always.clear()
    await until(lambda: world.router.loops[0].up)
    replayed = await world.do(again(command))
    assert getattr(replayed, "replayed", None) is True
    assert await world.posted(0, near) == 10
    await world.check()


def _after_a_save(shard: FaultyShard) -> Callable[[], Awaitable[None]]:
    before = shard.saves

    async def lost() -> None:
        if shard.saves > before:
            await lose()

    return lost


async def _kill(shard: FaultyShard, connection_id: int, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    await run_sql(shard.url, f"KILL {connection_id}")


async def _raised(breakage: Callable[[], Awaitable[None]]) -> BaseException:
    try:
        await breakage()
    except Exception as error:  # noqa: BLE001
        return error
    raise AssertionError
