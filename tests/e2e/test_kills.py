"""Every process is killed at random under load, and nothing that was acknowledged is lost.

`GUILDER_LONG=1` goes on for minutes, and kills several at once. `GUILDER_SEED=<n>` fixes what is
killed, in which order.
"""

import asyncio
import os
import random
import secrets

import pytest

from tests.e2e.conftest import LONG
from tests.e2e.traffic import Traffic, open_client
from tests.e2e.verification import expect_clean
from walletkit.stack import Stack

ROUNDS = 12 if LONG else 1
CLIENTS = 16


@pytest.mark.timeout(1200 if LONG else 240)
async def test_whatever_is_killed_the_money_is_right(suite: Stack) -> None:
    """Acknowledged is there exactly once; the rest was retried by its key; verify is clean."""
    seed = int(os.environ.get("GUILDER_SEED", secrets.randbelow(10**9)))
    print(f"kills: GUILDER_SEED={seed}")  # noqa: T201  # pytest shows it when it fails
    chance = random.Random(seed)
    async with open_client(suite) as guilder:
        traffic = Traffic(guilder, random.Random(seed + 1))
        await traffic.prepare()
        stop = asyncio.Event()
        working = asyncio.create_task(traffic.run(CLIENTS, stop))
        for _ in range(ROUNDS):
            await _kill_each(suite, chance, working)
        await asyncio.sleep(1)
        stop.set()
        await asyncio.wait_for(working, 90)
        print(f"{len(traffic.made)} transfers, {len(traffic.refused)} refusals")  # noqa: T201
        assert traffic.refused, "no call was hit"
        assert await traffic.faults(suite) == []
        await expect_clean(suite)


async def _kill_each(suite: Stack, chance: random.Random, working: asyncio.Task[None]) -> None:
    """Kill each process once, alone or with another, and start it again after a moment."""
    names = [*suite.databases, *suite.services]
    chance.shuffle(names)
    while names and not working.done():
        hit = [names.pop() for _ in range(min(len(names), chance.choice((1, 1, 2))))]
        await asyncio.sleep(chance.uniform(0, 0.5))
        await asyncio.to_thread(suite.kill, *hit)
        await asyncio.sleep(chance.choice((0.0, 0.0, 1.0, 4.0 if LONG else 0.5)))
        await asyncio.to_thread(suite.start, *hit)
