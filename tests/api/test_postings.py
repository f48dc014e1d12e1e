"""Several postings, all or none: splits, fees and exchanges, over shards, and their reversal."""

from typing import Any

import pytest

from guilder.wallet.v1 import resources_pb2 as res
from tests.api import books
from tests.api.failures import declined, failure_of, invalid, not_found, stale
from tests.api.suite import Suite, money
from walletkit.ids import format_id, new_id

Side = tuple[str, str, int, str]


def line(source: str, destination: str, amount: int, currency: str = "EUR") -> dict[str, Any]:
    """Write one posting."""
    return {
        "source_wallet_id": source,
        "destination_wallet_id": destination,
        "amount": money(amount, currency),
    }


@pytest.mark.parametrize("there", [0, 1])
async def test_t17_split_with_a_fee(suite: Suite, there: int) -> None:
    """One debit of 100 in three parts: a shop, a partner on any shard, and the house's fee."""
    payer, shop = await suite.wallet(100), await suite.wallet()
    partner = await suite.wallet(shard=there)
    reply = await suite.do(
        "PostTransaction",
        postings=[line(payer, shop, 80), line(payer, partner, 15), line(payer, "sys:fees", 5)],
        reference="r",
        metadata={"k": "v"},
    )
    made = reply.transaction
    assert made.type == res.TRANSACTION_TYPE_POSTING
    assert made.state == res.TRANSACTION_STATE_COMPLETED
    told = [(p.source_wallet_id, p.destination_wallet_id, p.amount) for p in made.postings]
    assert told == [
        (payer, shop, money(80)),
        (payer, partner, money(15)),
        (payer, "sys:0:fees:EUR", money(5)),
    ]
    assert {posting.exponent for posting in made.postings} == {2}
    assert (made.source_wallet_id, made.destination_wallet_id) == (payer, shop)
    touched = sorted([payer, shop] if there else [payer, shop, partner])
    assert [balance.wallet_id for balance in reply.balances] == touched
    await books.settled(suite.urls)
    ends = [await suite.posted(wallet) for wallet in (payer, shop, partner)]
    assert ends == [0, 80, 15]
    found = await suite.do("GetTransaction", transaction_id=made.transaction_id)
    assert found.transaction == made


async def test_exchange(suite: Suite) -> None:
    """Euros for dollars at a stated rate: each currency sums to zero, through `sys:exchange`."""
    euros, dollars = await suite.wallet(100), await suite.wallet(currency="USD")
    await suite.do(
        "PostTransaction",
        postings=[
            line(euros, "sys:exchange", 100),
            line("sys:exchange", dollars, 108, "USD"),
            line(dollars, "sys:fees", 1, "USD"),
        ],
    )
    assert (await suite.posted(euros), await suite.posted(dollars)) == (0, 107)


async def test_all_or_none(suite: Suite) -> None:
    """One posting that can't be made undoes all; what comes in before may be spent after."""
    payer, middle, last = [await suite.wallet() for _ in range(3)]
    await suite.deposit(payer, 10)
    chain = [line(payer, middle, 10), line(middle, last, 10)]
    short = [*chain, line(last, payer, 11)]
    failure = await failure_of(suite.do("PostTransaction", postings=short))
    assert failure == declined("INSUFFICIENT_FUNDS", wallet_id=last, available=10, required=11)
    assert await suite.posted(payer) == 10
    await suite.do("PostTransaction", postings=chain)
    assert await suite.posted(last) == 10


async def test_debits_of_two_shards(suite: Suite) -> None:
    """All that is debited lies on one shard."""
    here, there = await suite.wallet(100), await suite.wallet(100, shard=1)
    call = suite.do("PostTransaction", postings=[line(here, there, 1), line(there, here, 1)])
    failure = await failure_of(call)
    assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "MULTI_SHARD_DEBIT")


async def test_money_in_and_out(suite: Suite) -> None:
    """`sys:world` is the outside, as in deposits and withdrawals."""
    one, other = await suite.wallet(), await suite.wallet()
    await suite.do("PostTransaction", postings=[line("sys:world", one, 7)])
    await suite.do(
        "PostTransaction", postings=[line("sys:world", other, 5), line(one, "sys:world", 3)]
    )
    assert (await suite.posted(one), await suite.posted(other)) == (4, 5)


@pytest.mark.parametrize("there", [0, 1])
async def test_reversal_of_several(suite: Suite, there: int) -> None:
    """They are reversed as a whole, once; where the money went to one shard only."""
    payer, shop = await suite.wallet(100), await suite.wallet(shard=there)
    lines = [line(payer, shop, 80), line(payer, "sys:fees", 5)]
    made = (await suite.do("PostTransaction", postings=lines)).transaction
    await books.settled(suite.urls)
    shown = {"transaction_id": made.transaction_id}
    part = suite.do("ReverseTransaction", **shown, amount=money(1))
    assert await failure_of(part) == invalid("amount")
    reply = await suite.do("ReverseTransaction", **shown, reason="why")
    back = reply.transaction
    assert (back.type, back.reason) == (res.TRANSACTION_TYPE_REVERSAL, "why")
    assert (back.parent_id, back.family_id) == (made.transaction_id,) * 2
    await books.settled(suite.urls)
    assert (await suite.posted(payer), await suite.posted(shop)) == (100, 0)
    again = suite.do("ReverseTransaction", **shown)
    assert await failure_of(again) == declined("TRANSACTION_REVERSED", **shown)


async def test_reversal_of_one_posting_with_a_fee(suite: Suite) -> None:
    """A single posting to a system wallet comes back from there."""
    payer = await suite.wallet(100)
    made = (await suite.do("PostTransaction", postings=[line(payer, "sys:fees", 5)])).transaction
    assert made.destination_wallet_id == "sys:0:fees:EUR"
    await suite.do("ReverseTransaction", transaction_id=made.transaction_id)
    assert await suite.posted(payer) == 100


async def test_expected_versions(suite: Suite) -> None:
    """Any wallet of the home shard may be expected at a version, touched or not."""
    payer, shop, witness = await suite.wallet(100), await suite.wallet(), await suite.wallet()
    lines = [line(payer, shop, 1)]
    versions = {payer: 2, shop: 1, witness: 9}
    call = suite.do("PostTransaction", postings=lines, expected_versions=versions)
    assert await failure_of(call) == stale(witness, 1, 9)
    versions[witness] = 1
    far = await suite.wallet(shard=1)
    beyond = {"expected_versions": {far: 1}}
    call = suite.do("PostTransaction", postings=lines, **beyond)
    assert await failure_of(call) == invalid("expected_versions")
    await suite.do("PostTransaction", postings=lines, expected_versions=versions)


async def test_unknown_wallets(suite: Suite) -> None:
    """One wallet that nobody has refuses all."""
    payer, nobody = await suite.wallet(100), format_id(new_id(4000))
    call = suite.do("PostTransaction", postings=[line(payer, nobody, 1)])
    assert await failure_of(call) == not_found(nobody)


@pytest.mark.parametrize(
    ("posting", "field"),
    [
        (line("x", "{w}", 1), "source_wallet_id"),
        (line("{w}", "", 1), "destination_wallet_id"),
        (line("{w}", "{w}", 1), "destination_wallet_id"),
        (line("{w}", "sys:transit", 1), "destination_wallet_id"),
        (line("{w}", "sys:suspense", 1), "destination_wallet_id"),
        (line("{w}", "sys:0:fees:EUR", 1), "destination_wallet_id"),
        (line("sys:fees", "sys:fees", 1), "destination_wallet_id"),
        (line("{w}", "sys:fees", 0), "amount.amount_minor"),
        (line("{w}", "sys:fees", -1), "amount.amount_minor"),
        (line("{w}", "sys:fees", 10**15 + 1), "amount.amount_minor"),
        (line("{w}", "sys:fees", 1, "XXX"), "amount.currency_code"),
        (line("{w}", "sys:fees", 1, "eur"), "amount.currency_code"),
    ],
)
async def test_t13_bad_postings(suite: Suite, posting: dict[str, Any], field: str) -> None:
    """Each malformed field is named with its place."""
    wallet = await suite.wallet(100)
    filled = {
        name: value.format(w=wallet) if isinstance(value, str) else value
        for name, value in posting.items()
    }
    good = line(wallet, "sys:fees", 1)
    call = suite.do("PostTransaction", postings=[good, filled])
    assert await failure_of(call) == invalid(f"postings[1].{field}")


async def test_bad_requests(suite: Suite) -> None:
    """1 to 100 postings, at least one wallet among them, and versions of wallets."""
    wallet = await suite.wallet(1000)
    good = line(wallet, "sys:fees", 1)
    for lines in ([], [good] * 101, [line("sys:world", "sys:fees", 1)]):
        call = suite.do("PostTransaction", postings=lines)
        assert await failure_of(call) == invalid("postings")
    for versions in ({"x": 1}, {wallet: 0}):
        call = suite.do("PostTransaction", postings=[good], expected_versions=versions)
        assert await failure_of(call) == invalid("expected_versions")
    await suite.do("PostTransaction", postings=[good] * 100)
    assert await suite.posted(wallet) == 900


async def test_key_of_several_postings(suite: Suite) -> None:
    """The same postings replay; any other, in any field, is another request."""
    payer, shop = await suite.wallet(100), await suite.wallet()
    key = suite.key()
    lines = [line(payer, shop, 1), line(payer, "sys:fees", 1)]

    async def post(lines: list[dict[str, Any]], **more: object) -> Any:  # noqa: ANN401
        return await suite.do("PostTransaction", postings=lines, idempotency_key=key, **more)

    first = await post(lines)
    again = await post(lines)
    assert again.replayed
    assert (again.transaction, again.balances) == (first.transaction, first.balances)
    for other in (
        post(lines[::-1]),
        post(lines[:1]),
        post([lines[0], line(payer, "sys:world", 1)]),
        post(lines, reference="r"),
        post(lines, expected_versions={shop: 1}),
        post(lines, description="d"),
    ):
        assert (await failure_of(other)).reason == "IDEMPOTENCY_KEY_REUSED"
