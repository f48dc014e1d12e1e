"""What may change of a wallet, what callers say of a transaction, and versions that they expect."""

import asyncio
import time
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1 import resources_pb2 as res
from tests.api.failures import KEY_REUSED, declined, failure_of, invalid, missing, stale
from tests.api.suite import Suite, money
from walletkit.ids import format_id, new_id

DAY_S = 86_400


async def test_metadata_is_replaced(suite: Suite) -> None:
    """All of it, as one more version of the wallet; the rest stays."""
    account = suite.account(0)
    create = {"account_id": account, "currency_code": "EUR", "alias": "a", "metadata": {"x": "y"}}
    made = (await suite.do("CreateWallet", **create)).wallet
    key = suite.key()
    ask = {"wallet_id": made.wallet_id, "metadata": {"ключ": "1"}, "idempotency_key": key}
    reply = await suite.do("UpdateWallet", **ask, expected_version=1)
    assert (dict(reply.wallet.metadata), reply.balance.version) == ({"ключ": "1"}, 2)
    again = await suite.do("UpdateWallet", **ask, expected_version=1)
    assert (again.replayed, again.balance) == (True, reply.balance)
    assert await failure_of(suite.do("UpdateWallet", **ask)) == KEY_REUSED
    expected = res.Wallet()
    expected.CopyFrom(made)
    expected.metadata.clear()
    expected.metadata["ключ"] = "1"
    assert (await suite.do("GetWallet", wallet_id=made.wallet_id)).wallet == expected
    await suite.do("UpdateWallet", wallet_id=made.wallet_id)
    found = (await suite.do("GetWallet", wallet_id=made.wallet_id)).wallet
    assert dict(found.metadata) == {}


async def test_bad_updates(suite: Suite) -> None:
    """Too much, of nobody, of a closed wallet; a frozen one may be updated."""
    wallet = await suite.wallet()
    much = suite.do("UpdateWallet", wallet_id=wallet, metadata={"k": "v" * 5000})
    assert await failure_of(much) == invalid("metadata")
    nobody = format_id(new_id(5))
    unknown = suite.do("UpdateWallet", wallet_id=nobody)
    assert await failure_of(unknown) == missing("WALLET_NOT_FOUND", wallet_id=nobody)
    await suite.freeze(wallet)
    await suite.do("UpdateWallet", wallet_id=wallet)
    await suite.close(wallet)
    closed = suite.do("UpdateWallet", wallet_id=wallet)
    assert await failure_of(closed) == declined("WALLET_CLOSED", wallet_id=wallet)


async def test_expected_version_of_every_command(suite: Suite) -> None:
    """Whatever changes a wallet can be bound to its version, and is when that is right."""
    one, other = await suite.wallet(100), await suite.wallet(100)
    made = (await suite.transfer(other, one, 5)).transaction.transaction_id
    hold = (await suite.authorize(one, 10)).hold_id
    second = (await suite.authorize(one, 10)).hold_id
    pay = {"source_wallet_id": one, "destination_wallet_id": other, "amount": money(1)}
    later = Timestamp(seconds=int(time.time()) + 10 * DAY_S)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("UpdateWallet", {"wallet_id": one}),
        ("Deposit", {"wallet_id": one, "amount": money(1)}),
        ("Withdraw", {"wallet_id": one, "amount": money(1)}),
        ("Transfer", pay),
        ("Authorize", {"wallet_id": one, "amount": money(1)}),
        ("IncrementHold", {"hold_id": hold, "amount": money(1)}),
        ("ExtendHold", {"hold_id": hold, "expire_time": later}),
        ("CaptureHold", {"hold_id": hold}),
        ("VoidHold", {"hold_id": second}),
        ("ReverseTransaction", {"transaction_id": made}),
        ("SetWalletLimits", {"wallet_id": one, "limits": {"max_balance_minor": 10**6}}),
        ("FreezeWallet", {"wallet_id": one}),
        ("UnfreezeWallet", {"wallet_id": one}),
    ]
    for method, fields in calls:
        version = (await suite.balance(one)).version
        for bad in (version - 1, version + 1):
            failure = await failure_of(suite.do(method, **fields, expected_version=bad))
            assert failure == stale(one, version, bad), method
        await suite.do(method, **fields, expected_version=version)
        assert (await suite.balance(one)).version > version, method
    empty = await suite.wallet()
    failure = await failure_of(suite.do("CloseWallet", wallet_id=empty, expected_version=2))
    assert failure == stale(empty, 1, 2)
    await suite.do("CloseWallet", wallet_id=empty, expected_version=1)


async def test_effective_time(suite: Suite) -> None:
    """Any time from 1970 to 366 days ahead is told back; it is part of the request."""
    wallet, key = await suite.wallet(100), suite.key()
    early = Timestamp(seconds=86_400, nanos=123_456_000)
    ask = {"wallet_id": wallet, "amount": money(1), "idempotency_key": key}
    reply = await suite.do("Deposit", **ask, effective_time=early, description="d")
    made = reply.transaction
    assert (made.effective_time, made.description) == (early, "d")
    found = await suite.do("GetTransaction", transaction_id=made.transaction_id)
    assert found.transaction == made
    assert (await suite.do("Deposit", **ask, effective_time=early, description="d")).replayed
    assert await failure_of(suite.do("Deposit", **ask, description="d")) == KEY_REUSED
    plain = (await suite.deposit(wallet, 1)).transaction
    assert not plain.HasField("effective_time")
    hold = (await suite.authorize(wallet, 2)).hold_id
    posting = {"source_wallet_id": wallet, "destination_wallet_id": "sys:fees"}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("Withdraw", {"wallet_id": wallet, "amount": money(1)}),
        ("CaptureHold", {"hold_id": hold}),
        ("ReverseTransaction", {"transaction_id": plain.transaction_id}),
        ("PostTransaction", {"postings": [{**posting, "amount": money(1)}]}),
    ]
    for method, fields in calls:
        late = Timestamp(seconds=int(time.time()) + 367 * DAY_S)
        for bad in (late, Timestamp(seconds=-1), Timestamp(nanos=10**9)):
            failure = await failure_of(suite.do(method, **fields, effective_time=bad))
            assert failure == invalid("effective_time"), method
        told = (await suite.do(method, **fields, effective_time=early)).transaction
        assert told.effective_time == early, method


@pytest.mark.parametrize("value", [1.5, "1", None])
def test_t14_amounts_have_one_type(value: object) -> None:
    """Minor units, as an integer: a fraction, or a text, is no amount."""
    with pytest.raises((TypeError, ValueError)):
        Money(currency_code="EUR", amount_minor=value + 0)  # type: ignore[operator]


async def test_account_that_is_too_large(suite: Suite) -> None:
    """More wallets than one commit takes are not frozen or limited together."""
    account = suite.account(0)
    for _ in range(10):
        await asyncio.gather(*[suite.wallet_in(account) for _ in range(100)])
    full = declined("ACCOUNT_TOO_LARGE", account_id=account, limit=1000)
    await suite.do("FreezeAccount", account_id=account)
    # Else nothing could ever unfreeze it.
    assert await failure_of(suite.wallet_in(account)) == full
    await suite.do("UnfreezeAccount", account_id=account)
    limits = {"account_id": account, "currency_code": "EUR"}
    await suite.do("SetAccountLimits", **limits, limits={"max_transaction_minor": 5})
    assert await failure_of(suite.wallet_in(account)) == full
    await suite.do("SetAccountLimits", **limits)
    await suite.wallet_in(account)
    for method, more in (("FreezeAccount", {}), ("SetAccountLimits", {"currency_code": "EUR"})):
        failure = await failure_of(suite.do(method, account_id=account, **more))
        shown = {"account_id": account, "limit": 1000}
        assert failure == declined("ACCOUNT_TOO_LARGE", **shown), method
