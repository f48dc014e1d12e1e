"""Families over two shards, while the processes and databases that carry them are killed.

`GUILDER_LONG=1` goes on for longer. `GUILDER_SEED=<n>` fixes what is killed, in which order.
"""

import asyncio
import os
import random
import secrets

import pytest

from tests.e2e.conftest import LONG
from tests.e2e.families import Families
from tests.e2e.traffic import open_client, shard_urls, until_settled
from tests.e2e.verification import expect_clean
from tests.simulation import books
from walletkit.stack import Stack

ROUNDS = 6 if LONG else 1
CLIENTS = 3
VICTIMS = ("wallet", "shard-0", "ledger", "relay", "shard-1")


@pytest.mark.timeout(600 if LONG else 120)
async def test_families_are_whole_whatever_is_killed(suite: Stack) -> None:
    """Hold, captures and refunds are there exactly once, linked as they belong; verify is clean."""
    seed = int(os.environ.get("GUILDER_SEED", secrets.randbelow(10**9)))
    print(f"families: GUILDER_SEED={seed}")  # noqa: T201  # pytest shows it when it fails
    chance = random.Random(seed)
    async with open_client(suite) as guilder:
        families = Families(guilder, random.Random(seed + 1))
        await families.prepare(CLIENTS)
        stop = asyncio.Event()
        working = asyncio.create_task(families.run(stop))
        for _ in range(ROUNDS):
            await _kill_each(suite, chance, working)
        await asyncio.sleep(0.3)
        stop.set()
        await asyncio.wait_for(working, 60)
        print(f"{len(families.done)} families, {len(families.refused)} refusals")  # noqa: T201
        assert families.refused, "no call was hit"
        await until_settled(shard_urls(suite))
        assert await families.faults() == []
        assert books.faults(await books.read(shard_urls(suite))) == []
        await expect_clean(suite)


async def _kill_each(suite: Stack, chance: random.Random, working: asyncio.Task[None]) -> None:
    """Kill -9 each victim in the midst of its work, and start it again after a moment."""
    names = list(VICTIMS)
    chance.shuffle(names)
    for name in names:
        if working.done():
            return
        await asyncio.sleep(chance.uniform(0.05, 0.4))
        await asyncio.to_thread(suite.kill, name)
        await asyncio.sleep(chance.choice((0.0, 0.3)))
        await asyncio.to_thread(suite.start, name)
