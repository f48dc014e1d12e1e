"""Clients of a real suite: random transfers, each retried by its key until its answer is final."""

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from guilder.client import Addresses, Guilder, Money, UnavailableError
from guilder.client.calls import CallPolicy
from tests.engine.world import run_sql
from tests.simulation import books
from walletkit.ids import parse_id
from walletkit.stack import Stack

WALLETS = 12
EACH = 1_000_000
PATIENCE_S = 60.0
READY_S = 20.0
POLICY = CallPolicy(timeout_seconds=5.0, max_attempts=1)
_runs = itertools.count()


@dataclass(slots=True)
class Acknowledged:
    """A transfer that the suite said it made."""

    tx_id: bytes
    reference: str
    source: str
    destination: str
    amount: int
    attempts: int


@dataclass
class Traffic:
    """Transfers between wallets of this traffic's own, on all shards."""

    guilder: Guilder
    chance: random.Random
    name: str = field(default_factory=lambda: f"run{next(_runs)}-{time.time_ns()}")
    wallets: list[str] = field(default_factory=list)
    made: list[Acknowledged] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    under_way: int = 0

    async def prepare(self) -> None:
        """Make wallets for many accounts, so that they spread over the shards, and fund them."""
        await self.guilder.wait_ready(timeout_seconds=READY_S)
        for n in range(WALLETS):
            made = await self.guilder.wallet.create_wallet(
                f"{self.name}-{n}", "EUR", idempotency_key="wallet"
            )
            wallet_id = made.wallet.wallet_id
            await self.guilder.wallet.deposit(wallet_id, euros(EACH), idempotency_key=self.name)
            self.wallets.append(wallet_id)

    async def run(self, clients: int, stop: asyncio.Event) -> None:
        """Let so many clients transfer until the event, and then finish what they have begun."""
        await asyncio.gather(*[self._client(n, stop) for n in range(clients)])

    async def _client(self, number: int, stop: asyncio.Event) -> None:
        for turn in itertools.count():
            if stop.is_set():
                return
            source, destination = self.chance.sample(self.wallets, 2)
            amount = self.chance.randint(1, 50)
            await self.transfer(f"{self.name}-{number}-{turn}", source, destination, amount)

    async def transfer(self, key: str, source: str, destination: str, amount: int) -> None:
        """Transfer until the answer is final, always with the same key."""
        give_up = time.monotonic() + PATIENCE_S
        for attempt in itertools.count(1):
            self.under_way += 1
            try:
                reply = await self.guilder.wallet.transfer(
                    source, destination, euros(amount), idempotency_key=key, reference=key
                )
            except UnavailableError as error:
                self.refused.append(error.reason)
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(0.05)
            else:
                tx_id = parse_id(reply.transaction.transaction_id)
                self.made.append(Acknowledged(tx_id, key, source, destination, amount, attempt))
                return
            finally:
                self.under_way -= 1

    async def faults(self, suite: Stack) -> list[str]:
        """Hold what was acknowledged against the shards' rows, once nothing is on its way."""
        urls = shard_urls(suite)
        await until_settled(urls)
        found = books.faults(await books.read(urls))
        stored: dict[str, list[bytes]] = {}
        for url in urls:
            rows = await run_sql(
                url, "SELECT reference,tx_id FROM transactions WHERE reference<>''"
            )
            for reference, tx_id in rows:
                stored.setdefault(reference.decode(), []).append(tx_id)
        ours = {key: ids for key, ids in stored.items() if key.startswith(f"{self.name}-")}
        for made in self.made:
            if ours.pop(made.reference, []) != [made.tx_id]:
                found.append(f"{made.reference} was acknowledged, and is not there exactly once")
        found += [f"{reference} was made, but never acknowledged" for reference in ours]
        return [*found, *await self._balances()]

    async def _balances(self) -> list[str]:
        expected = dict.fromkeys(self.wallets, EACH)
        for made in self.made:
            expected[made.source] -= made.amount
            expected[made.destination] += made.amount
        wrong = []
        # A channel that has just lost its server refuses calls until it has tried again.
        await self.guilder.wait_ready(timeout_seconds=READY_S)
        for wallet_id, amount in expected.items():
            found = (await self.guilder.wallet.get_balance(wallet_id)).posted_minor
            if found != amount:
                wrong.append(f"{wallet_id} has {found}, acknowledged transfers make {amount}")
        return wrong


def open_client(suite: Stack, policy: CallPolicy = POLICY) -> Guilder:
    """Open a client of the suite; by default it does not retry by itself, so that tests see all."""
    addresses = Addresses(*[suite.address(name) for name in ("wallet", "ledger", "notify")])
    return Guilder(addresses, policy)


def euros(cents: int) -> Money:
    """Return an amount."""
    return Money(currency_code="EUR", amount_minor=cents)


def shard_urls(suite: Stack) -> Sequence[str]:
    """Return the urls of the suite's shards, by number."""
    return [
        suite.environment[f"WALLET_SHARD_{number}_URL"]
        for number in range(len(suite.settings.shard_ports))
    ]


async def open_intents(urls: Sequence[str]) -> int:
    """Count what is on its way over all shards."""
    counts = [await run_sql(url, "SELECT COUNT(*) FROM intents") for url in urls]
    return sum(rows[0][0] for rows in counts)


async def until_settled(urls: Sequence[str], within_s: float = 15.0) -> None:
    """Wait until nothing is on its way."""
    for _ in range(int(within_s / 0.1)):
        if not await open_intents(urls):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{await open_intents(urls)} legs are stranded")
