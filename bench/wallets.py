"""The wallets of the benchmarks: made once, or found again by their keys, and funded."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar, cast

from bench import calls
from bench.scenarios import SCENARIOS
from guilder.client import Addresses, Guilder, GuilderError, Money
from guilder.wallet.v1.holds_pb2 import AuthorizeRequest, AuthorizeResponse
from guilder.wallet.v1.wallet_service_pb2 import TransferRequest
from walletkit.stack import Stack

WALLETS = 1_000
FUNDS_MINOR = 10**14
BATCH = 1_000
_SIDE_BY_SIDE = 64
_BATCHES_SIDE_BY_SIDE = 4

RequestT = TypeVar("RequestT")


def fund(stack: Stack, count: int = WALLETS) -> list[str]:
    """Return the wallets, each with the same funds when it is made."""
    return asyncio.run(_fund(stack, count))


def fill(stack: Stack, wallets: Sequence[str], entries: int = 2 * calls.PAGE_ENTRIES) -> None:
    """Give each wallet about as many more entries in the ledger, so that pages are full."""
    asyncio.run(_fill(stack, wallets, entries))


def authorize(stack: Stack, wallets: Sequence[str], count: int) -> list[str]:
    """Make holds that a run can capture; return their ids."""
    return asyncio.run(_authorize(stack, wallets, count))


@asynccontextmanager
async def client(stack: Stack) -> AsyncIterator[Guilder]:
    """Open a client of the suite."""
    addresses = Addresses(*[stack.address(name) for name in ("wallet", "ledger", "notify")])
    async with Guilder(addresses) as guilder:
        yield guilder


async def _fund(stack: Stack, count: int) -> list[str]:
    gate = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def one(guilder: Guilder, number: int) -> str:
        async with gate:
            account = f"bench-{number}"
            made = await guilder.wallet.create_wallet(
                account, calls.CURRENCY, idempotency_key="bench"
            )
            wallet_id = made.wallet.wallet_id
            money = Money(currency_code=calls.CURRENCY, amount_minor=FUNDS_MINOR)
            await guilder.wallet.deposit(wallet_id, money, idempotency_key="bench-funds")
            return wallet_id

    async with client(stack) as guilder:
        return await asyncio.gather(*[one(guilder, number) for number in range(count)])


async def _fill(stack: Stack, wallets: Sequence[str], entries: int) -> None:
    """Let wallets pay one another; a transfer makes an entry of both."""
    count = len(wallets) * entries // 2
    wanted = calls.requests(SCENARIOS["within"], wallets, _shards(stack), count)
    gate = asyncio.Semaphore(_BATCHES_SIDE_BY_SIDE)

    async def send(guilder: Guilder, batch: Sequence[TransferRequest]) -> None:
        async with gate:
            for outcome in await guilder.wallet.batch_transfer(batch):
                if isinstance(outcome, GuilderError):
                    raise outcome

    async with client(stack) as guilder, asyncio.TaskGroup() as group:
        for batch in _batches(cast(Iterator[TransferRequest], wanted)):
            group.create_task(send(guilder, batch))


async def _authorize(stack: Stack, wallets: Sequence[str], count: int) -> list[str]:
    wanted = calls.requests(SCENARIOS["hold"], wallets, _shards(stack), count)
    gate = asyncio.Semaphore(_BATCHES_SIDE_BY_SIDE)

    async def send(guilder: Guilder, batch: Sequence[AuthorizeRequest]) -> list[str]:
        async with gate:
            outcomes = await guilder.wallet.batch_execute(batch)
        made = []
        for outcome in outcomes:
            if isinstance(outcome, GuilderError):
                raise outcome
            assert isinstance(outcome, AuthorizeResponse), "an authorization was asked for"
            made.append(outcome.hold.hold_id)
        return made

    async with client(stack) as guilder:
        batches = _batches(cast(Iterator[AuthorizeRequest], wanted))
        made = await asyncio.gather(*[send(guilder, batch) for batch in batches])
    return [hold_id for some in made for hold_id in some]


def _shards(stack: Stack) -> int:
    return len(stack.settings.shard_ports)


def _batches(wanted: Iterable[RequestT]) -> Iterator[list[RequestT]]:
    left = iter(wanted)
    while batch := list(itertools.islice(left, BATCH)):
        yield batch
