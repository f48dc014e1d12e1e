"""Limits of wallets and accounts: exact under any storm, and nothing for wallets without."""

import asyncio
from typing import Any

import grpc.aio
import pytest

from guilder.wallet.v1 import resources_pb2 as res
from tests.api import books
from tests.api.failures import declined, failure_of, invalid, missing, not_found, of_error
from tests.api.suite import Suite, money
from walletkit.ids import format_id, new_id

HOUR, DAY, MONTH = 1, 2, 3
DEBITS, CREDITS, NET = 1, 2, 3


def velocity(window: int, basis: int, amount: int = 0, count: int = 0) -> dict[str, int]:
    """Write a velocity limit."""
    return {"window": window, "basis": basis, "max_amount_minor": amount, "max_count": count}


async def limit(suite: Suite, wallet: str, **limits: Any) -> Any:  # noqa: ANN401  # a reply
    """Set a wallet's limits."""
    return await suite.do("SetWalletLimits", wallet_id=wallet, limits=limits)


async def test_credit_line(suite: Suite) -> None:
    """A wallet may go so far below zero, and the reply shows it; less than is in use is refused."""
    wallet = await suite.wallet(10)
    reply = await limit(suite, wallet, overdraft_limit_minor=50)
    assert reply.balance.overdraft_limit_minor == 50
    assert (reply.balance.available_minor, reply.balance.version) == (60, 3)
    assert reply.limits.overdraft_limit_minor == 50
    assert (await suite.withdraw(wallet, 40)).balance.posted_minor == -30
    short = declined("INSUFFICIENT_FUNDS", wallet_id=wallet, available=20, required=21)
    assert await failure_of(suite.withdraw(wallet, 21)) == short
    failure = await failure_of(limit(suite, wallet, overdraft_limit_minor=29))
    assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "OVERDRAFT_IN_USE")
    found = await suite.do("GetWalletLimits", wallet_id=wallet)
    assert found.limits.overdraft_limit_minor == 50
    assert (found.currency_code, found.exponent) == ("EUR", 2)
    await suite.deposit(wallet, 30)
    await limit(suite, wallet)
    assert (await suite.balance(wallet)).overdraft_limit_minor == 0


async def test_bounds_of_balances(suite: Suite) -> None:
    """What must stay, what must not be exceeded, and the largest single movement."""
    wallet, other = await suite.wallet(100), await suite.wallet(1000)
    await limit(
        suite, wallet, min_balance_minor=20, max_balance_minor=150, max_transaction_minor=60
    )
    for call, reason in (
        (suite.withdraw(wallet, 61), "TRANSACTION_LIMIT"),
        (suite.authorize(wallet, 61), "TRANSACTION_LIMIT"),
        (suite.deposit(wallet, 61), "TRANSACTION_LIMIT"),
        (suite.deposit(wallet, 51), "BALANCE_ABOVE_MAXIMUM"),
        (suite.transfer(other, wallet, 51), "BALANCE_ABOVE_MAXIMUM"),
    ):
        failure = await failure_of(call)
        assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", reason)
    await suite.withdraw(wallet, 60)
    failure = await failure_of(suite.withdraw(wallet, 21))
    assert failure.reason == "BALANCE_BELOW_MINIMUM"
    failure = await failure_of(suite.authorize(wallet, 21))
    assert failure.reason == "BALANCE_BELOW_MINIMUM"
    await suite.withdraw(wallet, 20)


async def test_credit_from_elsewhere_that_is_too_much_comes_back(suite: Suite) -> None:
    """A leg can't be refused; above the maximum the money goes home again."""
    source, full = await suite.wallet(100), await suite.wallet(10, shard=1)
    await limit(suite, full, max_balance_minor=15)
    reply = await suite.transfer(source, full, 6)
    await books.settled(suite.urls)
    state = await suite.state(reply.transaction.transaction_id)
    assert state == res.TRANSACTION_STATE_RETURNED
    assert (await suite.posted(source), await suite.posted(full)) == (100, 10)
    await suite.transfer(source, full, 5)


@pytest.mark.parametrize("window", [HOUR, DAY, MONTH])
async def test_velocity_by_amount_counts_open_holds(suite: Suite, window: int) -> None:
    """What left in the window and what is reserved, together, stay within the limit."""
    wallet = await suite.wallet(1000)
    await limit(suite, wallet, velocity=[velocity(window, DEBITS, amount=100)])
    await suite.withdraw(wallet, 40)
    hold = await suite.authorize(wallet, 50)
    failure = await failure_of(suite.withdraw(wallet, 11))
    assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "VELOCITY_LIMIT")
    assert failure.metadata["wallet_id"] == wallet
    await suite.do("CaptureHold", hold_id=hold.hold_id, amount=money(20), final=True)
    await suite.withdraw(wallet, 40)
    assert (await failure_of(suite.withdraw(wallet, 1))).reason == "VELOCITY_LIMIT"
    found = await suite.do("GetWalletLimits", wallet_id=wallet)
    assert [one.window for one in found.limits.velocity] == [window]
    usage = {one.window: one for one in found.usage}
    assert set(usage) == {HOUR, DAY, MONTH}
    used = usage[window]
    assert (used.debit_minor, used.debit_count) == (100, 3)
    assert used.start_time.seconds > 1_700_000_000


async def test_velocity_by_count_and_net(suite: Suite) -> None:
    """Debits or credits by number; net of what came in."""
    counted, net = await suite.wallet(1000), await suite.wallet(1000)
    await limit(
        suite, counted, velocity=[velocity(DAY, DEBITS, count=2), velocity(DAY, CREDITS, count=1)]
    )
    await suite.withdraw(counted, 1)
    await suite.authorize(counted, 1)
    assert (await failure_of(suite.withdraw(counted, 1))).reason == "VELOCITY_LIMIT"
    await suite.deposit(counted, 1)
    assert (await failure_of(suite.deposit(counted, 1))).reason == "VELOCITY_LIMIT"
    await limit(suite, net, velocity=[velocity(HOUR, NET, amount=10)])
    await suite.withdraw(net, 10)
    assert (await failure_of(suite.withdraw(net, 1))).reason == "VELOCITY_LIMIT"
    await suite.deposit(net, 5)
    await suite.withdraw(net, 5)


async def test_storm_never_exceeds_a_window(suite: Suite) -> None:
    """200 spenders at once: exactly as much passes as may."""
    wallet = await suite.wallet(10_000)
    await limit(suite, wallet, velocity=[velocity(DAY, DEBITS, amount=700)])
    results = await asyncio.gather(
        *[suite.withdraw(wallet, 7) for _ in range(200)], return_exceptions=True
    )
    failures = [of_error(one).reason for one in results if isinstance(one, grpc.aio.AioRpcError)]
    assert failures == ["VELOCITY_LIMIT"] * 100
    assert await suite.posted(wallet) == 10_000 - 700


async def test_account_limits(suite: Suite) -> None:
    """They bound all wallets of one currency together, those made later included."""
    account = suite.account(0)
    one, other = await suite.wallet_in(account), await suite.wallet_in(account)
    dollars = await suite.wallet_in(account, "USD")
    for wallet, currency in ((one, "EUR"), (other, "EUR"), (dollars, "USD")):
        await suite.deposit(wallet, 1000, currency=currency)
    named = {"account_id": account, "currency_code": "EUR"}
    limits = {"max_transaction_minor": 80, "velocity": [velocity(DAY, DEBITS, amount=100)]}
    reply = await suite.do("SetAccountLimits", **named, limits=limits)
    assert (reply.wallets, reply.limits.max_transaction_minor) == (2, 80)
    later = await suite.wallet_in(account)
    await suite.deposit(later, 50)
    await suite.withdraw(one, 60)
    hold = await suite.authorize(other, 30)
    failure = await failure_of(suite.withdraw(later, 11))
    assert failure.reason == "VELOCITY_LIMIT"
    assert (await failure_of(suite.withdraw(one, 81))).reason == "TRANSACTION_LIMIT"
    await suite.withdraw(dollars, 500, currency="USD")
    found = await suite.do("GetAccountLimits", **named)
    assert found.held_minor == 30
    assert {one.window: one.debit_minor for one in found.usage}[DAY] == 60
    await suite.do("VoidHold", hold_id=hold.hold_id)
    reply = await suite.do("SetAccountLimits", **named)
    assert (reply.wallets, reply.exponent) == (3, 2)
    await suite.withdraw(one, 200)
    found = await suite.do("GetAccountLimits", **named)
    assert (len(found.usage), found.limits.HasField("max_transaction_minor")) == (0, False)


async def test_limits_replay(suite: Suite) -> None:
    """The same limits in another order are the same request; other ones are not."""
    wallet, key = await suite.wallet(), suite.key()
    two = [velocity(DAY, DEBITS, 5), velocity(HOUR, CREDITS, 0, 5)]

    async def put(limits: dict[str, Any]) -> Any:  # noqa: ANN401  # a reply
        return await suite.do(
            "SetWalletLimits", wallet_id=wallet, limits=limits, idempotency_key=key
        )

    first = await put({"velocity": two})
    again = await put({"velocity": two[::-1]})
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.limits, again.balance) == (first.limits, first.balance)
    for other in ({}, {"velocity": two, "min_balance_minor": 0}, {"velocity": two[:1]}):
        assert (await failure_of(put(other))).reason == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({"overdraft_limit_minor": -1}, "overdraft_limit_minor"),
        ({"overdraft_limit_minor": 10**15 + 1}, "overdraft_limit_minor"),
        ({"min_balance_minor": -1}, "min_balance_minor"),
        ({"max_balance_minor": -1}, "max_balance_minor"),
        ({"max_transaction_minor": -1}, "max_transaction_minor"),
        ({"over_capture_percent": 101}, "over_capture_percent"),
        ({"velocity": [velocity(0, DEBITS, 1)]}, "velocity[0].window"),
        ({"velocity": [velocity(9, DEBITS, 1)]}, "velocity[0].window"),
        ({"velocity": [velocity(DAY, 0, 1)]}, "velocity[0].basis"),
        ({"velocity": [velocity(DAY, NET, -1), velocity(9, NET, 1)]}, "velocity[1].window"),
        ({"velocity": [velocity(DAY, DEBITS)]}, "velocity[0].max_amount_minor"),
        ({"velocity": [velocity(DAY, NET, 1, 1)]}, "velocity[0].max_count"),
        ({"velocity": [velocity(DAY, DEBITS, 1), velocity(DAY, DEBITS, 2)]}, "velocity[1]"),
    ],
)
async def test_bad_limits(suite: Suite, limits: dict[str, Any], field: str) -> None:
    """Each malformed field is named with its place."""
    wallet = await suite.wallet()
    assert await failure_of(limit(suite, wallet, **limits)) == invalid(f"limits.{field}")


async def test_limits_of_nobody(suite: Suite) -> None:
    """Unknown wallets and accounts are NOT_FOUND; an account without limits has none."""
    nobody, account = format_id(new_id(5)), suite.account(1)
    assert await failure_of(limit(suite, nobody)) == not_found(nobody)
    assert await failure_of(suite.do("GetWalletLimits", wallet_id=nobody)) == not_found(nobody)
    named = {"account_id": account, "currency_code": "EUR"}
    failure = await failure_of(suite.do("SetAccountLimits", **named))
    assert failure == missing("ACCOUNT_NOT_FOUND", account_id=account)
    found = await suite.do("GetAccountLimits", **named)
    assert (found.held_minor, found.exponent) == (0, 2)
    bad = suite.do("GetAccountLimits", account_id="", currency_code="x")
    assert await failure_of(bad) == invalid("account_id", "currency_code")
