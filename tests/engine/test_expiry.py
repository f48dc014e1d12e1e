"""Holds whose time is over are released: all of them, once, none before, whatever fails."""

import asyncio
import math

import pytest

from guilder.events.v1 import record_pb2 as pb
from tests.engine import movements as make
from tests.engine.faulty_shard import Point
from tests.engine.world import World, id_sql, stranger, until
from wallet.domain.commands import ExpireHold
from wallet.domain.kinds import HoldState
from wallet.domain.outcome import Expired
from wallet.engine import expiry
from wallet.store import queries
from walletkit.ids import slot_of
from walletkit.payload import unpack

HOLDS = 120


async def _expired(world: World, shard: int) -> list[tuple[bytes, int, int]]:
    """Return hold, end and time of each release that the records tell."""
    rows = await world.sql(shard, "SELECT payload FROM outbox ORDER BY seq")
    return [
        (change.hold_id, change.expire_time_us, record.time_us)
        for record in (pb.Record.FromString(unpack(payload)) for (payload,) in rows)
        for change in record.hold_changes
        if change.kind == pb.HOLD_CHANGE_KIND_EXPIRED
    ]


async def _open(world: World, shard: int) -> int:
    rows = await world.sql(shard, "SELECT COUNT(*) FROM holds WHERE open_until IS NOT NULL")
    return int(rows[0][0])


async def _swept_to(world: World, shard: int, left: int, within_s: float = 15.0) -> None:
    """Wait until so many holds of a shard are open."""
    async with asyncio.timeout(within_s):
        while await _open(world, shard) != left:  # noqa: ASYNC110  # the server's rows tell
            await asyncio.sleep(0.05)


async def test_each_hold_is_released_once_and_not_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes sweep two shards, in small pages: one release each, soon after its end."""
    monkeypatch.setattr(expiry, "SWEEP_PAGE", 7)
    monkeypatch.setattr(expiry, "MAX_UNDER_WAY", 20)
    await world.start()
    await world.start()
    payers = [await world.wallet(n, 10_000) for n in (0, 1)]
    outcomes = await world.all(
        [make.authorize(payers[n % 2], 10, seconds=0.5 + n % 5 / 10) for n in range(HOLDS)]
        + [make.authorize(payer, 3) for payer in payers]
    )
    holds = {make.hold_of(outcome).hold_id for outcome in outcomes[:HOLDS]}
    for shard in (0, 1):
        await _swept_to(world, shard, 1)
    released = [*await _expired(world, 0), *await _expired(world, 1)]
    assert sorted(hold_id for hold_id, _, _ in released) == sorted(holds)
    for _, ends_us, time_us in released:
        assert 0 <= time_us - ends_us < 3_000_000
    rows = await world.sql(0, "SELECT held FROM balances")
    assert rows == [(3,)]
    await world.check()


async def test_nothing_but_time_releases(world: World) -> None:
    """A release that comes too early, or for what is unknown, changes nothing, writes nothing."""
    router = await world.start()
    payer = await world.wallet(0, 100)
    hold = make.hold_of(await world.do(make.authorize(payer, 10)))
    before = await world.sql(0, "SELECT seq FROM head")
    for hold_id in (hold.hold_id, b"x" * 16):
        command = ExpireHold(slot_of(payer), hold_id, payer)
        answer = await router.submit(command, math.inf)
        assert isinstance(answer.outcome, Expired)
    assert await world.sql(0, "SELECT seq FROM head") == before
    assert await queries.hold(router.shard_of(payer), hold.hold_id) == hold


async def test_a_failed_release_comes_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep that can't read, and a release that breaks off: both are tried again."""
    monkeypatch.setattr(expiry, "RETRY_S", 0.2)
    router = await world.start()
    payer = await world.wallet(0, 100)
    hold = make.hold_of(await world.do(make.authorize(payer, 10, seconds=0.4)))
    read, failures = queries.overdue_holds, iter([OSError("gone"), RuntimeError("odd")])

    async def unsteady(*args: object) -> object:
        for error in failures:
            raise error
        return await read(*args)  # type: ignore[arg-type]

    async def broken() -> None:
        raise ValueError("release")

    monkeypatch.setattr(queries, "overdue_holds", unsteady)
    world.shards[0].once[Point.AFTER_LOAD].append(broken)
    await _swept_to(world, 0, 0)
    stored = await queries.hold(router.shard_of(payer), hold.hold_id)
    assert stored is not None
    assert stored.state == HoldState.EXPIRED
    assert router.ready()
    await world.check()


async def test_a_locked_wallet_keeps_its_hold_until_it_is_free(world: World) -> None:
    """A stranger's lock delays that one release; the others go on."""
    await world.start()
    locked, free = await world.wallet(0, 100), await world.wallet(0, 100)
    async with stranger(world.urls[0]) as run:
        for payer in (locked, free):
            make.hold_of(await world.do(make.authorize(payer, 10, seconds=0.3)))
        await run(f"SELECT 1 FROM balances WHERE wallet_id={id_sql(locked)} FOR UPDATE")
        await _swept_to(world, 0, 1)
        await run("ROLLBACK")
    await _swept_to(world, 0, 0)
    await world.check()


async def test_readiness_needs_the_sweep(world: World) -> None:
    """A sweep that ended is a part that does not run; it ends with the router."""
    router = await world.start()
    assert router.ready()
    await router._expiries[0].stop()
    assert not router.ready()
    await until(lambda: not router._expiries[0].running)


async def test_expiries_leave_callers_their_room(world: World) -> None:
    """What the suite queues for itself does not count against the callers' limit."""
    router = await world.start(queue_limit=4)
    payer, shop = await world.wallet(0, 100), await world.wallet(0)
    loop = router.loops[0]
    releases = [
        router.submit(ExpireHold(slot_of(payer), bytes([n]) * 16, payer), math.inf)
        for n in range(1, 17)
    ]
    transfers = world.queue([world.transfer(payer, shop) for _ in range(4)])
    assert len(loop._queue) == 20
    await asyncio.gather(*releases, *transfers)
    assert loop._internal == 0
