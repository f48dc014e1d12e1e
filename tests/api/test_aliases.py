"""Aliases: names within an account, wherever a wallet's id may stand."""

from typing import Any

import pytest

from tests.api.failures import Failure, failure_of, invalid, missing, of_result
from tests.api.suite import Suite, money
from wallet.store import queries


async def named(suite: Suite, name: str, *, shard: int = 0, posted: int = 0) -> tuple[str, str]:
    """Create a wallet with a name; return its id and its alias."""
    account = suite.account(shard)
    reply = await suite.do("CreateWallet", account_id=account, currency_code="EUR", alias=name)
    assert reply.wallet.alias == name
    if posted:
        await suite.deposit(reply.wallet.wallet_id, posted)
    return reply.wallet.wallet_id, f"alias:{account}/{name}"


@pytest.mark.parametrize("shard", [0, 1])
async def test_alias_stands_wherever_an_id_does(suite: Suite, shard: int) -> None:
    """In every call that takes a wallet; replies have the id."""
    one, alias = await named(suite, "Main-1.a_b", shard=shard, posted=100)
    other, far = await named(suite, "other")
    by_alias: list[tuple[str, dict[str, Any]]] = [
        ("GetWallet", {}),
        ("GetBalance", {}),
        ("Deposit", {"amount": money(1)}),
        ("Withdraw", {"amount": money(1)}),
        ("Authorize", {"amount": money(1), "destination_wallet_id": far}),
        ("UpdateWallet", {}),
        ("ListHolds", {}),
        ("SetWalletLimits", {}),
        ("GetWalletLimits", {}),
        ("FreezeWallet", {}),
        ("UnfreezeWallet", {}),
    ]
    for method, fields in by_alias:
        reply = await suite.do(method, wallet_id=alias, **fields)
        for place in ("wallet", "balance"):
            if place in reply.DESCRIPTOR.fields_by_name:
                assert getattr(reply, place).wallet_id == one, method
    hold = (await suite.do("ListHolds", wallet_id=alias)).holds[0]
    assert (hold.wallet_id, hold.destination_wallet_id) == (one, other)
    await suite.do("CaptureHold", hold_id=hold.hold_id, destination_wallet_id=far)
    reply = await suite.transfer(alias, far, 1)
    made = reply.transaction
    assert (made.source_wallet_id, made.destination_wallet_id) == (one, other)
    await suite.do(
        "PostTransaction",
        postings=[
            {"source_wallet_id": alias, "destination_wallet_id": far, "amount": money(1)},
            {"source_wallet_id": alias, "destination_wallet_id": "sys:fees", "amount": money(1)},
        ],
        expected_versions={alias: (await suite.balance(one)).version},
    )


async def test_alias_and_id_are_the_same_request(suite: Suite) -> None:
    """A key that was used with the alias replays with the id: what counts is the wallet."""
    one, alias = await named(suite, "a", posted=10)
    key = suite.key()
    first = await suite.withdraw(alias, 1, idempotency_key=key)
    again = await suite.withdraw(one, 1, idempotency_key=key)
    assert again.replayed
    assert again.transaction == first.transaction
    twice = suite.do(
        "PostTransaction",
        postings=[
            {"source_wallet_id": one, "destination_wallet_id": "sys:fees", "amount": money(1)}
        ],
        expected_versions={one: 3, alias: 3},
    )
    assert await failure_of(twice) == invalid("expected_versions")
    same = suite.transfer(alias, one, 1)
    assert await failure_of(same) == invalid("destination_wallet_id")


async def test_aliases_in_batches(suite: Suite) -> None:
    """Transfers and commands of batches take them too; one that nobody has fails alone."""
    one, alias = await named(suite, "a", posted=10)
    _, far = await named(suite, "b", shard=1)
    nobody = alias + "x"
    transfers = [
        suite.transfer_request(alias, far, 1),
        suite.transfer_request(alias, nobody, 1),
        suite.transfer_request(one, far, 1),
    ]
    results = (await suite.do("BatchTransfer", transfers=transfers)).results
    assert of_result(results[1]) == missing("WALLET_NOT_FOUND", wallet_id=nobody)
    assert results[2].response.source_balance.posted_minor == 8
    pay = {"source_wallet_id": alias, "destination_wallet_id": far, "amount": money(1)}
    both = [{"transfer": pay}, {"withdraw": {"wallet_id": alias, "amount": money(1)}}]
    reply = await suite.do("BatchExecute", commands=both, atomic=True)
    assert reply.results[1].withdraw.balance.wallet_id == one
    pay["destination_wallet_id"] = nobody
    failure = await failure_of(suite.do("BatchExecute", commands=both, atomic=True))
    shown = {"wallet_id": nobody, "failed_index": "0"}
    assert failure == Failure("NOT_FOUND", "WALLET_NOT_FOUND", shown)


async def test_alias_is_unique_in_its_account(suite: Suite) -> None:
    """Taken is taken, for good; in another account it is free."""
    one, alias = await named(suite, "a")
    account = alias.removeprefix("alias:").split("/")[0]
    create = {"account_id": account, "currency_code": "USD", "alias": "a"}
    failure = await failure_of(suite.do("CreateWallet", **create))
    assert (failure.code, failure.reason) == ("ALREADY_EXISTS", "ALIAS_TAKEN")
    await suite.close(one)
    assert (await failure_of(suite.do("CreateWallet", **create))).reason == "ALIAS_TAKEN"
    await named(suite, "a")
    listed = await suite.do("ListWallets", account_id=account)
    assert [wallet.alias for wallet in listed.wallets] == ["a"]


async def test_alias_is_part_of_a_creation(suite: Suite) -> None:
    """A key means one name."""
    account, key = suite.account(0), suite.key()
    ask = {"account_id": account, "currency_code": "EUR", "idempotency_key": key}
    first = await suite.do("CreateWallet", **ask, alias="a")
    again = await suite.do("CreateWallet", **ask, alias="a")
    assert (again.replayed, again.wallet) == (True, first.wallet)
    for name in ("", "b"):
        failure = await failure_of(suite.do("CreateWallet", **ask, alias=name))
        assert failure.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_name_of_nobody(suite: Suite) -> None:
    """NOT_FOUND, and not for ever: the wallet may be made a moment later."""
    account = suite.account(1)
    alias = f"alias:{account}/soon"
    for _ in range(2):
        failure = await failure_of(suite.deposit(alias, 1))
        assert failure == missing("WALLET_NOT_FOUND", wallet_id=alias)
    await suite.do("CreateWallet", account_id=account, currency_code="EUR", alias="soon")
    assert (await suite.deposit(alias, 1)).balance.posted_minor == 1


@pytest.mark.parametrize(
    "text",
    [
        "alias:",
        "alias:a",
        "alias:a/",
        "alias:/a",
        "alias:a/b/c",
        "alias:a b/c",
        "alias:ä/c",
        f"alias:{'a' * 65}/b",
        f"alias:a/{'b' * 65}",
        "alias:a/b\n",
        "ALIAS:a/b",
        " alias:a/b",
    ],
)
async def test_malformed_aliases(suite: Suite, text: str) -> None:
    """They are malformed ids, and named as such."""
    assert await failure_of(suite.deposit(text, 1)) == invalid("wallet_id")
    assert await failure_of(suite.do("GetWallet", wallet_id=text)) == invalid("wallet_id")


@pytest.mark.parametrize("name", ["a b", "a/b", "ä", "a" * 65, "a\n"])
async def test_malformed_names(suite: Suite, name: str) -> None:
    """A wallet's name has the letters of an account."""
    call = suite.do("CreateWallet", account_id="a", currency_code="EUR", alias=name)
    assert await failure_of(call) == invalid("alias")


async def test_malformed_fields_come_before_unknown_names(suite: Suite) -> None:
    """What is malformed is told before it is asked who has the name, and the name not with it."""
    alias = f"alias:{suite.account(0)}/nobody"
    failure = await failure_of(suite.transfer(alias, alias + "2", 0, reference="r" * 65))
    assert failure == invalid("amount.amount_minor", "reference")


async def test_alias_is_read_once(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never changes, so it is remembered; an id is never looked up."""
    one, alias = await named(suite, "a", posted=10)
    await suite.withdraw(alias, 1)

    async def never(*_: object) -> None:
        pytest.fail("read")

    monkeypatch.setattr(queries, "aliases", never)
    await suite.withdraw(alias, 1)
    await suite.withdraw(one, 1)
