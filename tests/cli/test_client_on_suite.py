"""The client against the real services, where the command line does not reach."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from guilder.client import (
    Addresses,
    Guilder,
    InsufficientFundsError,
    InvalidArgumentError,
    Money,
    SubscriptionNotFoundError,
    VersionMismatchError,
    transfer_request,
)
from guilder.client.batches import Outcome
from guilder.wallet.v1.wallet_service_pb2 import TransferRequest, TransferResponse
from walletkit.stack import Stack

EURO = Money(currency_code="EUR", amount_minor=100)
MANY_EUROS = Money(currency_code="EUR", amount_minor=10_000)


@pytest.fixture
async def guilder(suite: Stack) -> AsyncIterator[Guilder]:
    """Give a client of the suite."""
    addresses = Addresses(*(suite.address(name) for name in ("wallet", "ledger", "notify")))
    async with Guilder(addresses) as client:
        yield client


async def wallet_of(guilder: Guilder, account: str) -> str:
    """Create a wallet in EUR."""
    return (await guilder.wallet.create_wallet(account, "EUR")).wallet.wallet_id


def shown(outcome: Outcome) -> str:
    """Return OK, or the reason of what was not made."""
    return "OK" if isinstance(outcome, TransferResponse) else outcome.reason


async def test_a_stream_of_transfers(guilder: Guilder) -> None:
    """Each transfer of each batch has its outcome; sent again, each is a replay."""
    source, other = await wallet_of(guilder, "stream-1"), await wallet_of(guilder, "stream-2")
    await guilder.wallet.deposit(source, MANY_EUROS)
    batches = [
        [transfer_request(source, other, EURO) for _ in range(10)],
        [transfer_request(source, other, Money(currency_code="EUR", amount_minor=10**9))],
        [transfer_request(source, "x", EURO), transfer_request(source, other, EURO)],
    ]

    async def send() -> AsyncIterator[list[TransferRequest]]:
        for batch in batches:
            yield batch

    found = [
        [shown(outcome) for outcome in answer.outcomes]
        async for answer in guilder.wallet.stream_transfers(send())
    ]
    assert sorted(found) == [["INSUFFICIENT_FUNDS"], ["INVALID_FIELD", "OK"], ["OK"] * 10]
    again = await guilder.wallet.batch_transfer([*batches[0], *batches[1]])
    assert [outcome.replayed for outcome in again if isinstance(outcome, TransferResponse)] == (
        [True] * 10
    )
    assert isinstance(again[-1], InsufficientFundsError)
    assert (await guilder.wallet.get_balance(source)).posted_minor == 10_000 - 11 * 100


async def test_a_watch_sees_what_happens_and_resumes(guilder: Guilder) -> None:
    """Events of a wallet come with their sequence; a watch from a cursor goes on behind it."""
    wallet_id = await wallet_of(guilder, "watch")
    await guilder.wallet.deposit(wallet_id, EURO)
    await guilder.wallet.withdraw(wallet_id, EURO)
    seen = []
    async with asyncio.timeout(20):
        async with aclosing(guilder.notify.watch(wallet_ids=[wallet_id], cursor="0")) as events:
            async for response in events:
                seen.append(response)
                if len(seen) == 3:
                    break
        assert [item.event.type for item in seen] == [
            *("wallet.created", "transaction.posted", "transaction.posted")
        ]
        assert [item.event.wallet_sequence for item in seen] == [1, 2, 3]
        resumed = guilder.notify.watch(wallet_ids=[wallet_id], cursor=seen[0].cursor)
        async with aclosing(resumed) as events:
            assert (await anext(events)).event.wallet_sequence == 2


async def test_subscriptions(guilder: Guilder) -> None:
    """A subscription is created once by its key, listed, and gone when deleted."""
    made = await guilder.notify.create_subscription(
        "http://127.0.0.1:9/none", event_types=["wallet.closed"], idempotency_key="subscribe"
    )
    again = await guilder.notify.create_subscription(
        "http://127.0.0.1:9/none", event_types=["wallet.closed"], idempotency_key="subscribe"
    )
    subscription_id = made.subscription.subscription_id
    assert (again.replayed, again.subscription.subscription_id) == (True, subscription_id)
    assert made.secret.startswith("whsec_")
    past = datetime.now(UTC) - timedelta(hours=2)
    end = past + timedelta(hours=1)
    assert await guilder.notify.replay_deliveries(subscription_id, past, end) == 0
    assert [item async for item in guilder.notify.list_dead_letters(subscription_id)] == []
    await guilder.notify.delete_subscription(subscription_id)
    left = [item.subscription_id async for item in guilder.notify.list_subscriptions()]
    assert subscription_id not in left
    with pytest.raises(SubscriptionNotFoundError):
        await guilder.notify.delete_subscription(subscription_id)
    with pytest.raises(InvalidArgumentError):
        await guilder.notify.create_subscription("ftp://example.org")


async def test_reading_ones_own_writes(guilder: Guilder) -> None:
    """With a change's position the ledger waits for it; a past moment has the balance of then."""
    wallet_id = await wallet_of(guilder, "own-writes")
    await guilder.wallet.deposit(wallet_id, EURO)
    reply = await guilder.wallet.deposit(wallet_id, EURO)
    now = await guilder.ledger.get_balance(wallet_id, min_position=reply.position)
    assert (now.posted_minor, now.exponent) == ("200", 2)
    entries = guilder.ledger.list_entries(wallet_id, min_position=reply.position)
    assert [entry.posted_after_minor async for entry in entries] == ["200", "100"]
    moved = guilder.wallet.list_transactions(wallet_id, min_position=reply.position)
    assert [item.posted_after_minor async for item in moved] == [200, 100]
    before = datetime.now(UTC) - timedelta(hours=1)
    assert (await guilder.ledger.get_balance(wallet_id, at_time=before)).posted_minor == "0"


async def test_expected_versions(guilder: Guilder) -> None:
    """A change that expects another version of the wallet is declined."""
    wallet_id = await wallet_of(guilder, "versions")
    await guilder.wallet.deposit(wallet_id, EURO, expected_version=1)
    with pytest.raises(VersionMismatchError):
        await guilder.wallet.deposit(wallet_id, EURO, expected_version=1)


async def test_snapshots_end_with_their_mark(guilder: Guilder) -> None:
    """A shard's snapshot begins with its record and ends complete; all of it sums to 0."""
    await guilder.wallet.deposit(await wallet_of(guilder, "snapshot"), EURO)
    for shard in await guilder.audit.list_shards():
        head = await guilder.audit.get_head(shard)
        parts = [part async for part in guilder.audit.stream_balances(shard)]
        assert parts[0].seq >= head
        assert parts[-1].complete
        customers = [item for part in parts for item in part.balances]
        system = [item for part in parts for item in part.system_wallets]
        held = sum(item.posted_minor for item in customers if item.currency_code == "EUR")
        owed = sum(int(item.posted_minor) for item in system if item.currency_code == "EUR")
        assert held == -owed
