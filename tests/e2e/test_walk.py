"""A random walk through every command, on the real suite, judged by a model that shares no code.

`GUILDER_SEED=<n>` walks one seed again. `GUILDER_LONG=1` walks ten seeds of ten thousand steps,
while processes and databases are killed; `make walk` does that.
"""

import asyncio
import os
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.e2e.traffic import shard_urls
from tests.e2e.verification import expect_clean
from tests.walk.caller import Caller
from tests.walk.machine import Walk
from tests.walk.rows import Shards
from walletkit.stack import Stack

LONG = os.environ.get("GUILDER_LONG") == "1"
SEEDS = 10 if LONG else 1
WALKS, STEPS = (20, 60) if LONG else (6, 40)
"""Walks that hypothesis draws from a seed, and rules in each."""
ASKED = 10_000 if LONG else 1
"""A seed, and those behind it, walk until so many commands were asked for."""
MOST_ASKED = 2 * ASKED
"""Some answers are rare: for these it goes on, but not for ever."""
KILL_EVERY_S = (4.0, 12.0)
VICTIMS = ("wallet", "wallet", "wallet", "relay", "ledger", "notify", "shard-0", "shard-1")
NEEDED = ("OK",)
NEEDED_LONG = (
    *NEEDED,
    *("VELOCITY_LIMIT", "TRANSACTION_LIMIT", "BALANCE_ABOVE_MAXIMUM", "BALANCE_BELOW_MINIMUM"),
    *("HOLD_CAPTURED", "HOLD_VOIDED", "HOLD_OVER_CAPTURE", "WALLET_FROZEN", "ACCOUNT_FROZEN"),
    *("TRANSACTION_REVERSED", "REVERSAL_EXCEEDS_ORIGINAL", "VERSION_MISMATCH", "WALLET_CLOSED"),
)


@pytest.mark.timeout(7_200 if LONG else 120)
@pytest.mark.parametrize("walk", range(SEEDS))
async def test_every_movement_is_as_the_model_says(suite: Stack, walk: int) -> None:
    """Replies, rows and books are what plain arithmetic gives, step by step, whatever is killed."""
    number = int(os.environ.get("GUILDER_SEED", "0")) or secrets.randbelow(10**9)
    print(f"walk {walk}: GUILDER_SEED={number}")  # noqa: T201  # pytest shows it when it fails
    Walk.steps = Counter()
    with _killing(suite, random.Random(number)) as killed:
        await asyncio.to_thread(_walk, suite, number)
    print(f"  {dict(Walk.steps.most_common())}, killed {dict(killed)}")  # noqa: T201
    assert not _missing(), f"no {', '.join(_missing())}: the walk was too quiet"
    suite.up()
    await expect_clean(suite)


def _walk(suite: Stack, number: int) -> None:
    """Walk until enough was asked for, and every answer that is needed was seen."""
    with _on(suite):
        while _asked() < (MOST_ASKED if _missing() else ASKED):
            _walks(number)
            number += 1


def _asked() -> int:
    """Count commands: methods are named in camel case, reasons in capitals."""
    return sum(count for name, count in Walk.steps.items() if name[1].islower())


def _missing() -> list[str]:
    return [needed for needed in (NEEDED_LONG if LONG else NEEDED) if not Walk.steps[needed]]


def _walks(number: int) -> None:
    chosen = settings(
        max_examples=WALKS,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        # A walk is not repeatable to the millisecond; what it did is in its assertion.
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(Walk), settings=chosen)


@contextmanager
def _on(suite: Stack) -> Iterator[None]:
    """Give the walks their way to the suite."""
    Walk.caller = Caller(suite.address("wallet"), suite.address("ledger"), f"w{time.time_ns()}")
    Walk.shards = Shards(shard_urls(suite))
    try:
        yield
    finally:
        Walk.caller.close()
        Walk.shards.close()


@contextmanager
def _killing(suite: Stack, chance: random.Random) -> Iterator[Counter[str]]:
    """In the long form: kill -9 one process after the other, and start it again."""
    killed: Counter[str] = Counter()
    over = threading.Event()

    def kill() -> None:
        while not over.wait(chance.uniform(*KILL_EVERY_S)):
            victim = chance.choice(VICTIMS)
            suite.kill(victim)
            killed[victim] += 1
            suite.start(victim)

    killer = threading.Thread(target=kill, daemon=True)
    if LONG:
        killer.start()
    try:
        yield killed
    finally:
        over.set()
        if LONG:
            killer.join(60)
