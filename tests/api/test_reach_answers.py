"""What a customer is not told: balances of others, what bounds them, postings between others."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.api.customers import World, customers
from tests.api.failures import Failure
from tests.api.suite import Suite, money


@pytest_asyncio.fixture
async def world(suite: Suite) -> AsyncIterator[World]:
    """Three accounts, and a service that knows its callers."""
    async with customers(suite) as world:
        yield world


def line(source: str, destination: str, amount: int = 1) -> dict[str, Any]:
    """Write a posting, or the fields of a transfer."""
    return {
        "source_wallet_id": source,
        "destination_wallet_id": destination,
        "amount": money(amount),
    }


@pytest.mark.parametrize("by_name", [False, True])
async def test_no_balance_of_whom_one_pays(world: World, by_name: bool) -> None:  # noqa: FBT001
    """One pays others, by id or name, and sees one's own balance alone; a replay shows no more."""
    own = world.own
    for other in (world.near, world.far):
        to = other.alias if by_name else other.wallet
        fields = {**line(own.wallet, to), "idempotency_key": world.suite.key()}
        tried = await world.do("Transfer", **fields, validate_only=True)
        made, again = [await world.do("Transfer", **fields) for _ in range(2)]
        for reply in (tried, made, again):
            assert reply.transaction.destination_wallet_id == other.wallet
            assert reply.source_balance.wallet_id == own.wallet
            assert not reply.HasField("destination_balance")
        assert again.replayed
    between = await world.do("Transfer", **line(own.wallet, own.spare))
    assert between.destination_balance.wallet_id == own.spare
    whole = await world.suite.do("Transfer", **line(own.wallet, world.near.wallet))
    assert whole.destination_balance.wallet_id == world.near.wallet


async def test_no_balance_of_others_in_postings_and_captures(world: World) -> None:
    """The same where a reply tells several balances."""
    own, near = world.own, world.near
    postings = [line(own.wallet, near.wallet), line(own.wallet, own.spare)]
    for dry in (True, False):
        reply = await world.do("PostTransaction", postings=postings, validate_only=dry)
        assert {one.wallet_id for one in reply.balances} == {own.wallet, own.spare}
        assert len(reply.transaction.postings) == 2
    await world.suite.do("Authorize", wallet_id=own.wallet, amount=money(1))
    for to, shown in ((near.wallet, False), (own.spare, True)):
        held = await world.do("Authorize", wallet_id=own.wallet, amount=money(1))
        taken = await world.do("CaptureHold", hold_id=held.hold.hold_id, destination_wallet_id=to)
        assert taken.balance.wallet_id == own.wallet
        assert taken.HasField("destination_balance") == shown


async def test_no_figures_of_whom_one_pays(world: World) -> None:
    """A payer hears that another's wallet can't take the money, and not what it has."""
    own, near = world.own, world.near
    limits = {"max_balance_minor": 1_100}
    for one in (own.spare, near.wallet):
        await world.suite.do("SetWalletLimits", wallet_id=one, limits=limits)
    payment = {**line(own.wallet, near.wallet, 500), "idempotency_key": world.suite.key()}
    expected = Failure(
        "FAILED_PRECONDITION",
        "BALANCE_ABOVE_MAXIMUM",
        {"wallet_id": near.wallet, "requested": "500"},
    )
    assert await world.refused("Transfer", **payment, validate_only=True) == expected
    for _ in range(2):
        assert await world.refused("Transfer", **payment) == expected
        assert "1100" not in await world.answer("Transfer", **payment)
    atomic = {"commands": [{"transfer": line(own.wallet, near.wallet, 500)}], "atomic": True}
    refused = await world.refused("BatchExecute", **atomic, idempotency_key=world.suite.key())
    assert refused.metadata == {**expected.metadata, "failed_index": "0"}
    mine = await world.refused("Transfer", **line(own.wallet, own.spare, 500))
    assert {"limit", "balance"} < mine.metadata.keys()


async def test_both_sides_see_a_transaction(world: World) -> None:
    """Who pays and who is paid see it; nobody else does."""
    paid = await world.suite.transfer(world.far.wallet, world.own.wallet, 3)
    shown = await world.do("GetTransaction", transaction_id=paid.transaction.transaction_id)
    assert shown.transaction == paid.transaction
    others = await world.suite.transfer(world.far.wallet, world.near.wallet, 3)
    missed = await world.refused("GetTransaction", transaction_id=others.transaction.transaction_id)
    assert missed.reason == "TRANSACTION_NOT_FOUND"


async def test_postings_between_others_are_not_shown(world: World) -> None:
    """Of several postings a customer sees those that touch his wallets, as if they were all."""
    own, near = world.own, world.near
    lines = [
        line(near.wallet, near.spare, 9),
        line(near.wallet, own.wallet, 5),
        line(near.wallet, "sys:fees", 2),
        line("sys:world", own.spare, 4),
    ]
    made = (await world.suite.do("PostTransaction", postings=lines)).transaction
    whole = await world.suite.do("GetTransaction", transaction_id=made.transaction_id)
    assert len(whole.transaction.postings) == len(lines)
    shown = (await world.do("GetTransaction", transaction_id=made.transaction_id)).transaction
    assert [one.amount.amount_minor for one in shown.postings] == [5, 4]
    assert (shown.source_wallet_id, shown.destination_wallet_id) == (near.wallet, own.wallet)
    assert shown.amount == money(5)
    assert (shown.type, shown.create_time) == (made.type, made.create_time)


async def test_a_family_without_what_is_not_ones_own(world: World) -> None:
    """The hold is its payer's; whom it paid sees his own captures, and asks by them alone."""
    own, near = world.own, world.near
    held = (await world.suite.do("Authorize", wallet_id=near.wallet, amount=money(9))).hold
    taken = []
    for to in (own.wallet, near.spare, own.spare):
        fields = {"hold_id": held.hold_id, "destination_wallet_id": to, "amount": money(2)}
        taken.append((await world.suite.do("CaptureHold", **fields)).transaction)
    for one in taken:
        world.books.hear(one)
    whole = await world.suite.do("GetTransactionFamily", id=held.hold_id)
    assert whole.HasField("hold")
    assert len(whole.transactions) == 3
    mine = await world.do("GetTransactionFamily", id=taken[0].transaction_id)
    assert not mine.HasField("hold")
    assert list(mine.transactions) == [taken[0], taken[2]]
    asked = len(world.books.asked)
    for id_ in (held.hold_id, taken[1].transaction_id):
        missed = await world.refused("GetTransactionFamily", id=id_)
        assert missed == Failure("NOT_FOUND", "TRANSACTION_NOT_FOUND", {"transaction_id": id_})
    assert len(world.books.asked) == asked


async def test_who_reversed_and_why_is_staffs(world: World) -> None:
    """A customer sees that it was reversed, however he looks, and not in whose words."""
    undo = {"transaction_id": world.own.transaction, "reason": "fraud?", "actor": "ann"}
    made = (await world.suite.do("ReverseTransaction", **undo)).transaction
    world.books.hear(made)

    async def seen(who: Any) -> list[Any]:  # noqa: ANN401  # a caller's way to call
        one = await who("GetTransaction", transaction_id=made.transaction_id)
        # By the original the reversal comes from the ledger, by itself from the shard.
        families = [
            await who("GetTransactionFamily", id=id_)
            for id_ in (made.transaction_id, world.own.transaction)
        ]
        listed = await who("ListTransactions", account_id=world.own.name)
        return [
            one.transaction,
            *[family.transactions[-1] for family in families],
            listed.transactions[0].transaction,
        ]

    for shown in await seen(world.suite.do):
        assert (shown.actor, shown.reason) == ("ann", "fraud?")
    for shown in await seen(world.do):
        assert shown.transaction_id == made.transaction_id
        assert (shown.actor, shown.reason) == ("", "")


async def test_lists_are_asked_for_within_the_account(world: World) -> None:
    """By reference or metadata a customer finds what is his: the ledger is asked for no more."""
    own = world.own
    for fields in ({"reference": "r"}, {"metadata_key": "k"}, {"account_id": own.name}):
        await world.do("ListTransactions", **fields)
        asked = world.books.asked.pop()
        assert asked.account_id == own.name
        assert [getattr(asked, name) for name in fields] == list(fields.values())
        await world.suite.do("ListTransactions", **{"reference": "r"} | fields)
        assert world.books.asked.pop().account_id == fields.get("account_id", "")
    await world.do("ListTransactions", wallet_id=own.alias)
    asked = world.books.asked.pop()
    assert (asked.wallet_id, asked.account_id) == (own.wallet, "")
    assert (await world.refused("ListTransactions")).reason == "INVALID_FIELD"


async def test_listed_postings_between_others_are_not_shown(world: World) -> None:
    """A list shows of several postings what a look at one transaction shows."""
    own, near = world.own, world.near
    lines = [line(near.wallet, near.spare, 9), line(near.wallet, own.wallet, 5)]
    made = (await world.suite.do("PostTransaction", postings=lines)).transaction
    world.books.hear(made)
    (found,) = (await world.do("ListTransactions", account_id=own.name)).transactions
    assert [one.amount.amount_minor for one in found.transaction.postings] == [5]
    (found,) = (await world.suite.do("ListTransactions", account_id=own.name)).transactions
    assert len(found.transaction.postings) == 2
