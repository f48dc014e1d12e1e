"""The order of checks is part of the API: of several faults the first in this order is told.

shape -> idempotency -> existence -> state -> currency -> version -> limits -> funds. What decides a
key's scope (the hold, the original, a name) must exist before its key can be looked up.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.api.failures import failure_of
from tests.api.suite import Suite, money
from walletkit.ids import format_id, new_id

Fields = dict[str, Any]
Faults = list[tuple[str, Fields]]
Case = tuple[Fields, Faults]

SHAPE = "INVALID_FIELD"
REUSED = "IDEMPOTENCY_KEY_REUSED"
STALE = "VERSION_MISMATCH"
POOR = "INSUFFICIENT_FUNDS"
NOBODY = format_id(new_id(5))
OTHER_VERSION = {"expected_version": 999}


async def spender(suite: Suite) -> str:
    """Return a wallet with 10, of which one movement may take 50."""
    wallet = await suite.wallet(10)
    await suite.do("SetWalletLimits", wallet_id=wallet, limits={"max_transaction_minor": 50})
    return wallet


async def used_key(suite: Suite, wallet: str) -> Fields:
    """Return a key that the wallet has used for something else."""
    key = suite.key()
    await suite.do("UpdateWallet", wallet_id=wallet, idempotency_key=key)
    return {"idempotency_key": key}


async def frozen_wallet(suite: Suite) -> str:
    """Return a frozen wallet, in another currency at that."""
    wallet = await suite.wallet(currency="USD")
    await suite.freeze(wallet)
    return wallet


async def transfer(suite: Suite) -> Case:
    """A transfer."""
    source, good = await spender(suite), await suite.wallet()
    to = "destination_wallet_id"
    return {"source_wallet_id": source, to: good, "amount": money(5)}, [
        (SHAPE, {"reference": "r" * 65}),
        (REUSED, await used_key(suite, source)),
        ("WALLET_NOT_FOUND", {to: NOBODY}),
        ("WALLET_FROZEN", {to: await frozen_wallet(suite)}),
        ("CURRENCY_MISMATCH", {to: await suite.wallet(currency="USD")}),
        (STALE, OTHER_VERSION),
        ("TRANSACTION_LIMIT", {"amount": money(60)}),
        (POOR, {"amount": money(40)}),
    ]


async def transfer_by_name(suite: Suite) -> Case:
    """A transfer to a name: it must be known before the rest is."""
    fields, faults = await transfer(suite)
    alias = {"destination_wallet_id": f"alias:{suite.account(0)}/nobody"}
    return fields, [faults[0], ("WALLET_NOT_FOUND", alias), *faults[1:]]


async def withdrawal(suite: Suite) -> Case:
    """A withdrawal."""
    wallet = await spender(suite)
    return {"wallet_id": wallet, "amount": money(5)}, [
        (SHAPE, {"idempotency_key": ""}),
        (REUSED, await used_key(suite, wallet)),
        ("CURRENCY_MISMATCH", {"amount": money(60, "USD")}),
        (STALE, OTHER_VERSION),
        ("TRANSACTION_LIMIT", {"amount": money(60)}),
        (POOR, {"amount": money(40)}),
    ]


async def deposit(suite: Suite) -> Case:
    """A deposit."""
    wallet = await spender(suite)
    return {"wallet_id": wallet, "amount": money(5)}, [
        (SHAPE, {"metadata": {"k": "v" * 5000}}),
        (REUSED, await used_key(suite, wallet)),
        ("CURRENCY_MISMATCH", {"amount": money(60, "USD")}),
        (STALE, OTHER_VERSION),
        ("TRANSACTION_LIMIT", {"amount": money(60)}),
    ]


async def authorization(suite: Suite) -> Case:
    """An authorization."""
    fields, faults = await transfer(suite)
    fields["wallet_id"] = fields.pop("source_wallet_id")
    too_late = ("HOLD_EXPIRE_TIME", {"expire_time": {"seconds": 1}})
    return fields, [*faults[:6], too_late, *faults[6:]]


async def increment(suite: Suite) -> Case:
    """An increment: the hold must be there before its key can be looked up."""
    wallet = await spender(suite)
    hold, over = await suite.authorize(wallet, 5), await suite.authorize(wallet, 1)
    await suite.do("VoidHold", hold_id=over.hold_id)
    return {"hold_id": hold.hold_id, "amount": money(1)}, [
        (SHAPE, {"amount": money(0)}),
        ("HOLD_NOT_FOUND", {"hold_id": NOBODY}),
        (REUSED, await used_key(suite, wallet)),
        ("HOLD_VOIDED", {"hold_id": over.hold_id}),
        ("CURRENCY_MISMATCH", {"amount": money(1, "USD")}),
        (STALE, OTHER_VERSION),
        ("TRANSACTION_LIMIT", {"amount": money(60)}),
        (POOR, {"amount": money(40)}),
    ]


async def capture(suite: Suite) -> Case:
    """A capture."""
    wallet, good = await spender(suite), await suite.wallet()
    hold, over = await suite.authorize(wallet, 5), await suite.authorize(wallet, 1)
    await suite.do("CaptureHold", hold_id=over.hold_id)
    to = "destination_wallet_id"
    return {"hold_id": hold.hold_id, to: good, "amount": money(1)}, [
        (SHAPE, {"reference": "r" * 65}),
        ("HOLD_NOT_FOUND", {"hold_id": NOBODY}),
        (REUSED, await used_key(suite, wallet)),
        ("WALLET_NOT_FOUND", {to: NOBODY}),
        ("HOLD_CAPTURED", {"hold_id": over.hold_id}),
        ("WALLET_FROZEN", {to: await frozen_wallet(suite)}),
        ("CURRENCY_MISMATCH", {to: await suite.wallet(currency="USD")}),
        (STALE, OTHER_VERSION),
        ("HOLD_OVER_CAPTURE", {"amount": money(6)}),
    ]


async def void(suite: Suite) -> Case:
    """A void."""
    wallet = await spender(suite)
    hold, over = await suite.authorize(wallet, 5), await suite.authorize(wallet, 1)
    await suite.do("VoidHold", hold_id=over.hold_id)
    return {"hold_id": hold.hold_id}, [
        (SHAPE, {"idempotency_key": ""}),
        ("HOLD_NOT_FOUND", {"hold_id": NOBODY}),
        (REUSED, await used_key(suite, wallet)),
        ("HOLD_VOIDED", {"hold_id": over.hold_id}),
        (STALE, OTHER_VERSION),
    ]


async def reversal(suite: Suite) -> Case:
    """A reversal: the original must be there before its key can be looked up."""
    payer, payee = await suite.wallet(100), await spender(suite)
    made = (await suite.transfer(payer, payee, 40)).transaction.transaction_id
    done = (await suite.transfer(payer, payee, 1)).transaction.transaction_id
    await suite.do("ReverseTransaction", transaction_id=done)
    await suite.withdraw(payee, 45)
    return {"transaction_id": made, "amount": money(1)}, [
        (SHAPE, {"actor": "a" * 129}),
        ("TRANSACTION_NOT_FOUND", {"transaction_id": NOBODY}),
        (REUSED, await used_key(suite, payee)),
        ("TRANSACTION_REVERSED", {"transaction_id": done}),
        ("REVERSAL_EXCEEDS_ORIGINAL", {"amount": money(41)}),
        ("CURRENCY_MISMATCH", {"amount": money(1, "USD")}),
        (STALE, OTHER_VERSION),
        (POOR, {"amount": money(40)}),
    ]


async def several_postings(suite: Suite) -> Case:
    """Several postings."""
    source, good = await spender(suite), await suite.wallet()

    def to(destination: str, amount: int) -> Fields:
        posting = {"source_wallet_id": source, "destination_wallet_id": destination}
        return {"postings": [{**posting, "amount": money(amount)}]}

    return to(good, 5), [
        (SHAPE, {"reference": "r" * 65}),
        (REUSED, await used_key(suite, source)),
        ("WALLET_NOT_FOUND", to(NOBODY, 60)),
        ("WALLET_FROZEN", to(await frozen_wallet(suite), 60)),
        ("CURRENCY_MISMATCH", to(await suite.wallet(currency="USD"), 60)),
        (STALE, {"expected_versions": {source: 999}}),
        ("TRANSACTION_LIMIT", to(good, 60)),
        (POOR, to(good, 40)),
    ]


async def creation(suite: Suite) -> Case:
    """A wallet's creation."""
    account, key = suite.account(0), suite.key()
    fields = {"account_id": account, "currency_code": "EUR", "alias": "free"}
    await suite.do("CreateWallet", **{**fields, "alias": "taken"}, idempotency_key=key)
    return fields, [
        (SHAPE, {"metadata": {"k": "v" * 5000}}),
        (REUSED, {"idempotency_key": key, "currency_code": "USD"}),
        ("ALIAS_TAKEN", {"alias": "taken"}),
    ]


async def closing(suite: Suite) -> Case:
    """A closing."""
    wallet = await suite.wallet(5)
    return {"wallet_id": wallet}, [
        (SHAPE, {"expected_version": 0}),
        (REUSED, await used_key(suite, wallet)),
        (STALE, OTHER_VERSION),
        ("WALLET_NOT_EMPTY", {}),
    ]


async def freeze(suite: Suite) -> Case:
    """A freeze of what is frozen."""
    wallet = await suite.wallet()
    key = await used_key(suite, wallet)
    await suite.freeze(wallet)
    return {"wallet_id": wallet}, [
        (SHAPE, {"scope": 9}),
        (REUSED, key),
        ("WALLET_FROZEN", OTHER_VERSION),
    ]


async def change_of_limits(suite: Suite) -> Case:
    """A change of limits."""
    wallet = await suite.wallet(0)
    await suite.do("SetWalletLimits", wallet_id=wallet, limits={"overdraft_limit_minor": 9})
    await suite.withdraw(wallet, 9)
    return {"wallet_id": wallet, "limits": {"overdraft_limit_minor": 9}}, [
        (SHAPE, {"limits": {"overdraft_limit_minor": -1}}),
        (REUSED, await used_key(suite, wallet)),
        (STALE, OTHER_VERSION),
        ("OVERDRAFT_IN_USE", {"limits": {"overdraft_limit_minor": 8}}),
    ]


CASES: dict[str, tuple[str, Callable[[Suite], Awaitable[Case]]]] = {
    "transfer": ("Transfer", transfer),
    "transfer by name": ("Transfer", transfer_by_name),
    "withdrawal": ("Withdraw", withdrawal),
    "deposit": ("Deposit", deposit),
    "authorization": ("Authorize", authorization),
    "increment": ("IncrementHold", increment),
    "capture": ("CaptureHold", capture),
    "void": ("VoidHold", void),
    "reversal": ("ReverseTransaction", reversal),
    "several postings": ("PostTransaction", several_postings),
    "creation": ("CreateWallet", creation),
    "closing": ("CloseWallet", closing),
    "freeze": ("FreezeWallet", freeze),
    "change of limits": ("SetWalletLimits", change_of_limits),
}


@pytest.mark.parametrize("name", CASES)
async def test_of_several_faults_the_first_is_told(suite: Suite, name: str) -> None:
    """With all faults at once the first one is told; once it is mended, the next."""
    method, prepare = CASES[name]
    fields, faults = await prepare(suite)
    told = []
    for first in range(len(faults)):
        asked = dict(fields)
        # Of two faults in one field the earlier one stands.
        for _, fault in reversed(faults[first:]):
            asked.update(fault)
        told.append((await failure_of(suite.do(method, **asked))).reason)
    assert told == [reason for reason, _ in faults]
