"""Credits on their way: resumed by any process, landed once, or brought back."""

import asyncio

import pytest

from guilder.events.v1 import record_pb2 as pb
from tests.engine.faulty_shard import Point
from tests.engine.test_shedding import hold
from tests.engine.world import World, abandon, id_sql, posted, reason, until
from tests.simulation import books
from wallet.domain.batch import Counterparty
from wallet.domain.commands import Intent, LandLeg
from wallet.domain.kinds import WalletChangeKind, WalletStatus
from wallet.domain.outcome import Landed
from wallet.engine.counterparties import Found
from walletkit.ids import slot_of
from walletkit.money import MAX_BALANCE_MINOR
from walletkit.payload import unpack

SUSPENSE = 5


async def test_another_process_resumes_a_leg_from_the_rows(world: World) -> None:
    """The first one dies between the home commit and the landing; the second one finds it."""
    first = await world.start()
    source, far = await world.wallet(0, 100), await world.wallet(1)
    loads = world.shards[1].loads
    hold(world.shards[1], Point.BEFORE_LOAD)
    (home,) = world.queue([world.transfer(source, far, 30)])
    made = posted((await home).outcome)
    await until(lambda: world.shards[1].loads > loads)
    abandon(first)
    world.routers.clear()
    assert await world.open_intents() == 1
    assert await world.posted(1, far) == 0
    await world.start()
    await world.check()
    assert [await world.posted(0, source), await world.posted(1, far)] == [70, 30]
    assert await world.state(0, made.command.ref) == 2


async def test_another_process_closes_a_leg_that_has_landed(world: World) -> None:
    """The first one dies between the landing and the closing: landed again, it moves nothing."""
    first = await world.start()
    source, far = await world.wallet(0, 100), await world.wallet(1)
    saves = world.shards[0].saves
    (home,) = world.queue([world.transfer(source, far, 30)])
    made = posted((await home).outcome)
    hold(world.shards[0], Point.BEFORE_SAVE)
    await until(lambda: world.shards[0].saves > saves + 1)
    abandon(first)
    world.routers.clear()
    assert [await world.open_intents(), await world.posted(1, far)] == [1, 30]
    await world.start()
    await world.check()
    assert await world.posted(1, far) == 30
    assert await world.state(0, made.command.ref) == 2


async def test_a_leg_sent_many_times_lands_once(world: World) -> None:
    """Duplicates in one batch and in later ones get the stored result."""
    await world.start()
    source, far = await world.wallet(0, 100), await world.wallet(1)
    made = posted(await world.do(world.transfer(source, far, 30))).command
    leg = LandLeg(slot_of(far), Intent(made.ref, 0, source, far, "EUR", 30))
    for _ in range(2):
        answers = await asyncio.gather(*world.queue([leg] * 5))
        assert {type(answer.outcome) for answer in answers} == {Landed}
    assert await world.posted(1, far) == 30
    await world.check()


@pytest.mark.parametrize("lost_answers", [0, 1], ids=["smoothly", "with a lost answer"])
async def test_a_destination_closed_on_the_way_returns_the_money(
    world: World, lost_answers: int
) -> None:
    """Through suspense, back to a source that is frozen by now; the transaction is RETURNED."""
    await world.start(leg_wait_s=0.2)
    source, far = await world.wallet(0, 100), await world.wallet(1)
    await world.do(world.change(WalletChangeKind.CLOSED, far))
    _believe_open(world)

    async def freeze() -> None:
        frozen = f"UPDATE balances SET status=2 WHERE wallet_id={id_sql(source)}"
        await world.sql(0, frozen)

    async def lose() -> None:
        raise ConnectionResetError

    world.shards[1].once[Point.BEFORE_LOAD].append(freeze)
    world.shards[1].once[Point.AFTER_SAVE].extend([lose] * lost_answers)
    made = posted(await world.do(world.transfer(source, far, 30)))
    assert made.state.name == "PROCESSING"
    await world.settle()
    assert await world.state(0, made.command.ref) == 3
    assert [await world.posted(0, source), await world.posted(1, far)] == [100, 0]
    there, _ = [[leg for r in _records(s) for leg in r.landed_legs] for s in await _read(world)]
    assert [leg.leg for leg in there] == [books.RETURN_LEG]
    (leg,) = [leg for r in _records((await _read(world))[1]) for leg in r.landed_legs]
    assert leg.result == pb.LEG_RESULT_RETURNED
    assert [p.destination[1] for p in leg.postings] == [SUSPENSE, books.TRANSIT]
    # The frozen source is not in the records: it was frozen behind the engine's back.
    await world.sql(0, f"UPDATE balances SET status=1 WHERE wallet_id={id_sql(source)}")
    await world.check()
    replay = await world.do(made.command._replace(ref=made.command.ref[:-1] + b"\0"))
    assert getattr(replay, "state", None) == 3


async def test_a_destination_that_would_overflow_returns_the_money(world: World) -> None:
    """A leg can't be declined: what the wallet can't hold comes back."""
    await world.start(leg_wait_s=0.2)
    source, far = await world.wallet(0, 100), await world.wallet(1)
    full = f"UPDATE balances SET posted={MAX_BALANCE_MINOR} WHERE wallet_id={id_sql(far)}"
    await world.sql(1, full)
    made = posted(await world.do(world.transfer(source, far, 30)))
    await world.settle()
    assert await world.state(0, made.command.ref) == 3
    assert [await world.posted(0, source), await world.posted(1, far)] == [100, MAX_BALANCE_MINOR]


async def test_money_that_can_not_even_return_stays_in_suspense(world: World) -> None:
    """Both ends are closed: nothing is lost, an operator finds it, and no leg circles for ever."""
    await world.start(leg_wait_s=0.2)
    source, far = await world.wallet(0, 100), await world.wallet(1)
    await world.do(world.change(WalletChangeKind.CLOSED, far))
    _believe_open(world)

    async def close() -> None:
        await world.sql(0, f"UPDATE balances SET status=3 WHERE wallet_id={id_sql(source)}")

    world.shards[1].once[Point.BEFORE_LOAD].append(close)
    posted(await world.do(world.transfer(source, far, 100)))
    await world.settle()
    suspense = await world.sql(0, f"SELECT posted FROM system_wallets WHERE kind={SUSPENSE}")
    assert [int(row[0]) for row in suspense] == [100]
    await world.sql(0, f"UPDATE balances SET status=1 WHERE wallet_id={id_sql(source)}")
    await world.check()


async def test_a_wallet_with_money_on_its_way_can_not_close(world: World) -> None:
    """Until its leg has landed; otherwise nobody could take a return."""
    await world.start(leg_wait_s=0.1)
    source, far = await world.wallet(0, 100), await world.wallet(1)
    released = hold(world.shards[1], Point.BEFORE_LOAD)
    posted(await world.do(world.transfer(source, far, 100)))
    outcome = await world.do(world.change(WalletChangeKind.CLOSED, source))
    assert reason(outcome) == "WALLET_HAS_OPEN_INTENTS"
    released.set()
    await world.settle()
    closed = await world.do(world.change(WalletChangeKind.CLOSED, source))
    assert getattr(closed, "status", None) == WalletStatus.CLOSED
    await world.check()


async def test_destinations_are_checked_before_the_debit(world: World) -> None:
    """Unknown, frozen, closed, other currency: declined as on the own shard, nothing on its way."""
    await world.start()
    source, far, dollars, closed = [await world.wallet(n, 100) for n in (0, 1)] + [
        await world.wallet(1, currency="USD"),
        await world.wallet(1),
    ]
    await world.do(world.change(WalletChangeKind.CLOSED, closed))
    await world.do(world.change(WalletChangeKind.FROZEN, far))
    unknown = far[:-4] + b"none"
    expected = {
        far: "WALLET_FROZEN",
        closed: "WALLET_CLOSED",
        dollars: "CURRENCY_MISMATCH",
        unknown: "WALLET_NOT_FOUND",
    }
    for wallet_id, why in expected.items():
        assert reason(await world.do(world.transfer(source, wallet_id))) == why
    assert await world.posted(0, source) == 100
    await world.do(world.change(WalletChangeKind.UNFROZEN, far))
    await asyncio.sleep(0.25)
    posted(await world.do(world.transfer(source, far)))
    await world.check()


def _believe_open(world: World) -> None:
    """Let the router take every wallet elsewhere for an active one, as a stale read would."""

    async def look_up(wallet_ids: set[bytes]) -> Found:
        return dict.fromkeys(wallet_ids, Counterparty("EUR", WalletStatus.ACTIVE))

    world.router.counterparties.look_up = look_up  # type: ignore[method-assign]


async def _read(world: World) -> list[books.ShardBooks]:
    return await books.read(world.urls)


def _records(shard: books.ShardBooks) -> list[pb.Record]:
    return [pb.Record.FromString(unpack(payload)) for _, _, _, payload in shard.rows["outbox"]]
