"""A database that dies, hangs, comes back, or can't be trusted."""

import asyncio
import signal
import time

import pytest

from tests.engine.faulty_shard import Point
from tests.engine.world import World, again, posted, reason, until
from wallet.domain.commands import Transfer
from wallet.domain.outcome import Outcome, Posted
from wallet.engine import batch_run, router
from wallet.store import load
from walletkit.errors import ServiceError
from walletkit.stack import Stack

TRANSIENT = {"SHARD_UNAVAILABLE", "OUTCOME_UNKNOWN", "OVERLOADED"}


@pytest.mark.parametrize("reruns", [batch_run.MAX_RERUNS, 0], ids=["engine", "clients"])
async def test_a_database_killed_under_load_loses_nothing(
    world: World, databases: Stack, monkeypatch: pytest.MonkeyPatch, reruns: int
) -> None:
    """Acknowledged is applied; what was not is retried, by the engine or the client, once."""
    monkeypatch.setattr(batch_run, "MAX_RERUNS", reruns)
    await world.start()
    wallets = [await world.wallet(n % 2, 1_000) for n in range(8)]
    stop = asyncio.Event()
    clients = [asyncio.create_task(_client(world, wallets, n, stop)) for n in range(16)]
    await asyncio.sleep(0.3)
    for name in ("shard-0", "shard-1"):
        await asyncio.to_thread(databases.kill, name)
        await asyncio.to_thread(databases.start, name)
        await asyncio.sleep(0.3)
    stop.set()
    made = [tx for client in clients for tx in await asyncio.wait_for(client, 30)]
    assert all(shard.errors for shard in world.shards), "no batch was hit"
    assert reruns or any(tx.attempts > 1 for tx in made), "no call was hit"
    await world.check()
    stored = {row for n in (0, 1) for row in await world.sql(n, "SELECT tx_id FROM transactions")}
    assert {(tx.tx_id,) for tx in made} <= stored
    assert len(stored) == len(made) + len(wallets), "deposits and transfers, nothing else"


async def test_a_dead_shard_fails_its_own_calls_fast_and_comes_back(
    world: World, databases: Stack
) -> None:
    """The other shard goes on; nothing is debited towards the dead one; no restart is needed."""
    await world.start()
    near, near_too, far = [await world.wallet(n, 100) for n in (0, 0, 1)]
    await asyncio.to_thread(databases.kill, "shard-1")
    began = time.monotonic()
    assert reason(await _try(world, world.transfer(near, far))) == "SHARD_UNAVAILABLE"
    assert time.monotonic() - began < 1
    posted(await world.do(world.transfer(near, near_too)))
    assert reason(await _try(world, world.transfer(far, near))) == "SHARD_UNAVAILABLE"
    await until(lambda: not world.router.loops[1].up)
    assert world.router.ready()
    for _ in range(20):
        began = time.monotonic()
        assert reason(await _try(world, world.transfer(far, near))) == "SHARD_UNAVAILABLE"
        assert reason(await _try(world, world.transfer(near, far))) == "SHARD_UNAVAILABLE"
        posted(await world.do(world.transfer(near, near_too)))
        assert time.monotonic() - began < 0.2
    await asyncio.to_thread(databases.start, "shard-1")
    await until(lambda: world.router.loops[1].up)
    posted(await world.do(world.transfer(far, near)))
    await asyncio.sleep(2)
    posted(await world.do(world.transfer(near, far)))
    await world.check()
    assert await world.posted(0, near) == 100 - 21


async def test_a_hung_shard_does_not_hold_the_other(world: World, databases: Stack) -> None:
    """A server that accepts and never answers costs the other shard half a second at most."""
    await world.start()
    near, near_too, far = [await world.wallet(n, 1_000) for n in (0, 0, 1)]
    databases.signal("shard-1", signal.SIGSTOP)
    await asyncio.sleep(0.05)
    try:
        hung = asyncio.create_task(world.do(world.transfer(far, near)))
        slowest = 0.0
        until_s = time.monotonic() + 3
        while time.monotonic() < until_s:
            began = time.monotonic()
            crossing, local = world.queue(
                [world.transfer(near, far), world.transfer(near, near_too)]
            )
            posted((await local).outcome)
            assert reason((await crossing).outcome) == "SHARD_UNAVAILABLE"
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.02)
        assert slowest < 1
        assert not hung.done()
    finally:
        databases.signal("shard-1", signal.SIGCONT)
    posted(await asyncio.wait_for(hung, 15))
    await world.check()


async def test_a_shard_that_hangs_for_long_counts_as_down(
    world: World, databases: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its callers get an answer within seconds, not after ten time-outs; then it comes back."""
    monkeypatch.setattr(load, "PACKET_TIMEOUT_S", 2)
    await world.start()
    near, far = await world.wallet(0, 1_000), await world.wallet(1, 1_000)
    databases.signal("shard-1", signal.SIGSTOP)
    await asyncio.sleep(0.05)
    try:
        assert reason(await asyncio.wait_for(_try(world, world.transfer(far, near)), 8)) in (
            TRANSIENT
        )
        assert not world.router.loops[1].up
    finally:
        databases.signal("shard-1", signal.SIGCONT)
    await until(lambda: world.router.loops[1].up)
    posted(await world.do(world.transfer(far, near)))
    await world.check()


async def test_a_shard_that_dies_between_debit_and_credit(world: World, databases: Stack) -> None:
    """The caller hears OK with PROCESSING; back again, the shard gets its credit."""
    await world.start(leg_wait_s=0.5)
    near, far = await world.wallet(0, 100), await world.wallet(1)

    async def die() -> None:
        await asyncio.to_thread(databases.kill, "shard-1")

    world.shards[0].once[Point.AFTER_SAVE].append(die)
    outcome = posted(await world.do(world.transfer(near, far, 30)))
    assert outcome.state.name == "PROCESSING"
    assert await world.posted(0, near) == 70
    await asyncio.to_thread(databases.start, "shard-1")
    await world.check()
    assert await world.posted(1, far) == 30
    assert await world.state(0, outcome.command.ref) == 2


async def test_a_server_that_may_lose_commits_is_refused(
    world: World, databases: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weak settings keep a shard down until they are right; a process that is told accepts them."""
    monkeypatch.setattr(router, "START_WAIT_S", 0.5)
    for setting, weak, strong in (
        ("innodb_flush_log_at_trx_commit", 2, 1),
        ("sync_binlog", 0, 1),
    ):
        await asyncio.to_thread(databases.execute, "shard-0", f"SET GLOBAL {setting}={weak}")
        try:
            refusing, daring = World(world.urls), World(world.urls)
            await refusing.start()
            assert not refusing.router.loops[0].up
            assert refusing.router.loops[1].up
            with pytest.raises(ServiceError, match="does not answer"):
                await refusing.wallet(0)
            await daring.start(durable=False)
            await daring.wallet(0)
            await daring.end()
        finally:
            await asyncio.to_thread(databases.execute, "shard-0", f"SET GLOBAL {setting}={strong}")
        await until(lambda router=refusing.router: router.loops[0].up)  # type: ignore[misc]
        await refusing.wallet(0)
        await refusing.end()


class _Made:
    """A transfer that was acknowledged."""

    def __init__(self, tx_id: bytes, attempts: int) -> None:
        self.tx_id = tx_id
        self.attempts = attempts


async def _client(world: World, wallets: list[bytes], n: int, stop: asyncio.Event) -> list[_Made]:
    """Transfer one after the other, across and within shards, each until it is acknowledged."""
    made: list[_Made] = []
    turn = n
    while not stop.is_set():
        turn += 1
        source, destination = wallets[turn % 8], wallets[(turn * 3 + 1) % 8]
        if source == destination:
            continue
        command = world.transfer(source, destination)
        attempts = 0
        while True:
            attempts += 1
            outcome = await _try(world, again(command))
            if isinstance(outcome, Posted):
                made.append(_Made(outcome.command.ref, attempts))
                break
            assert reason(outcome) in TRANSIENT
            await asyncio.sleep(0.05)
    return made


async def _try(world: World, command: Transfer) -> Outcome:
    """Do a command; what is refused at the door is an outcome too."""
    try:
        return await world.do(command)
    except ServiceError as error:
        return error
