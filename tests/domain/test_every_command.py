"""Random batches of every command on two shards: what must hold of them all.

A decline changes nothing, a replay repeats, a lost commit is told as its first answer, and the
invariants of money and holds stand after every batch. A long run: ``GUILDER_LONG=1``.
"""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.domain.command_world import World
from tests.domain.commands_for_tests import (
    HERE,
    authorize,
    balance,
    capture,
    line,
    make_batch,
    make_id,
    post,
    transfer,
)
from wallet.domain.commands import (
    KeyedCommand,
    Limits,
    VelocityLimit,
)
from wallet.domain.decide import decide
from wallet.domain.kept import MAX_KEPT_BYTES, MAX_KEPT_LINES_BYTES
from wallet.domain.kinds import (
    AccountFreeze,
    VelocityBasis,
    VelocityWindow,
    WalletStatus,
)
from wallet.domain.outcome import Posted
from walletkit.money import MAX_BALANCE_MINOR

LONG = os.environ.get("GUILDER_LONG") == "1"
LIMITS = (
    Limits(),
    Limits(overdraft=50),
    Limits(max_transaction=60, over_capture_percent=50),
    Limits(min_balance=5, max_balance=200),
    Limits(velocity=(VelocityLimit(VelocityWindow.DAY, VelocityBasis.DEBITS, 150, 8),)),
    Limits(velocity=(VelocityLimit(VelocityWindow.HOUR, VelocityBasis.CREDITS, 150, 0),)),
)
ACCOUNT_LIMITS = (Limits(), Limits(max_transaction=70), LIMITS[4])

index = st.integers(0, 30)
amounts = st.sampled_from([1, 5, 10, 40, 100])
OFTEN = (
    st.tuples(st.just("transfer"), index, index, amounts),
    st.tuples(st.just("authorize"), index, index, amounts, st.sampled_from([0, 0, 3, 50])),
    st.tuples(st.just("increment"), index, amounts),
    st.tuples(st.just("capture"), index, index, st.just(0) | amounts, st.booleans()),
    st.tuples(st.just("reverse"), index, st.just(0) | amounts),
    st.tuples(st.just("post"), st.lists(st.tuples(index, index, amounts), min_size=1, max_size=4)),
    st.tuples(st.just("land"), index),
)
SELDOM = (
    st.tuples(st.just("extend"), index, st.integers(1, 90)),
    st.tuples(st.just("void"), index),
    st.tuples(st.just("expire"), index),
    st.tuples(st.just("close"), index),
    st.tuples(st.just("again"), index),
    st.tuples(st.just("status"), index, st.sampled_from([*WalletStatus, WalletStatus.ACTIVE])),
    st.tuples(st.just("limit"), index, st.sampled_from(LIMITS)),
    st.tuples(st.just("account"), index, st.sampled_from([*ACCOUNT_LIMITS, *AccountFreeze])),
    st.tuples(st.just("account"), index, st.just(AccountFreeze.NONE)),
    st.tuples(st.just("other"), index),
)
OPS = st.one_of(*OFTEN, *OFTEN, *SELDOM)
OP = st.one_of(*OFTEN, *OFTEN, *SELDOM, st.tuples(st.just("atomic"), st.lists(OPS, max_size=4)))
LOSSES = st.sampled_from(["", "", "", "before commit", "after commit"])
BATCHES = st.lists(
    st.tuples(st.lists(OP, min_size=2, max_size=8), LOSSES, st.integers(0, 20)),
    min_size=4,
    max_size=40 if LONG else 12,
)


@pytest.mark.timeout(3600 if LONG else 120)
@settings(
    max_examples=2000 if LONG else 150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(BATCHES)
def test_any_batches(batches: list[tuple[list[tuple[Any, ...]], str, int]]) -> None:
    """Whatever is asked for, in whatever order, and however often."""
    world = World()
    for ops, lost, ticks in batches:
        world.now_us += ticks
        commands = [made for op in ops if (made := world.make(op)) is not None]
        if commands:
            world.run(commands, lost)
    for shard in world.shards:
        for _, _, kept in shard.keys.values():
            assert len(kept) <= MAX_KEPT_LINES_BYTES
    world.drain()


def test_kept_forms_are_short() -> None:
    """Every kind but several postings stays below its bound; those below theirs."""
    world = World()
    wallet_id, other = world.wallets[:2]
    first = authorize(wallet_id, 20, key="hold")
    world.run([first, capture(first.ref, wallet_id, 10, destination=other, key="capture")])
    lines = [line(wallet_id, other, 1) for _ in range(100)]
    world.run([post(*lines, key="post"), transfer(wallet_id, other, 10**6, key="poor")])
    lengths = {command.ref: len(shard_kept) for command, shard_kept in kept_of(world)}
    assert max(lengths.values()) <= MAX_KEPT_BYTES
    wallets = [make_id(HERE, n) for n in range(1000, 1200)]
    batch = make_batch({w: balance(MAX_BALANCE_MINOR // 2) for w in wallets})
    pairs = zip(wallets[:100], wallets[100:], strict=True)
    assert isinstance(decide(batch, post(*[line(a, b, 1) for a, b in pairs])), Posted)
    (key,) = batch.changes.keys
    assert MAX_KEPT_BYTES < len(key.kept) <= MAX_KEPT_LINES_BYTES


def kept_of(world: World) -> list[tuple[Any, bytes]]:
    """Return what is kept of all that was asked."""
    return [
        (command, shard.keys[command.key_hash][2])
        for command in world.asked
        for shard in world.shards
        if isinstance(command, KeyedCommand) and command.key_hash in shard.keys
    ]
