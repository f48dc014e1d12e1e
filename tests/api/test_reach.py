"""What a customer reaches: every call of the service, by ids of one's own, of others, of nobody."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.api import books
from tests.api.customers import MISSES, Account, World, customers, nobody
from tests.api.failures import Failure
from tests.api.suite import Suite, money
from tests.claims import claim, customer
from walletkit.principal import Role

Fields = dict[str, Any]
Case = Callable[[World, Account], Fields]

DENIED = Failure("PERMISSION_DENIED", "PERMISSION_DENIED", {"roles": "service, operator, admin"})


@pytest_asyncio.fixture
async def world(suite: Suite) -> AsyncIterator[World]:
    """Three accounts, and a service that knows its callers."""
    async with customers(suite) as world:
        yield world


def wallet(_: World, of: Account) -> Fields:
    """Name a wallet."""
    return {"wallet_id": of.wallet}


def hold(_: World, of: Account) -> Fields:
    """Name a hold."""
    return {"hold_id": of.hold}


def transaction(_: World, of: Account) -> Fields:
    """Name a transaction."""
    return {"transaction_id": of.transaction}


def amount(case: Case) -> Case:
    """Name something, and an amount."""
    return lambda world, of: {**case(world, of), "amount": money(1)}


def account(_: World, of: Account) -> Fields:
    """Name an account."""
    return {"account_id": of.name}


def account_money(_: World, of: Account) -> Fields:
    """Name an account and a currency."""
    return {"account_id": of.name, "currency_code": "EUR"}


def payment(world: World, of: Account) -> Fields:
    """Pay somebody out of a wallet."""
    to = world.own.spare
    return {"source_wallet_id": of.wallet, "destination_wallet_id": to, "amount": money(1)}


IDS: dict[str, Case] = {
    "UpdateWallet": wallet,
    "FreezeWallet": wallet,
    "UnfreezeWallet": wallet,
    "CloseWallet": wallet,
    "SetWalletLimits": wallet,
    "Withdraw": amount(wallet),
    "Transfer": payment,
    "Authorize": amount(wallet),
    "IncrementHold": amount(hold),
    "ExtendHold": lambda _, of: {"hold_id": of.hold, "expire_time": {"seconds": 1}},
    "CaptureHold": hold,
    "VoidHold": hold,
    "PostTransaction": lambda world, of: {"postings": [payment(world, of)]},
    "ReverseTransaction": transaction,
    "GetWallet": wallet,
    "GetBalance": wallet,
    "GetHold": hold,
    "ListHolds": wallet,
    "GetTransaction": transaction,
    "GetTransactionFamily": lambda _, of: {"id": of.transaction},
    "ListTransactions": wallet,
    "GetWalletLimits": wallet,
}
"""Calls that name what exists or not: what is another's does not exist."""

LISTS: dict[str, Case] = {
    "ListWallets": account,
    "GetAccountLimits": account_money,
    "ListTransactions": account,
}
"""Reads by account: another's account has nothing."""

ACCOUNTS: dict[str, Case] = {
    "CreateWallet": account_money,
    "FreezeAccount": account,
    "UnfreezeAccount": account,
    "SetAccountLimits": account_money,
}
"""Changes by account, which need not exist: another's takes a role, whether it exists or not."""

NOBODYS: dict[str, Case] = {
    "Deposit": amount(wallet),
    "RegisterAsset": lambda *_: {"currency_code": "GOLDX", "exponent": 3},
}
"""Calls that no customer makes, not even of what is his."""

BATCHES = {"BatchTransfer", "StreamTransfers", "BatchExecute"}
"""Judged command by command: see test_reach_batches.py."""
OPEN = {"ListAssets"}


def test_every_call_is_in_the_table() -> None:
    """No call of the service is left out."""
    service = pb.DESCRIPTOR.services_by_name["WalletService"]
    methods = {method.name for method in service.methods}
    assert methods == {*IDS, *LISTS, *ACCOUNTS, *NOBODYS, *BATCHES, *OPEN}


@pytest.mark.parametrize("method", IDS)
async def test_foreign_is_unknown(world: World, method: str) -> None:
    """A foreign id answers as one that nobody has, near and far, tried and in earnest."""
    before = await books.rows_of(world.suite.urls)
    tries = "validate_only" in world.suite.ask(method).DESCRIPTOR.fields_by_name
    for other in (world.near, world.far):
        unknown = nobody("nobody", other)
        for more in [{}, {"validate_only": True}][: 1 + tries]:
            fields = IDS[method](world, other)
            assert (await world.refused(method, **fields, **more)).reason in MISSES
            told = await world.answer(method, **fields, **more)
            missed = IDS[method](world, unknown)
            assert told == await world.answer(method, **missed, **more)
    assert await books.rows_of(world.suite.urls) == before


@pytest.mark.parametrize(
    "method", [name for name, case in IDS.items() if case in {wallet, payment}]
)
async def test_foreign_names_are_unknown(world: World, method: str) -> None:
    """The same by alias; one's own wallets are reached by their names."""
    for other in (world.near, world.far):
        named = Account(other.name, other.alias, "", "", "", "")
        nameless = Account(other.name, f"alias:{other.name}/nobody", "", "", "", "")
        told = await world.answer(method, **IDS[method](world, named))
        assert "WALLET_NOT_FOUND" in told
        assert told == await world.answer(method, **IDS[method](world, nameless))
    own = Account(world.own.name, world.own.alias, "", "", "", "")
    assert "NOT_FOUND" not in await world.answer(method, **IDS[method](world, own))


@pytest.mark.parametrize("method", IDS)
async def test_own_is_reached(world: World, method: str) -> None:
    """What is one's own is there; whatever else may be wrong with it."""
    told = await world.answer(method, **IDS[method](world, world.own))
    assert not any(reason in told for reason in {*MISSES, "PERMISSION_DENIED"})


@pytest.mark.parametrize("method", LISTS)
async def test_lists_of_others_are_empty(world: World, method: str) -> None:
    """Another's account looks as one that nobody has; without a word to the ledger."""
    for other in (world.near, world.far):
        await world.suite.do("SetAccountLimits", account_id=other.name, currency_code="EUR")
        told = await world.answer(method, **LISTS[method](world, other))
        unknown = nobody(world.suite.account(0), other)
        assert told == await world.answer(method, **LISTS[method](world, unknown))
    assert not world.books.asked
    malformed = {**LISTS[method](world, world.own), "account_id": "?"}
    assert (await world.refused(method, **malformed)).reason == "INVALID_FIELD"
    own = await world.answer(method, **LISTS[method](world, world.own))
    assert "NOT_FOUND" not in own


async def test_own_wallets_are_listed(world: World) -> None:
    """One's own list is whole."""
    found = (await world.do("ListWallets", account_id=world.own.name)).wallets
    assert {one.wallet_id for one in found} == {world.own.wallet, world.own.spare}


@pytest.mark.parametrize("method", ACCOUNTS)
async def test_other_accounts_take_a_role(world: World, method: str) -> None:
    """An account that is another's or nobody's is refused alike; one's own is not."""
    before = await books.rows_of(world.suite.urls)
    for name in (world.near.name, world.far.name, world.suite.account(1)):
        of = Account(name, "", "", "", "", "")
        assert await world.refused(method, **ACCOUNTS[method](world, of)) == DENIED
    assert await books.rows_of(world.suite.urls) == before
    told = await world.answer(method, **ACCOUNTS[method](world, world.own))
    assert "PERMISSION_DENIED" not in told


@pytest.mark.parametrize("method", NOBODYS)
async def test_t12_money_from_nothing_takes_a_role(world: World, method: str) -> None:
    """What takes a role is refused whosever wallet it names, and does nothing."""
    before = await books.rows_of(world.suite.urls)
    for of in (world.own, world.near, nobody("nobody", world.own)):
        for more in ({}, {"validate_only": True}):
            assert await world.refused(method, **NOBODYS[method](world, of), **more) == DENIED
    assert await books.rows_of(world.suite.urls) == before


async def test_t12_no_way_round(world: World) -> None:
    """Postings out of system wallets, and the reversal of what went out, are money from nothing."""
    out = await world.do("Withdraw", wallet_id=world.own.wallet, amount=money(5))
    before = await books.rows_of(world.suite.urls)
    to = {"destination_wallet_id": world.own.wallet, "amount": money(5)}
    for side in ("sys:world", "sys:fees", "sys:exchange"):
        lines = [payment(world, world.own), {"source_wallet_id": side, **to}]
        assert await world.refused("PostTransaction", postings=lines) == DENIED
    undo = {"transaction_id": out.transaction.transaction_id}
    assert await world.refused("ReverseTransaction", **undo) == DENIED
    assert await books.rows_of(world.suite.urls) == before


async def test_what_was_paid_is_not_taken_back(world: World) -> None:
    """A customer gives back what came to him, and does not take back what he gave."""
    paid = await world.do(
        "Transfer", **payment(world, world.own) | {"destination_wallet_id": world.near.wallet}
    )
    taken = {"transaction_id": paid.transaction.transaction_id}
    assert await world.refused("ReverseTransaction", **taken) == DENIED
    given = await world.do("ReverseTransaction", transaction_id=world.own.transaction)
    assert given.transaction.destination_wallet_id == world.near.spare
    assert [one.wallet_id for one in given.balances] == [world.own.wallet]


async def test_shape_comes_first(world: World) -> None:
    """What is malformed is told before what is not reached, and a role before what is missing."""
    foreign = payment(world, world.near) | {"reference": "r" * 65}
    assert (await world.refused("Transfer", **foreign)).reason == "INVALID_FIELD"
    unknown = payment(world, world.near) | {"amount": money(1, "NOCOIN")}
    assert (await world.refused("Transfer", **unknown)).reason == "INVALID_FIELD"
    lines = [payment(world, world.near), payment(world, world.own)]
    lines[1]["source_wallet_id"] = "sys:world"
    assert await world.refused("PostTransaction", postings=lines) == DENIED


async def test_versions_of_others_are_not_told(world: World) -> None:
    """A version that is expected of another's wallet can't be probed."""
    for other in (world.near, world.far):
        fields = {"postings": [payment(world, world.own)]}
        asked = {**fields, "expected_versions": {other.wallet: 999}}
        missed = {**fields, "expected_versions": {nobody("n", other).wallet: 999}}
        told = await world.answer("PostTransaction", **asked)
        assert "WALLET_NOT_FOUND" in told
        assert told == await world.answer("PostTransaction", **missed)


@pytest.mark.parametrize("role", [Role.SERVICE, Role.OPERATOR, Role.ADMIN])
async def test_other_roles_reach_all(world: World, role: Role) -> None:
    """Who has a role of these reaches every wallet, beside being a customer, too."""
    for who in (claim(role), claim(role, Role.CUSTOMER, account=world.own.name)):
        for one in (world.near, world.far):
            paid = await world.call(who, "Transfer", **payment(world, one))
            assert paid.HasField("source_balance")
            assert (await world.call(who, "GetHold", hold_id=one.hold)).hold.hold_id == one.hold
        await world.call(who, "Deposit", wallet_id=world.far.wallet, amount=money(1))


async def test_an_auditor_reads_all_and_moves_nothing(world: World) -> None:
    """Reading reaches all; a change reaches what the caller's account has, if it has one."""
    for who in (claim(Role.AUDITOR), claim(Role.AUDITOR, Role.CUSTOMER, account=world.own.name)):
        read = await world.call(who, "GetBalance", wallet_id=world.far.wallet)
        assert read.balance.posted_minor > 0
        for one in (world.near, world.far):
            with pytest.raises(Exception, match="no wallet"):
                await world.call(who, "Transfer", **payment(world, one))


async def test_nobody_without_a_role(world: World) -> None:
    """A caller who has no role, or no account, reaches nothing."""
    for who in (claim(account=world.far.name), customer("")):
        with pytest.raises(Exception, match="no wallet"):
            await world.call(who, "GetBalance", wallet_id=world.own.wallet)
