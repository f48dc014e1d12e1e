"""Two real shards and routers on them, driven by the commands that requests become."""

import asyncio
import itertools
import math
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.engine import hold_books
from tests.engine.faulty_shard import FaultyShard
from tests.simulation import books
from wallet.api.form import Form
from wallet.api.parse import transfers, wallets
from wallet.domain.commands import ChangeStatus, Command, CreateWallet, Transfer
from wallet.domain.kinds import WalletChangeKind
from wallet.domain.outcome import Outcome, Posted, WalletSet
from wallet.engine.queue import Answer
from wallet.engine.router import Router
from walletkit.errors import ServiceError
from walletkit.ids import SLOTS, format_id, new_id, slot_of_account
from walletkit.sql.session import Rows, open_session, run_packet

SETTLE_S = 10.0
DRAIN_S = 15.0

Stranger = Callable[[str], Awaitable[Rows]]


@dataclass
class World:
    """What the tests of the engine act on."""

    urls: Sequence[str]
    routers: list[Router] = field(default_factory=list)
    shards: list[FaultyShard] = field(default_factory=list)
    keys: Iterator[int] = field(default_factory=itertools.count)

    async def start(
        self,
        *,
        queue_limit: int = 10_000,
        leg_wait_s: float = 1.0,
        window_s: float = 0.005,
        durable: bool = True,
    ) -> Router:
        """Start another router; the first one's shards are ``shards``."""
        shards = [FaultyShard(n, url, durable=durable) for n, url in enumerate(self.urls)]
        router = Router(shards, window_s=window_s, queue_limit=queue_limit, leg_wait_s=leg_wait_s)
        self.routers.append(router)
        self.shards = self.shards or shards
        await router.start()
        return router

    @property
    def router(self) -> Router:
        """The first router."""
        return self.routers[0]

    async def end(self) -> None:
        """Drain every router."""
        async with asyncio.timeout(DRAIN_S):
            await asyncio.gather(*[router.drain() for router in self.routers])

    async def do(self, command: Command, *, router: Router | None = None) -> Outcome:
        """Carry a command through, as a servicer does."""
        chosen = router or self.router
        answer = await chosen.submit(command, math.inf)
        return (await chosen.finish(command, answer)).outcome

    async def all(self, commands: Iterable[Command]) -> list[Outcome]:
        """Submit commands together and wait for all."""
        return list(await asyncio.gather(*[self.do(command) for command in commands]))

    def queue(self, commands: Iterable[Command]) -> list[asyncio.Future[Answer]]:
        """Submit commands without waiting: on an idle shard they become one batch."""
        return [self.router.submit(command, math.inf) for command in commands]

    async def wallet(self, shard: int, amount: int = 0, *, currency: str = "EUR") -> bytes:
        """Make a wallet on a shard, with money in it."""
        outcome = await self.do(create(account_on(shard, len(self.urls)), currency=currency))
        assert isinstance(outcome, WalletSet), outcome
        wallet_id = outcome.facts.wallet_id
        if amount:
            posted(await self.do(self.deposit(wallet_id, amount, currency=currency)))
        return wallet_id

    def transfer(
        self, source: bytes, destination: bytes, amount: int = 1, *, currency: str = "EUR"
    ) -> Transfer:
        """Make the command of a transfer, with a key of its own."""
        request = pb.TransferRequest(
            source_wallet_id=format_id(source),
            destination_wallet_id=format_id(destination),
            amount=Money(currency_code=currency, amount_minor=amount),
            idempotency_key=f"k{next(self.keys)}",
        )
        return transfers.transfer(request, Form())

    def deposit(self, wallet_id: bytes, amount: int, *, currency: str = "EUR") -> Transfer:
        """Make the command of a deposit, with a key of its own."""
        request = pb.DepositRequest(
            wallet_id=format_id(wallet_id),
            amount=Money(currency_code=currency, amount_minor=amount),
            idempotency_key=f"k{next(self.keys)}",
        )
        return transfers.deposit(request, Form())

    def change(self, kind: WalletChangeKind, wallet_id: bytes) -> ChangeStatus:
        """Make the command that freezes, unfreezes or closes a wallet."""
        request = pb.FreezeWalletRequest(
            wallet_id=format_id(wallet_id), idempotency_key=f"k{next(self.keys)}"
        )
        return wallets.change_status(kind, request, Form())

    async def sql(self, shard: int, statements: str) -> Rows:
        """Run statements on a shard in a session of their own; return the last one's rows."""
        return await run_sql(self.urls[shard], statements)

    async def posted(self, shard: int, wallet_id: bytes) -> int:
        """Read a wallet's posted balance from its row."""
        statement = f"SELECT posted FROM balances WHERE wallet_id=x'{wallet_id.hex()}'"
        return int((await self.sql(shard, statement))[0][0])

    async def state(self, shard: int, tx_id: bytes) -> int:
        """Read a transaction's state from its row."""
        statement = f"SELECT state FROM transactions WHERE tx_id=x'{tx_id.hex()}'"
        return int((await self.sql(shard, statement))[0][0])

    async def open_intents(self) -> int:
        """Count what is on its way over all shards."""
        return sum(
            [
                (await self.sql(n, "SELECT COUNT(*) FROM intents"))[0][0]
                for n in range(len(self.urls))
            ]
        )

    async def settle(self) -> None:
        """Wait until nothing is on its way."""
        give_up = time.monotonic() + SETTLE_S
        while await self.open_intents():
            assert time.monotonic() < give_up, "legs are stranded"
            await asyncio.sleep(0.05)

    async def check(self) -> None:
        """Hold every invariant to the rows and records, with nothing on its way."""
        await self.settle()
        shards = await books.read(self.urls)
        faults = books.faults(shards)
        for url, shard in zip(self.urls, shards, strict=True):
            faults += hold_books.faults(shard.records, await hold_books.read(url))
        assert not faults, "\n".join(faults)


@asynccontextmanager
async def stranger(url: str) -> AsyncIterator[Stranger]:
    """Open a session that is none of ours, for transactions that stay open; end them at the end."""
    session = await open_session(url, autocommit=False, durable=False)

    async def run(statements: str) -> Rows:
        results = await run_packet(session, statements)
        return results[-1] if results else []

    try:
        yield run
    finally:
        session.close()


def abandon(router: Router) -> None:
    """Stop a router as a kill -9 of its process would: nothing is finished, nobody is told."""
    for loop in router.loops:
        assert loop._task is not None
        loop._task.cancel()
        loop.shard.close()
    for task in (router.legs._task, *[expiry._task for expiry in router._expiries]):
        assert task is not None
        task.cancel()


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until something is so."""
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, "it did not come"
        await asyncio.sleep(0.01)


def id_sql(wallet_id: bytes) -> str:
    """Write an id for SQL."""
    return f"x'{wallet_id.hex()}'"


async def run_sql(url: str, statements: str) -> Rows:
    """Run statements in a session of their own; return the last one's rows."""
    session = await open_session(url, autocommit=True, durable=False)
    try:
        results = await run_packet(session, statements)
    finally:
        session.close()
    return results[-1] if results else []


def account_on(shard: int, shards: int = 2) -> str:
    """Make up an account whose wallets lie on a shard."""
    while True:
        account_id = f"a{secrets.token_hex(8)}"
        if slot_of_account(account_id) * shards // SLOTS == shard:
            return account_id


def create(account_id: str, *, currency: str = "EUR", key: str = "first") -> CreateWallet:
    """Make the command that creates a wallet."""
    request = pb.CreateWalletRequest(
        account_id=account_id, currency_code=currency, idempotency_key=key
    )
    return wallets.create(request, Form())


def again(command: Transfer) -> Transfer:
    """Make the command of a retry: the same request with the same key comes as another command."""
    return command._replace(ref=new_id(command.slot))


def posted(outcome: Outcome) -> Posted:
    """Return what must be a transaction made by this very call."""
    assert isinstance(outcome, Posted), outcome
    assert not outcome.replayed
    return outcome


def reason(outcome: Outcome) -> str:
    """Return the reason of what must be an error."""
    assert isinstance(outcome, ServiceError), outcome
    return outcome.reason
