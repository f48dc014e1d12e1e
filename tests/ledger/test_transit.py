"""VerifyTransit on a real database: legs pair, and each stranded one is found."""

from guilder.events.v1 import record_pb2 as events
from tests.ledger.proofs import HOUR_US, World, kinds, remember, restore, transit
from tests.ledger.running import Running
from walletkit.ids import SystemKind, new_id

TRANSIT_FAULTS = {
    "landed twice": (
        """INSERT INTO transit_legs SELECT tx_id,leg,side,shard,seq+1,n,currency,amount,destination,
        result FROM transit_legs WHERE side=2 LIMIT 1""",
        {"LEG"},
    ),
    "landed with less": (
        "UPDATE transit_legs SET amount=amount-1 WHERE side=2 AND leg=0 LIMIT 1",
        {"LEG"},
    ),
    "landed in another currency": (
        "UPDATE transit_legs SET currency='USD' WHERE side=2 AND leg=0 LIMIT 1",
        {"LEG"},
    ),
    "landed elsewhere": (
        f"""UPDATE transit_legs SET destination=x'{new_id(1).hex()}'
        WHERE side=2 AND result=1 LIMIT 1""",
        {"LEG"},
    ),
    "closed by nobody": (
        "DELETE FROM transit_legs WHERE side=1 AND leg=0 LIMIT 1",
        {"LEG", "TRANSIT"},
    ),
    "a return that answers nothing": (
        "UPDATE transit_legs SET result=1 WHERE result=2",
        {"LEG"},
    ),
    "a return that was never sent": (
        "DELETE FROM transit_legs WHERE leg=128 AND side=1",
        {"LEG", "TRANSIT"},
    ),
    "transit holds more": (
        "UPDATE accounts SET posted=posted+5 WHERE wallet_id LIKE CONCAT(x'0004','%') LIMIT 1",
        {"TRANSIT"},
    ),
}


async def test_each_stranded_leg_is_found(running: Running, world: World) -> None:
    """VerifyTransit finds legs that do not pair, and a transit that holds another sum."""
    await remember(running)
    for name, (fault, expected) in TRANSIT_FAULTS.items():
        await running.sql(fault)
        assert kinds(await transit(running)) == expected, name
        await restore(running)
    assert not kinds(await transit(running))


async def test_a_closed_leg_that_never_landed_is_found_once_it_cannot_be_late(
    running: Running, world: World
) -> None:
    """While the destination's stream may still bring it, it is open; later it is a difference."""
    home, away = world.home, world.away
    lost = home.send(world.ann, world.bob, 3)
    home.commit()
    home.close(lost.transaction_id)
    home.commit()
    await running.take(home)
    pairs = await transit(running)
    assert (pairs.open, kinds(pairs)) == (2, set())
    away.commit(home.time_us + HOUR_US)
    await running.take(away)
    pairs = await transit(running)
    assert kinds(pairs) == {"LEG"}
    assert pairs.differences[0].transaction_id
    assert pairs.differences[0].seq == len(home.records)


async def test_a_landing_that_was_never_sent_is_found_once_it_cannot_be_early(
    running: Running, world: World
) -> None:
    """While the home's stream may still bring it, it is early; later it is a difference."""
    home, away = world.home, world.away
    away.land(new_id(0), events.Intent(destination=world.bob, currency_code="EUR", amount_minor=8))
    away.commit(home.time_us)
    await running.take(away)
    pairs = await transit(running)
    assert (pairs.early, kinds(pairs)) == (1, set())
    home.commit(home.time_us + HOUR_US)
    await running.take(home)
    assert kinds(await transit(running)) == {"LEG"}


async def test_suspended_returns_pair(running: Running, world: World) -> None:
    """A return that can't be credited stays in suspense, and is paired all the same."""
    home, away = world.home, world.away
    sent = home.send(world.ann, world.bob, 6)
    home.commit()
    back = away.send_back(sent.transaction_id, sent.intents[0], world.ann)
    away.commit()
    landed = home.batch.landed_legs.add(
        transaction_id=sent.transaction_id, leg=128, result=events.LEG_RESULT_SUSPENDED
    )
    transit_id, suspense = (
        home.system_id(SystemKind.TRANSIT),
        home.system_id(SystemKind.SUSPENSE),
    )
    home._post(landed.postings.add(), transit_id, suspense, back.amount_minor)
    home.close(sent.transaction_id, state=events.TRANSACTION_STATE_RETURNED)
    home.commit()
    away.close(sent.transaction_id, 128, events.TRANSACTION_STATE_UNSPECIFIED)
    away.commit()
    await running.take(home, away)
    pairs = await transit(running)
    assert (kinds(pairs), pairs.paired) == (set(), 14)
