"""Frozen wallets and accounts: what each scope stops, and that a freeze is a barrier."""

import asyncio

import grpc.aio
import pytest

from guilder.wallet.v1 import resources_pb2 as res
from tests.api.failures import declined, failure_of, invalid, missing, of_error
from tests.api.suite import Suite

ALL, DEBITS, NOTHING = (
    res.FREEZE_SCOPE_ALL,
    res.FREEZE_SCOPE_DEBITS,
    res.FREEZE_SCOPE_UNSPECIFIED,
)


async def test_t26_freeze_for_debits(suite: Suite) -> None:
    """Nothing leaves the wallet, and credits come in; ALL comes on top, and all ends together."""
    wallet, other = await suite.wallet(100), await suite.wallet(100)
    reply = await suite.do("FreezeWallet", wallet_id=wallet, scope=DEBITS)
    assert reply.wallet.status == res.WALLET_STATUS_DEBITS_FROZEN
    frozen = declined("WALLET_FROZEN", wallet_id=wallet)
    for call in (
        suite.withdraw(wallet, 1),
        suite.transfer(wallet, other, 1),
        suite.authorize(wallet, 1),
    ):
        assert await failure_of(call) == frozen
    await suite.deposit(wallet, 1)
    await suite.transfer(other, wallet, 1)
    reply = await suite.do("FreezeWallet", wallet_id=wallet, scope=ALL)
    assert reply.wallet.status == res.WALLET_STATUS_FROZEN
    assert await failure_of(suite.deposit(wallet, 1)) == frozen
    assert (await suite.unfreeze(wallet)).wallet.status == res.WALLET_STATUS_ACTIVE
    await suite.withdraw(wallet, 102)


async def test_scope_is_part_of_the_request(suite: Suite) -> None:
    """A key means one scope; one that is not known is malformed."""
    wallet, key = await suite.wallet(), suite.key()
    ask = {"wallet_id": wallet, "idempotency_key": key}
    await suite.do("FreezeWallet", **ask)
    assert (await suite.do("FreezeWallet", **ask, scope=ALL)).replayed
    failure = await failure_of(suite.do("FreezeWallet", **ask, scope=DEBITS))
    assert failure.reason == "IDEMPOTENCY_KEY_REUSED"
    for method, place in (
        ("FreezeWallet", {"wallet_id": wallet}),
        ("FreezeAccount", {"account_id": "a"}),
    ):
        assert await failure_of(suite.do(method, **place, scope=9)) == invalid("scope")


@pytest.mark.parametrize("there", [0, 1])
async def test_t26_account_is_frozen_and_freed(suite: Suite, there: int) -> None:
    """All of its wallets, those made later included; their own status stays what it was."""
    account = suite.account(0)
    one, own = await suite.wallet_in(account), await suite.wallet_in(account)
    other = await suite.wallet(100, shard=there)
    await suite.deposit(one, 100)
    await suite.freeze(own)
    reply = await suite.do("FreezeAccount", account_id=account)
    assert (reply.account_freeze, reply.wallets) == (ALL, 2)
    later = await suite.wallet_in(account)
    frozen = {wallet: declined("ACCOUNT_FROZEN", wallet_id=wallet) for wallet in (one, later)}
    assert await failure_of(suite.withdraw(one, 1)) == frozen[one]
    assert await failure_of(suite.deposit(later, 1)) == frozen[later]
    assert await failure_of(suite.transfer(other, one, 1)) == frozen[one]
    found = (await suite.do("GetWallet", wallet_id=one)).wallet
    assert (found.status, found.account_freeze) == (res.WALLET_STATUS_ACTIVE, ALL)
    assert await failure_of(suite.do("FreezeAccount", account_id=account)) == declined(
        "ACCOUNT_FROZEN", account_id=account
    )
    reply = await suite.do("FreezeAccount", account_id=account, scope=DEBITS)
    assert reply.account_freeze == DEBITS
    await suite.transfer(other, one, 1)
    assert await failure_of(suite.withdraw(one, 1)) == frozen[one]
    reply = await suite.do("UnfreezeAccount", account_id=account)
    assert (reply.account_freeze, reply.wallets) == (NOTHING, 3)
    await suite.withdraw(one, 101)
    assert (await failure_of(suite.deposit(own, 1))).reason == "WALLET_FROZEN"
    listed = await suite.do("ListWallets", account_id=account)
    assert {wallet.account_freeze for wallet in listed.wallets} == {NOTHING}
    again = suite.do("UnfreezeAccount", account_id=account)
    assert await failure_of(again) == declined("ACCOUNT_NOT_FROZEN", account_id=account)


async def test_t26_frozen_account_is_a_barrier(suite: Suite) -> None:
    """Nothing that is asked for after the reply passes; what passed before stays."""
    account = suite.account(1)
    wallet = await suite.wallet_in(account)
    await suite.deposit(wallet, 1000)
    other = await suite.wallet(1000)
    spending = [asyncio.create_task(suite.transfer(wallet, other, 1)) for _ in range(50)]
    paying = [asyncio.create_task(suite.transfer(other, wallet, 1)) for _ in range(50)]
    await suite.do("FreezeAccount", account_id=account)
    results = await asyncio.gather(
        *[suite.transfer(wallet, other, 1) for _ in range(20)],
        *[suite.transfer(other, wallet, 1) for _ in range(20)],
        return_exceptions=True,
    )
    failures = [of_error(one) for one in results if isinstance(one, grpc.aio.AioRpcError)]
    assert failures == [declined("ACCOUNT_FROZEN", wallet_id=wallet)] * 40
    await asyncio.gather(*spending, *paying, return_exceptions=True)


async def test_unknown_account(suite: Suite) -> None:
    """An account that no wallet has can't be frozen."""
    account = suite.account(1)
    for method in ("FreezeAccount", "UnfreezeAccount"):
        failure = await failure_of(suite.do(method, account_id=account))
        assert failure == missing("ACCOUNT_NOT_FOUND", account_id=account)
        assert await failure_of(suite.do(method, account_id="a b")) == invalid("account_id")


async def test_freeze_of_an_account_is_replayed(suite: Suite) -> None:
    """One key, one effect, however often it is raced."""
    account, key = suite.account(0), suite.key()
    await suite.wallet_in(account)
    replies = await asyncio.gather(
        *[suite.do("FreezeAccount", account_id=account, idempotency_key=key) for _ in range(10)]
    )
    assert sorted(reply.replayed for reply in replies) == [False] + [True] * 9
    assert {reply.wallets for reply in replies} == {1}
