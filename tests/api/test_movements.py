"""Deposits, withdrawals and transfers: what their replies say, and that the money is there."""

import pytest

from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.api import books
from tests.api.suite import More, Suite, money

COMPLETED = res.TRANSACTION_STATE_COMPLETED


def seen(balance: res.Balance) -> tuple[str, str, int, int, int, int, int]:
    """Take a balance apart."""
    return (
        balance.wallet_id,
        balance.currency_code,
        balance.exponent,
        balance.posted_minor,
        balance.held_minor,
        balance.available_minor,
        balance.version,
    )


@pytest.mark.parametrize(("currency", "exponent"), [("EUR", 2), ("JPY", 0), ("KWD", 3)])
async def test_deposit(suite: Suite, currency: str, exponent: int) -> None:
    """The reply has the transaction, the balance after it, and where it stands in the stream."""
    wallet = await suite.wallet(currency=currency)
    reply = await suite.deposit(
        wallet, 250, currency=currency, reference="r", description="d", metadata={"m": "n"}
    )
    assert seen(reply.balance) == (wallet, currency, exponent, 250, 0, 250, 2)
    assert not reply.replayed
    made = reply.transaction
    assert (made.type, made.state) == (res.TRANSACTION_TYPE_DEPOSIT, COMPLETED)
    assert (made.source_wallet_id, made.destination_wallet_id) == ("", wallet)
    assert made.amount == money(250, currency)
    assert (made.reference, made.description, dict(made.metadata)) == ("r", "d", {"m": "n"})
    head = await books.ask(suite.urls[0], "SELECT seq FROM head")
    assert (reply.position.shard, reply.position.seq) == (0, head[0][0])


async def test_withdraw(suite: Suite) -> None:
    """A withdrawal may take all; its transaction has no destination."""
    wallet = await suite.wallet(100)
    reply = await suite.withdraw(wallet, 100)
    assert seen(reply.balance) == (wallet, "EUR", 2, 0, 0, 0, 3)
    made = reply.transaction
    assert (made.type, made.state) == (res.TRANSACTION_TYPE_WITHDRAWAL, COMPLETED)
    assert (made.source_wallet_id, made.destination_wallet_id) == (wallet, "")


async def test_transfer_on_one_shard(suite: Suite) -> None:
    """Both balances are in the reply."""
    source, destination = await suite.wallet(100), await suite.wallet(5)
    reply = await suite.transfer(source, destination, 30)
    assert seen(reply.source_balance) == (source, "EUR", 2, 70, 0, 70, 3)
    assert seen(reply.destination_balance) == (destination, "EUR", 2, 35, 0, 35, 3)
    made = reply.transaction
    assert (made.type, made.state) == (res.TRANSACTION_TYPE_TRANSFER, COMPLETED)
    assert (made.source_wallet_id, made.destination_wallet_id) == (source, destination)
    assert reply.position.shard == 0
    assert (await suite.posted(source), await suite.posted(destination)) == (70, 35)


@pytest.mark.parametrize(("home", "there"), [(0, 1), (1, 0)])
async def test_transfer_between_shards(suite: Suite, home: int, there: int) -> None:
    """The credit has landed when the reply comes; the other shard's balance is not in it."""
    source = await suite.wallet(100, shard=home)
    destination = await suite.wallet(5, shard=there)
    reply = await suite.transfer(source, destination, 30)
    assert reply.transaction.state == COMPLETED
    assert seen(reply.source_balance)[3:] == (70, 0, 70, 3)
    assert not reply.HasField("destination_balance")
    assert reply.position.shard == home
    assert (await suite.posted(source), await suite.posted(destination)) == (70, 35)
    assert await suite.state(reply.transaction.transaction_id) == COMPLETED


async def test_shards_pay_each_other(suite: Suite) -> None:
    """Money goes back and forth between shards, and ends where it began."""
    one, other = await suite.wallet(100), await suite.wallet(100, shard=1)
    for _ in range(5):
        await suite.transfer(one, other, 100)
        await suite.transfer(other, one, 200)
        await suite.transfer(one, other, 100)
    assert (await suite.posted(one), await suite.posted(other)) == (100, 100)


async def test_get_transaction_is_what_was_replied(suite: Suite) -> None:
    """Read again, a transaction of any kind is what its maker got."""
    one, other = await suite.wallet(100), await suite.wallet(shard=1)
    fields: More = {
        "reference": "ö" * 32,
        "description": "für 'dich'; --",
        "metadata": {"": "", "ß": "\n"},
    }
    made = [
        reply.transaction
        for reply in (
            await suite.deposit(one, 3, **fields),
            await suite.withdraw(one, 2, **fields),
            await suite.transfer(one, other, 1, **fields),
        )
    ]
    for transaction in made:
        request = pb.GetTransactionRequest(transaction_id=transaction.transaction_id)
        assert (await suite.stub.GetTransaction(request)).transaction == transaction


async def test_largest_amount(suite: Suite) -> None:
    """10^15 minor units go through as one, and back."""
    one, other = await suite.wallet(10**15), await suite.wallet(shard=1)
    await suite.transfer(one, other, 10**15)
    assert (await suite.posted(one), await suite.posted(other)) == (0, 10**15)
    await suite.withdraw(other, 10**15)


async def test_position_never_goes_back(suite: Suite) -> None:
    """Later changes of a shard stand behind earlier ones; a replay is at or behind its change."""
    wallet = await suite.wallet(0)
    key = suite.key()
    seqs = [(await suite.deposit(wallet, 1, idempotency_key=key)).position.seq]
    seqs += [(await suite.deposit(wallet, 1)).position.seq for _ in range(3)]
    seqs.append((await suite.deposit(wallet, 1, idempotency_key=key)).position.seq)
    assert seqs == sorted(seqs)
    assert len(set(seqs[:4])) == 4
