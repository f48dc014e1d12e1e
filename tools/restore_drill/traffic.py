"""Move money without a pause, note each transfer that was acknowledged, and look for it again."""

import asyncio
import itertools
import random
import time
from dataclasses import dataclass, field

from guilder.client import Guilder, Money, UnavailableError
from guilder.client.errors import TransactionNotFoundError
from guilder.wallet.v1 import resources_pb2

WALLETS = 16
EACH_MINOR = 1_000_000
MOST_MINOR = 50
PATIENCE_S = 240.0
RETRY_S = 0.1
READY_S = 60.0
READERS = 32


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A transfer that the suite said it made."""

    transaction_id: str
    source: str
    destination: str
    amount_minor: int


@dataclass
class Traffic:
    """Transfers between wallets that are spread over the shards."""

    guilder: Guilder
    chance: random.Random
    wallets: list[str] = field(default_factory=list)
    made: list[Acknowledged] = field(default_factory=list)
    refusals: int = 0

    async def fund(self) -> None:
        """Make the wallets, and give each its money."""
        await self.guilder.wait_ready(timeout_seconds=READY_S)
        for n in range(WALLETS):
            made = await self.guilder.wallet.create_wallet(
                f"drill-{n}", "EUR", idempotency_key="wallet"
            )
            wallet_id = made.wallet.wallet_id
            await self.guilder.wallet.deposit(
                wallet_id, _euros(EACH_MINOR), idempotency_key="deposit"
            )
            self.wallets.append(wallet_id)

    async def run(self, clients: int, stop: asyncio.Event) -> None:
        """Let so many clients transfer until the event; each finishes what it has begun."""
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(self._client(number, stop))

    async def missing(self) -> list[str]:
        """Look up every acknowledged transfer; name those that are not there as they were made."""
        await self.guilder.wait_ready(timeout_seconds=READY_S)
        waiting = iter(self.made)
        found: list[str] = []

        async def look() -> None:
            for made in waiting:
                found.extend(await self._look_up(made))

        async with asyncio.TaskGroup() as group:
            for _ in range(READERS):
                group.create_task(look())
        return found

    async def wrong_balances(self) -> list[str]:
        """Compare each wallet's balance, at the wallet and at the ledger, with what was told."""
        expected = dict.fromkeys(self.wallets, EACH_MINOR)
        for made in self.made:
            expected[made.source] -= made.amount_minor
            expected[made.destination] += made.amount_minor
        wrong = []
        for wallet_id, amount in expected.items():
            wallet = (await self.guilder.wallet.get_balance(wallet_id)).posted_minor
            ledger = int((await self.guilder.ledger.get_balance(wallet_id)).posted_minor)
            if (wallet, ledger) != (amount, amount):
                wrong.append(f"{wallet_id}: acknowledged {amount}, has {wallet}, ledger {ledger}")
        return wrong

    async def _client(self, number: int, stop: asyncio.Event) -> None:
        for turn in itertools.count():
            if stop.is_set():
                return
            source, destination = self.chance.sample(self.wallets, 2)
            amount = self.chance.randint(1, MOST_MINOR)
            await self._transfer(f"{number}-{turn}", source, destination, amount)

    async def _transfer(self, key: str, source: str, destination: str, amount: int) -> None:
        """Transfer until the answer is final, always by the same key."""
        give_up = time.monotonic() + PATIENCE_S
        while True:
            try:
                reply = await self.guilder.wallet.transfer(
                    source, destination, _euros(amount), idempotency_key=key
                )
            except UnavailableError:
                self.refusals += 1
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                id_ = reply.transaction.transaction_id
                self.made.append(Acknowledged(id_, source, destination, amount))
                return

    async def _look_up(self, made: Acknowledged) -> list[str]:
        try:
            found = await self.guilder.wallet.get_transaction(made.transaction_id)
        except TransactionNotFoundError:
            return [f"{made.transaction_id} is not there"]
        told = (found.source_wallet_id, found.destination_wallet_id, found.amount.amount_minor)
        if told != (made.source, made.destination, made.amount_minor):
            return [f"{made.transaction_id} is another one: {told}"]
        if found.state != resources_pb2.TRANSACTION_STATE_COMPLETED:
            return [f"{made.transaction_id} has not arrived"]
        return []


def _euros(cents: int) -> Money:
    return Money(currency_code="EUR", amount_minor=cents)
