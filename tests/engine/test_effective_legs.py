"""When a leg counts is told by the rows alone: whoever finds it lands it at the same time."""

from guilder.events.v1 import record_pb2 as pb
from tests.engine import movements as make
from tests.engine.faulty_shard import Point
from tests.engine.test_shedding import hold
from tests.engine.world import World, abandon, posted, until
from tests.simulation import books
from wallet.domain.kinds import TransactionState
from walletkit.ids import slot_of
from walletkit.money import MAX_BALANCE_MINOR
from walletkit.payload import unpack

EARLIER_US = 1_600_000_000_000_000


async def test_another_process_lands_legs_at_their_time(world: World) -> None:
    """One leg or several, with a time or without: the first process dies, the second one reads."""
    first = await world.start()
    source, far = await world.wallet(0, 100), await world.wallet(1)
    loads = world.shards[1].loads
    hold(world.shards[1], Point.BEFORE_LOAD)
    one = world.transfer(source, far, 30)._replace(effective_us=EARLIER_US)
    lines = ((source, far, 5), (source, far, 6))
    several = make.post(slot_of(source), *lines)._replace(effective_us=EARLIER_US + 1)
    plain = world.transfer(source, far, 7)
    # What its home waits for is only the debit: the legs are held back.
    made = [posted((await home).outcome) for home in world.queue([one, several, plain])]
    await until(lambda: world.shards[1].loads > loads)
    abandon(first)
    world.routers.clear()
    rows = await world.sql(0, "SELECT amount,legs,effective_us FROM intents ORDER BY amount")
    assert rows == [(5, 2, EARLIER_US + 1), (6, 2, EARLIER_US + 1), (7, 1, 0), (30, 1, EARLIER_US)]
    await world.start()
    await world.check()
    assert await world.posted(1, far) == 48
    assert await landed(world, 1) == {
        (made[0].command.ref, 0): EARLIER_US,
        (made[1].command.ref, 0): EARLIER_US + 1,
        (made[1].command.ref, 1): EARLIER_US + 1,
        (made[2].command.ref, 0): 0,
    }


async def test_another_process_lands_a_return_at_its_time(world: World) -> None:
    """It bounced, and the process dies before it is home: the row there tells its time, too."""
    first = await world.start(leg_wait_s=0.2)
    source, far = await world.wallet(0, 100), await world.wallet(1)
    full = f"UPDATE balances SET posted={MAX_BALANCE_MINOR} WHERE wallet_id=x'{far.hex()}'"
    await world.sql(1, full)
    command = world.transfer(source, far, 30)._replace(effective_us=EARLIER_US)

    async def hold_home() -> None:
        hold(world.shards[0], Point.BEFORE_LOAD)

    world.shards[1].once[Point.BEFORE_SAVE].append(hold_home)
    (home,) = world.queue([command])
    place = (posted((await home).outcome).command.ref, books.RETURN_LEG)
    loads = world.shards[0].loads
    await until(lambda: world.shards[0].loads > loads)
    abandon(first)
    world.routers.clear()
    assert await world.sql(1, "SELECT leg,effective_us FROM intents") == [(128, EARLIER_US)]
    await world.start()
    await world.settle()
    assert await world.posted(0, source) == 100
    assert await world.state(0, place[0]) == TransactionState.RETURNED
    assert await landed(world, 0) == {place: EARLIER_US}
    assert await landed(world, 1) == {(place[0], 0): EARLIER_US}


async def landed(world: World, shard: int) -> dict[books.Place, int]:
    """Return when each leg counts that has landed on a shard, as its record says."""
    rows = await world.sql(shard, "SELECT payload FROM outbox ORDER BY seq")
    records = [pb.Record.FromString(unpack(payload)) for (payload,) in rows]
    return {
        (leg.transaction_id, leg.leg): leg.effective_time_us
        for record in records
        for leg in record.landed_legs
    }
