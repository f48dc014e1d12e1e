"""Declines: well-formed requests that the wallets' state does not allow; no balance changes."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from tests.api import books
from tests.api.failures import Failure, declined, failure_of
from tests.api.suite import Suite
from walletkit.ids import format_id, new_id, parse_id


async def turned_down(suite: Suite, call: Awaitable[Any]) -> Failure:
    """Make a call that must be declined: its key is kept, but no balance changes."""
    before = await books.balances_of(suite.urls)
    failure = await failure_of(call)
    assert await books.balances_of(suite.urls) == before
    return failure


@pytest.mark.parametrize("there", [0, 1])
async def test_currency_mismatch(suite: Suite, there: int) -> None:
    """Both wallets must hold the amount's currency, also when one is on another shard."""
    euros, dollars = await suite.wallet(10), await suite.wallet(shard=there, currency="USD")
    wrong = {"wallet_currency": "USD", "amount_currency": "EUR"}
    expected = declined("CURRENCY_MISMATCH", wallet_id=dollars, **wrong)
    for call in (
        suite.transfer(euros, dollars, 1),
        suite.transfer(dollars, euros, 1),
        suite.deposit(dollars, 1),
        suite.withdraw(dollars, 1),
    ):
        assert await turned_down(suite, call) == expected


@pytest.mark.parametrize("there", [0, 1])
@pytest.mark.parametrize("end", ["frozen", "closed"])
async def test_frozen_or_closed_wallet(suite: Suite, end: str, there: int) -> None:
    """No new money moves through it, whichever side it is on."""
    good, bad = await suite.wallet(10), await suite.wallet(shard=there)
    await (suite.freeze(bad) if end == "frozen" else suite.close(bad))
    expected = declined(f"WALLET_{end.upper()}", wallet_id=bad)
    for call in (
        suite.transfer(good, bad, 1),
        suite.transfer(bad, good, 1),
        suite.deposit(bad, 1),
        suite.withdraw(bad, 1),
    ):
        assert await turned_down(suite, call) == expected


@pytest.mark.parametrize("there", [0, 1])
async def test_not_enough(suite: Suite, there: int) -> None:
    """One unit too much is declined, with what there is and what it takes."""
    source, destination = await suite.wallet(10), await suite.wallet(shard=there)
    expected = declined("INSUFFICIENT_FUNDS", wallet_id=source, available=10, required=11)
    assert await turned_down(suite, suite.transfer(source, destination, 11)) == expected
    assert await turned_down(suite, suite.withdraw(source, 11)) == expected


@pytest.mark.parametrize("there", [0, 1])
async def test_t15_balance_overflow_is_typed(suite: Suite, there: int) -> None:
    """A wallet can't hold more than 2^63 - 1; elsewhere it is found too late, and comes back."""
    source, full = await suite.wallet(10), await suite.wallet(shard=there)
    almost = 2**63 - 5
    fill = (
        f"UPDATE balances SET posted={almost} WHERE wallet_id=x'{parse_id(full).hex()}';"
        f"UPDATE system_wallets SET posted=posted-{almost} WHERE kind=1 AND currency='EUR'"
    )
    await suite.deposit(full, 1)
    await suite.withdraw(full, 1)
    await books.ask(suite.urls[there], fill)
    limit = {"wallet_id": full, "limit_minor": 2**63 - 1}
    expected = declined("BALANCE_OVERFLOW", **limit)
    assert await turned_down(suite, suite.deposit(full, 5)) == expected
    if there == 0:
        assert await turned_down(suite, suite.transfer(source, full, 5)) == expected
    else:
        reply = await suite.transfer(source, full, 5)
        await books.settled(suite.urls)
        assert await suite.state(reply.transaction.transaction_id) == 3  # RETURNED
        assert await suite.posted(source) == 10
    assert (await suite.deposit(full, 4)).balance.posted_minor == 2**63 - 1


async def test_bad_calls_beside_good_ones(suite: Suite) -> None:
    """In one batch of the engine the bad ones fail alone, and the good ones count."""
    one, other = await suite.wallet(100), await suite.wallet(shard=1)
    nobody = format_id(new_id(5))
    calls = [
        call
        for _ in range(10)
        for call in (
            suite.transfer(one, other, 1),
            suite.transfer(one, nobody, 1),
            suite.transfer(one, other, 0),
            suite.transfer(one, other, 10**6),
        )
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    failed = [isinstance(result, BaseException) for result in results]
    assert failed == [False, True, True, True] * 10
    assert (await suite.posted(one), await suite.posted(other)) == (90, 10)
