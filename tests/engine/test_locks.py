"""Locks of strangers: deadlocks are run again, a locked wallet makes only its own commands wait."""

import asyncio
import time

import pytest
from asyncmy.errors import OperationalError

from tests.engine import movements as make
from tests.engine.faulty_shard import Point
from tests.engine.world import World, account_on, id_sql, posted, reason, stranger
from wallet.domain.bound import account_owner
from wallet.domain.commands import Command, Limits
from wallet.domain.outcome import AccountSet, WalletSet
from wallet.engine import batch_run
from walletkit.ids import slot_of_account
from walletkit.sql import session
from walletkit.sql.session import DEADLOCK, LOCK_WAIT_TIMEOUT


@pytest.fixture
def short_lock_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sessions give up a lock after one second instead of two."""
    monkeypatch.setattr(session, "LOCK_WAIT_TIMEOUT_S", 1)


async def test_a_deadlock_runs_the_batch_again(world: World) -> None:
    """The batch is chosen as the victim: it runs again as a whole, and has its effect once."""
    await world.start()
    low, high = sorted([await world.wallet(0, 100), await world.wallet(0, 100)])
    shard = world.shards[0]
    await world.sql(0, "CREATE TABLE weights(n INT PRIMARY KEY)")
    async with stranger(world.urls[0]) as run:
        # The server picks as its victim who has changed less.
        await run("INSERT INTO weights SELECT slot FROM slots LIMIT 500")
        await run(f"SELECT 1 FROM balances WHERE wallet_id={id_sql(high)} FOR UPDATE")
        one, other = world.queue([world.transfer(low, high, 7), world.transfer(high, low, 2)])
        await _until_waiting(world)
        await run(f"SELECT 1 FROM balances WHERE wallet_id={id_sql(low)} FOR UPDATE; ROLLBACK")
        assert not posted((await one).outcome).replayed
        assert not posted((await other).outcome).replayed
    assert DEADLOCK in shard.error_numbers
    assert (await world.posted(0, low), await world.posted(0, high)) == (95, 105)
    await world.check()


async def test_a_locked_wallet_makes_only_its_own_commands_wait(
    world: World, short_lock_wait: None
) -> None:
    """Others go on after two timeouts, and at once from then on; released, the parked are done."""
    await world.start()
    locked, free, other, away = [await world.wallet(n, 100) for n in (0, 0, 0, 1)]
    async with stranger(world.urls[0]) as run:
        await run(f"SELECT 1 FROM balances WHERE wallet_id={id_sql(locked)} FOR UPDATE")
        commands = [
            world.transfer(locked, free),
            world.transfer(free, other),
            world.transfer(other, locked),
            world.transfer(other, away),
        ]
        first, second, third, fourth = world.queue(commands)
        posted((await asyncio.wait_for(second, 5)).outcome)
        posted((await asyncio.wait_for(fourth, 5)).outcome)
        assert world.shards[0].error_numbers == [LOCK_WAIT_TIMEOUT, LOCK_WAIT_TIMEOUT]
        began = time.monotonic()
        for _ in range(10):
            posted(await world.do(world.transfer(free, away)))
        assert time.monotonic() - began < 1
        assert not first.done()
        assert not third.done()
    posted((await asyncio.wait_for(first, 2)).outcome)
    posted((await asyncio.wait_for(third, 2)).outcome)
    assert await world.posted(0, locked) == 100
    await world.check()


async def test_a_wallet_locked_for_long_is_unavailable(
    world: World, short_lock_wait: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its last round a parked command is answered SHARD_UNAVAILABLE, with nothing changed."""
    monkeypatch.setattr(batch_run, "MAX_PARKS", 3)
    await world.start()
    locked, free = await world.wallet(0, 100), await world.wallet(0)
    command = world.transfer(locked, free)
    async with stranger(world.urls[0]) as run:
        await run(f"SELECT 1 FROM balances WHERE wallet_id={id_sql(locked)} FOR UPDATE")
        assert reason(await asyncio.wait_for(world.do(command), 6)) == "SHARD_UNAVAILABLE"
    assert await world.posted(0, locked) == 100
    posted(await world.do(command))
    await world.check()


async def test_a_wallet_stays_suspect_while_it_stays_locked(
    world: World, short_lock_wait: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as its commands come and find it locked, no batch of others waits for it again."""
    monkeypatch.setattr(batch_run, "SUSPECT_S", 0.5)
    await world.start()
    locked, free, other = [await world.wallet(0, 100) for _ in range(3)]
    async with stranger(world.urls[0]) as run:
        await run(f"SELECT 1 FROM balances WHERE wallet_id={id_sql(locked)} FOR UPDATE")
        (waiting,) = world.queue([world.transfer(locked, free)])
        await asyncio.sleep(2.5)
        timeouts = len(world.shards[0].errors)
        slowest = 0.0
        until = time.monotonic() + 2
        while time.monotonic() < until:
            began = time.monotonic()
            posted(await world.do(world.transfer(free, other)))
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.02)
        assert slowest < 0.5
        assert len(world.shards[0].errors) == timeouts
    posted((await waiting).outcome)
    await world.check()


@pytest.mark.parametrize("locked", ["slot", "limits of the wallet", "limits of the account"])
async def test_a_locked_slot_or_limit_makes_only_its_own_commands_wait(
    world: World, short_lock_wait: None, locked: str
) -> None:
    """What else a batch locks is found as well: the shard goes on without those who need it."""
    await world.start()
    account_id, bounds = account_on(0), Limits(max_transaction=50)
    made = await world.do(make.named(account_id, "a"))
    assert isinstance(made, WalletSet)
    limited = made.facts.wallet_id
    free, other = await world.wallet(0, 100), await world.wallet(0)
    posted(await world.do(world.deposit(limited, 10)))
    row = f"slots WHERE slot={slot_of_account(account_id)}"
    waits: Command = make.named(account_id, "b")
    if locked != "slot":
        whole = locked.endswith("account")
        limit = make.limit_account(account_id, bounds) if whole else None
        await world.do(limit or make.limit_wallet(limited, bounds))
        owner = account_owner(account_id, "EUR") if whole else limited
        row, waits = f"limits WHERE owner={id_sql(owner)}", world.transfer(limited, other)
    async with stranger(world.urls[0]) as run:
        await run(f"SELECT 1 FROM {row} FOR UPDATE")
        first, second = world.queue([waits, world.transfer(free, other)])
        posted((await asyncio.wait_for(second, 5)).outcome)
        assert world.shards[0].error_numbers == [LOCK_WAIT_TIMEOUT, LOCK_WAIT_TIMEOUT]
        began = time.monotonic()
        for _ in range(10):
            posted(await world.do(world.transfer(free, other)))
        assert time.monotonic() - began < 1
        assert not first.done()
    outcome = (await asyncio.wait_for(first, 2)).outcome
    assert not getattr(outcome, "reason", "")
    await world.check()


async def test_an_account_with_a_locked_wallet_waits_alone(
    world: World, short_lock_wait: None
) -> None:
    """The freeze of an account is parked with its one locked wallet; others go on meanwhile."""
    await world.start()
    account_id = account_on(0)
    made = [await world.do(make.named(account_id, name)) for name in "ab"]
    ids = [outcome.facts.wallet_id for outcome in made if isinstance(outcome, WalletSet)]
    free, other = await world.wallet(0, 100), await world.wallet(0)
    async with stranger(world.urls[0]) as run:
        await run(f"SELECT 1 FROM balances WHERE wallet_id={id_sql(ids[1])} FOR UPDATE")
        freezing, passing = world.queue(
            [make.freeze_account(account_id), world.transfer(free, other)]
        )
        posted((await asyncio.wait_for(passing, 5)).outcome)
        began = time.monotonic()
        for _ in range(30):
            posted(await world.do(world.transfer(free, other)))
            await asyncio.sleep(0.02)
        assert time.monotonic() - began < 2
        assert not freezing.done()
    frozen = (await asyncio.wait_for(freezing, 3)).outcome
    assert isinstance(frozen, AccountSet)
    assert frozen.wallets == 2
    await world.check()


async def test_a_leg_to_a_locked_wallet_waits_alone(world: World, short_lock_wait: None) -> None:
    """The debit stands, the caller hears PROCESSING, and the credit lands after the release."""
    await world.start(leg_wait_s=0.2)
    source, locked, free = [await world.wallet(n, 100) for n in (0, 1, 1)]
    async with stranger(world.urls[1]) as run:
        await run(f"SELECT 1 FROM balances WHERE wallet_id={id_sql(locked)} FOR UPDATE")
        pending = posted(await world.do(world.transfer(source, locked, 40)))
        assert pending.state.name == "PROCESSING"
        landed = world.transfer(source, free, 30)
        posted(await world.do(landed))
        await asyncio.sleep(3)
        assert await world.posted(1, free) == 130
        assert await world.posted(1, locked) == 100
    await world.check()
    assert await world.posted(1, locked) == 140


async def _until_waiting(world: World) -> None:
    """Wait until the batch waits for a lock, behind those that it has."""
    for _ in range(50):
        if await world.sql(0, "SELECT 1 FROM information_schema.INNODB_LOCK_WAITS"):
            return
        # Asked again within 100 ms, the server tells what it told before.
        await asyncio.sleep(0.12)
    raise AssertionError("nothing waits for a lock")


async def test_reruns_are_bounded(world: World) -> None:
    """A batch that deadlocks for ever is answered, with nothing changed; the shard goes on."""
    await world.start()
    one, other = await world.wallet(0, 100), await world.wallet(0)
    shard = world.shards[0]

    async def collide() -> None:
        raise deadlock()

    shard.always[Point.AFTER_LOAD] = collide
    command = world.transfer(one, other)
    outcome = await world.do(command)
    assert reason(outcome) == "SHARD_UNAVAILABLE"
    assert len(shard.errors) == batch_run.MAX_RERUNS + 1
    del shard.always[Point.AFTER_LOAD]
    assert await world.posted(0, one) == 100
    posted(await world.do(command))
    await world.check()


def deadlock() -> Exception:
    """Make the driver's error of a deadlock."""
    return OperationalError(DEADLOCK, "Deadlock found when trying to get lock")
