"""Random clients, random faults, and an auditor who believes nobody.

`GUILDER_SEED=<n>` runs one seed again, `GUILDER_LONG=1` runs many, and longer. What a seed fixes is
what clients want and which faults come in which order; time does the rest.
"""

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import Sequence

import pytest

from guilder.events.v1 import record_pb2 as events
from tests.conftest import FreshDatabases
from tests.engine.world import World, account_on
from tests.simulation import books
from tests.simulation.auditor import Auditor
from tests.simulation.clients import Clients
from tests.simulation.orders import Orders
from tests.simulation.processes import WalletProcess
from tests.simulation.trouble import Trouble
from wallet.store.bootstrap import bootstrap
from walletkit.stack import Stack

LONG = os.environ.get("GUILDER_LONG") == "1"
SECONDS = 30.0 if LONG else 8.0
SEEDS = 12 if LONG else 1
FINISH_S = 60.0
"""Longest wait for the final answers of what was begun, when there is no more trouble."""
CLIENTS = 24
WALLETS = 14
PROCESSES = 2
NEEDED = ("OK", "INSUFFICIENT_FUNDS", "IDEMPOTENCY_KEY_REUSED", "CANCELLED", "HOLD_CAPTURED")


def seeds() -> list[int]:
    """Return the seeds to run: the one that was asked for, or fresh ones."""
    if "GUILDER_SEED" in os.environ:
        return [int(os.environ["GUILDER_SEED"])]
    return [secrets.randbelow(10**9) for _ in range(SEEDS)]


@pytest.mark.timeout(SEEDS * (SECONDS * 3 + 120))
async def test_every_answer_is_true_whatever_fails(
    fresh_databases: FreshDatabases, databases: Stack
) -> None:
    """Money is conserved, keys have one outcome, acknowledged effects stay, declines are right."""
    for seed in seeds():
        print(f"simulation: GUILDER_SEED={seed}")  # noqa: T201  # pytest shows it when it fails
        await _simulate(seed, fresh_databases.shards, databases)


async def _simulate(seed: int, urls: tuple[str, ...], stack: Stack) -> None:
    await bootstrap(urls)
    processes = [WalletProcess(urls) for _ in range(PROCESSES)]
    for process in processes:
        await process.start()
    chance = random.Random(seed)
    accounts = [account_on(n % 2) for n in range(WALLETS)]
    orders = Orders(random.Random(seed + 1), accounts)
    clients = Clients(chance, orders, lambda: chance.choice(processes).stub)
    for _ in range(WALLETS):
        await clients.settle(orders.create(), patient=True)
    for wallet in list(orders.wallets):
        await clients.settle(orders.deposit(wallet, 1_000), patient=True)
    stop = asyncio.Event()
    trouble = Trouble(random.Random(seed + 2), processes, stack)
    bringing = asyncio.create_task(trouble.run(stop))
    working = asyncio.create_task(clients.run(CLIENTS, stop))
    await asyncio.wait([working, bringing], timeout=SECONDS, return_when=asyncio.FIRST_EXCEPTION)
    stop.set()
    async with asyncio.timeout(FINISH_S):
        await asyncio.gather(bringing, working)
    await World(urls).settle()
    for process in processes:
        await process.stop()
    shards = await books.read(urls)
    found = [*books.faults(shards), *Auditor(shards).judge(list(clients.sent.values()))]
    returned = sum(leg >= books.RETURN_LEG for shard in shards for _, leg in shard.landed)
    print(f"seed {seed}: {len(clients.sent)} orders, {returned} returned")  # noqa: T201
    _report(clients, trouble, shards)
    assert not found, f"GUILDER_SEED={seed}:\n" + "\n".join(found[:40])


def _report(clients: Clients, trouble: Trouble, shards: Sequence[books.ShardBooks]) -> None:
    heard = Counter(
        reply.reason or "OK" for order in clients.sent.values() for reply in order.replies
    )
    lines = [f"  faults: {dict(trouble.brought)}"]
    lines.append(f"  answers: {dict(heard.most_common())}")
    done = Counter(order.method for order in clients.sent.values() if order.good)
    lines.append(f"  done: {dict(done.most_common())}")
    changed = Counter(
        events.HoldChangeKind.Name(change.kind).removeprefix("HOLD_CHANGE_KIND_")
        for shard in shards
        for record in shard.records
        for change in record.hold_changes
    )
    lines.append(f"  holds: {dict(changed.most_common())}")
    print("\n".join(lines))  # noqa: T201  # pytest shows it when it fails, or with -s
    for needed in NEEDED:
        assert heard[needed], f"no {needed}: the simulation was too quiet"
