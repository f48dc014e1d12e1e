"""Many callers at once: nothing is overdrawn, lost or made, and contention is never a fault."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Iterable
from typing import Any

import grpc.aio
import pytest

from tests.api import books
from tests.api.failures import Failure, declined, of_error
from tests.api.suite import Suite, running

SUMS = (
    "SELECT currency,SUM(posted) FROM (SELECT currency,posted FROM balances UNION ALL"
    " SELECT currency,posted FROM system_wallets) a GROUP BY currency"
)


async def outcomes(calls: Iterable[Awaitable[Any]]) -> tuple[list[Any], list[Failure]]:
    """Make calls at once; return the replies, and the failures, each with a reason of its own."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, grpc.aio.AioRpcError) for error in errors), errors
    failures = [of_error(error) for error in errors if isinstance(error, grpc.aio.AioRpcError)]
    return [result for result in results if not isinstance(result, BaseException)], failures


@pytest.mark.parametrize("shards", [(0,), (1,), (0, 1)])
async def test_draining_never_overdraws(suite: Suite, shards: tuple[int, ...]) -> None:
    """200 concurrent transfers from one wallet: exactly the affordable ones succeed."""
    source = await suite.wallet(703)
    others = [await suite.wallet(shard=shards[n % len(shards)]) for n in range(8)]
    made, failures = await outcomes(
        suite.transfer(source, others[n % len(others)], 7) for n in range(200)
    )
    assert len(made) == 100
    expected = declined("INSUFFICIENT_FUNDS", wallet_id=source, available=3, required=7)
    assert failures == [expected] * 100
    assert await suite.posted(source) == 3
    await books.settled(suite.urls)
    assert sum([await suite.posted(wallet) for wallet in others]) == 700
    afters = sorted(reply.source_balance.posted_minor for reply in made)
    assert afters == list(range(3, 703, 7)), "each debit saw a balance of its own"


async def test_draining_by_two_processes_never_overdraws(suite: Suite) -> None:
    """The same through two services on the same shards, by transfers and withdrawals."""
    async with running(suite.urls) as second:
        source, near, far = (
            await suite.wallet(703),
            await suite.wallet(),
            await suite.wallet(shard=1),
        )
        calls: list[Awaitable[Any]] = []
        for number in range(200):
            service = (suite, second)[number % 2]
            if number % 3 == 0:
                calls.append(service.withdraw(source, 7))
            else:
                calls.append(service.transfer(source, (near, far)[number % 3 - 1], 7))
        made, failures = await outcomes(calls)
        assert len(made) == 100
        assert {failure.reason for failure in failures} == {"INSUFFICIENT_FUNDS"}
        assert await suite.posted(source) == 3
        await books.settled(suite.urls)


async def test_t06_concurrent_deposits_sum_exactly(suite: Suite) -> None:
    """200 concurrent deposits into one wallet are all there, each with a version of its own."""
    wallet = await suite.wallet()
    made, failures = await outcomes(suite.deposit(wallet, 1 + n) for n in range(200))
    assert failures == []
    assert await suite.posted(wallet) == sum(range(1, 201))
    assert sorted(reply.balance.version for reply in made) == list(range(2, 202))


async def test_t07_deposits_and_withdrawals_conserve(suite: Suite) -> None:
    """Concurrent deposits, withdrawals and transfers: what is there is what replies say moved."""
    wallet, other = await suite.wallet(50), await suite.wallet(50, shard=1)
    rng = random.Random(7)
    calls: list[Awaitable[Any]] = []
    for _ in range(300):
        target, amount = rng.choice([wallet, other]), rng.randint(1, 40)
        calls.append(
            rng.choice([suite.deposit, suite.withdraw])(target, amount)
            if rng.random() < 0.7
            else suite.transfer(target, other if target == wallet else wallet, amount)
        )
    made, failures = await outcomes(calls)
    assert {failure.reason for failure in failures} <= {"INSUFFICIENT_FUNDS"}
    expected = Counter({wallet: 50, other: 50})
    for reply in made:
        transaction = reply.transaction
        expected[transaction.source_wallet_id] -= transaction.amount.amount_minor
        expected[transaction.destination_wallet_id] += transaction.amount.amount_minor
    await books.settled(suite.urls)
    assert await suite.posted(wallet) == expected[wallet]
    assert await suite.posted(other) == expected[other]


async def test_t17_books_balance_at_every_instant(suite: Suite) -> None:
    """Read at any moment of a storm, each shard sums to zero in each currency (I1)."""
    wallets = [await suite.wallet(1000, shard=n % 2) for n in range(6)]
    rng = random.Random(17)
    pairs = [rng.sample(wallets, 2) for _ in range(400)]
    storm = asyncio.gather(
        *[suite.transfer(one, other, rng.randint(1, 30)) for one, other in pairs]
    )
    looks = 0
    while not storm.done() or looks < 3:
        for url in suite.urls:
            sums = await books.ask(url, SUMS)
            assert {int(total) for _, total in sums} <= {0}
        looks += 1
    await storm
    await books.settled(suite.urls)
    assert sum([await suite.posted(wallet) for wallet in wallets]) == 6000


async def test_t25_contention_on_a_version(suite: Suite) -> None:
    """Of 30 changes that expect the same version one is made; the others are ABORTED, typed."""
    wallet = await suite.wallet(100)
    made, failures = await outcomes(
        suite.withdraw(wallet, 1, expected_version=2) for _ in range(30)
    )
    assert [reply.balance.version for reply in made] == [3]
    metadata = {"wallet_id": wallet, "version": "3", "expected_version": "2"}
    assert failures == [Failure("ABORTED", "VERSION_MISMATCH", metadata)] * 29


async def test_t25_version_chain(suite: Suite) -> None:
    """A caller that expects what each reply says gets through, whichever way the money goes."""
    wallet, far = await suite.wallet(), await suite.wallet(shard=1)
    version = (await suite.deposit(wallet, 10, expected_version=1)).balance.version
    version = (await suite.withdraw(wallet, 1, expected_version=version)).balance.version
    reply = await suite.transfer(wallet, far, 1, expected_version=version)
    assert reply.source_balance.version == version + 1 == 4


async def test_transfers_in_a_circle_do_not_lock_each_other(suite: Suite) -> None:
    """Transfers in opposite directions, through two processes, all get through."""
    async with running(suite.urls) as second:
        wallets = [await suite.wallet(1000, shard=n % 2) for n in range(4)]
        made, failures = await outcomes(
            service.transfer(wallets[n % 4], wallets[(n + step) % 4], 1)
            for n in range(48)
            for step in (1, 3)
            for service in (suite, second)
        )
        assert failures == []
        assert len(made) == 192
        await books.settled(suite.urls)
        assert [await suite.posted(wallet) for wallet in wallets] == [1000] * 4
