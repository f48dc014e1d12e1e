"""Validation decides as a batch would, writes nothing, locks nothing, and waits for no lock."""

import asyncio
import math
import time

from tests.engine import movements as make
from tests.engine.world import World, account_on, id_sql, posted, reason, stranger
from wallet.domain.commands import KeyedCommand, Limits
from wallet.domain.kinds import WalletChangeKind
from wallet.domain.outcome import AtomicSet, HoldSet, Posted, WalletSet
from walletkit.errors import ServiceError
from walletkit.ids import new_id, slot_of
from walletkit.stack import Stack


async def _checksums(world: World) -> list[object]:
    """Return a checksum of every table of every shard."""
    found: list[object] = []
    for shard in range(len(world.urls)):
        tables = [name for (name,) in await world.sql(shard, "SHOW TABLES")]
        for table in sorted(tables):
            found += await world.sql(shard, f"CHECKSUM TABLE {table}")
    return found


async def _every_command(world: World) -> list[KeyedCommand]:
    account_id = account_on(0)
    made = await world.do(make.named(account_id, "a"))
    assert isinstance(made, WalletSet)
    payer, near, far = made.facts.wallet_id, await world.wallet(0), await world.wallet(1)
    original = posted(await world.do(world.deposit(payer, 500)))
    hold = make.hold_of(await world.do(make.authorize(payer, 50)))
    slot = slot_of(payer)
    return [
        world.deposit(far, 5),
        world.transfer(payer, near, 1),
        world.transfer(payer, far, 1),
        make.named(account_id, "b"),
        make.authorize(payer, 5),
        make.increment(hold, 5),
        make.extend(hold, make.in_us(9_000)),
        make.capture(hold, far, 20),
        make.void(hold),
        make.reverse(original, 5),
        make.post(slot, (payer, near, 1), (payer, make.FEES, 2), (payer, far, 3)),
        make.limit_wallet(payer, Limits(overdraft=5, max_transaction=90)),
        make.limit_account(account_id, Limits(max_transaction=90)),
        make.update(payer, b"{}"),
        make.register(slot, "MILES", 2),
        make.atomic(world.transfer(payer, near, 1), world.transfer(payer, far, 2)),
        make.freeze_account(account_id),
        world.change(WalletChangeKind.FROZEN, payer),
    ]


async def test_nothing_is_written(world: World) -> None:
    """Every kind of command is decided, and not a byte of any table differs afterwards."""
    router = await world.start()
    commands = await _every_command(world)
    await world.settle()
    before = await _checksums(world)
    outcomes = await router.validate(commands, math.inf)
    assert await _checksums(world) == before
    for command, outcome in zip(commands, outcomes, strict=True):
        assert not isinstance(outcome, ServiceError), (command, outcome)
    # Decided for real, they come to the same.
    for command, expected in zip(commands, outcomes, strict=True):
        outcome = await world.do(command)
        assert type(outcome) is type(expected)
    await world.check()


async def test_commands_see_those_before_them(world: World) -> None:
    """Together they are decided in order; alone, each against what is there."""
    router = await world.start()
    payer, shop = await world.wallet(0, 100), await world.wallet(0)
    commands = [world.transfer(payer, shop, 60), world.transfer(payer, shop, 60)]
    first, second = await router.validate(commands, math.inf)
    assert isinstance(first, Posted)
    assert reason(second) == "INSUFFICIENT_FUNDS"
    (alone,) = await router.validate(commands[1:], math.inf)
    assert isinstance(alone, Posted)


async def test_a_used_key_replays(world: World) -> None:
    """Validating what was done before tells what it came to."""
    router = await world.start()
    payer, shop = await world.wallet(0, 100), await world.wallet(0)
    transfer = world.transfer(payer, shop, 60)
    done = posted(await world.do(transfer))
    (outcome,) = await router.validate([transfer._replace(ref=new_id(transfer.slot))], math.inf)
    assert isinstance(outcome, Posted)
    assert outcome.replayed
    assert outcome.command.ref == done.command.ref


async def test_a_locked_wallet_does_not_hold_it_up(world: World) -> None:
    """It reads beside the locks, and leaves none: the one who has them commits at once."""
    router = await world.start()
    payer, shop = await world.wallet(0, 100), await world.wallet(1)
    async with stranger(world.urls[0]) as run:
        await run(f"SELECT 1 FROM balances WHERE wallet_id={id_sql(payer)} FOR UPDATE")
        begun = time.monotonic()
        outcomes = await router.validate(
            [
                world.transfer(payer, shop, 1),
                make.authorize(payer, 5),
                make.atomic(world.transfer(payer, shop, 1)),
            ],
            math.inf,
        )
        assert time.monotonic() - begun < 1
        assert [type(o) for o in outcomes] == [Posted, HoldSet, AtomicSet]
        await run("ROLLBACK")


async def test_a_dead_shard_fails_only_its_own(world: World, databases: Stack) -> None:
    """Each command whose shard is down says so; the others are decided, within the deadline."""
    router = await world.start()
    near, far = await world.wallet(0, 100), await world.wallet(1, 100)
    databases.kill("shard-1")
    commands = [world.deposit(near, 1), world.deposit(far, 1), world.transfer(near, far, 1)]
    outcomes = await router.validate(commands, time.monotonic() + 5)
    assert isinstance(outcomes[0], Posted)
    assert [reason(outcome) for outcome in outcomes[1:]] == ["SHARD_UNAVAILABLE"] * 2
    late = await router.validate(commands[:1], time.monotonic() - 1)
    assert reason(late[0]) == "DEADLINE_EXCEEDED"
    await asyncio.to_thread(databases.start, *databases.databases)
