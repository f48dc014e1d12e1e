"""Who may write a shard: epochs, fences, slots."""

import asyncio

import pytest

from tests.engine.faulty_shard import Point
from tests.engine.world import World, again, posted, reason, run_sql, until
from wallet.engine import group_commit, router
from wallet.engine.router import SlotMapError
from walletkit.errors import ServiceError
from walletkit.sql.session import DUPLICATE_KEY, Rows


@pytest.mark.parametrize("point", [Point.AFTER_LOAD, Point.BEFORE_SAVE])
async def test_a_stale_writer_changes_nothing(world: World, point: Point) -> None:
    """The epoch moves between load and save: no COMMIT is reached; the loop takes the new one."""
    await world.start()
    near, near_too, far = [await world.wallet(n, 100) for n in (0, 0, 1)]
    await world.settle()
    shard = world.shards[0]

    async def usurp() -> None:
        await run_sql(shard.url, "UPDATE head SET epoch=epoch+1")

    before = await _everything(world)
    shard.once[point].append(usurp)
    commands = [world.transfer(near, near_too, 10), world.transfer(near, far, 20)]
    outcomes = [(await future).outcome for future in world.queue(commands)]
    assert [reason(outcome) for outcome in outcomes] == ["SHARD_UNAVAILABLE"] * 2
    assert DUPLICATE_KEY in shard.error_numbers, "the fence was not touched"
    assert await _everything(world) == before
    await until(lambda: world.router.loops[0].up)
    for command in commands:
        posted(await world.do(again(command)))
    assert await world.posted(0, near) == 70
    await world.check()


async def test_an_epoch_that_moved_before_is_seen_at_the_load(world: World) -> None:
    """Between two batches: the first command is turned away, and the next one is served."""
    await world.start()
    near, near_too = await world.wallet(0, 100), await world.wallet(0)
    await world.sql(0, "UPDATE head SET epoch=epoch+1")
    saves = world.shards[0].saves
    assert reason(await world.do(world.transfer(near, near_too))) == "SHARD_UNAVAILABLE"
    assert world.shards[0].saves == saves
    await until(lambda: world.router.loops[0].up)
    posted(await world.do(world.transfer(near, near_too)))
    await world.check()


async def test_fenced_slots_are_unavailable_until_they_are_free(own_world: World) -> None:
    """State 2 and a new epoch keep every process out; state 1 lets it in again by itself."""
    await own_world.start()
    near, near_too = await own_world.wallet(0, 100), await own_world.wallet(0)
    await own_world.sql(0, "UPDATE slots SET state=2 WHERE slot=5; UPDATE head SET epoch=epoch+1")
    assert reason(await own_world.do(own_world.transfer(near, near_too))) == "SHARD_UNAVAILABLE"
    with pytest.raises(ServiceError, match="does not answer"):
        await own_world.do(own_world.transfer(near, near_too))
    await asyncio.sleep(2 * group_commit.PROBE_S)
    assert not own_world.router.loops[0].up
    await own_world.sql(0, "UPDATE slots SET state=1 WHERE slot=5")
    await until(lambda: own_world.router.loops[0].up)
    posted(await own_world.do(own_world.transfer(near, near_too)))
    assert await own_world.posted(0, near) == 99
    await own_world.check()


@pytest.mark.parametrize(
    ("shard", "statement"),
    [
        (1, "INSERT INTO slots(slot,state,epoch) VALUES (7,1,1)"),
        (0, "DELETE FROM slots WHERE slot=7"),
    ],
    ids=["twice", "never"],
)
async def test_a_start_refuses_slots_that_do_not_fit(
    own_world: World, shard: int, statement: str
) -> None:
    """A slot that two shards own, or none: the process says so and does not start."""
    await own_world.sql(shard, statement)
    with pytest.raises(SlotMapError, match="slot"):
        await own_world.start()


async def test_a_shard_that_comes_back_with_another_ones_slot_stays_down(own_world: World) -> None:
    """Also while running: the shard with the doubtful slot gets no command, the other goes on."""
    await own_world.start()
    near, near_too, far = [await own_world.wallet(n, 100) for n in (0, 0, 1)]
    await own_world.settle()
    await own_world.sql(1, "INSERT INTO slots VALUES (7,1,1); UPDATE head SET epoch=epoch+1")
    assert reason(await own_world.do(own_world.transfer(far, near))) == "SHARD_UNAVAILABLE"
    posted(await own_world.do(own_world.transfer(near, near_too)))
    assert not own_world.router.loops[1].up
    await own_world.sql(1, "DELETE FROM slots WHERE slot=7")
    await until(lambda: own_world.router.loops[1].up)
    posted(await own_world.do(own_world.transfer(far, near)))
    await own_world.check()


async def test_a_database_of_another_shard_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Urls in the wrong order: neither is opened, and the process is not ready."""
    monkeypatch.setattr(router, "START_WAIT_S", 0.3)
    swapped = World(tuple(reversed(world.urls)))
    await swapped.start()
    assert not swapped.router.ready()
    with pytest.raises(ServiceError, match="does not answer"):
        await swapped.wallet(0)
    await swapped.end()


async def _everything(world: World) -> list[Rows]:
    return [
        await world.sql(0, f"SELECT * FROM {table} ORDER BY 1")
        for table in ("balances", "transactions", "idem", "outcomes", "intents", "outbox")
    ]
