"""Bad input: each kind gets its row of the error table, with its field, and changes nothing."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.api import books
from tests.api.failures import (
    Failure,
    failure_of,
    invalid,
    not_found,
    of_result,
)
from tests.api.suite import Suite, money
from walletkit.ids import format_id, new_id

Call = Callable[[Suite, str, str], Awaitable[Any]]
MAX_AMOUNT = 10**15


async def refused(suite: Suite, call: Awaitable[Any]) -> Failure:
    """Make a call that must fail and leave no trace at all, in no table and no stream."""
    before = await books.rows_of(suite.urls)
    failure = await failure_of(call)
    assert await books.rows_of(suite.urls) == before
    return failure


MOVEMENTS: dict[str, Callable[..., Callable[[Suite, str, str], Awaitable[Any]]]] = {
    "Deposit": lambda **f: (
        lambda s, a, _b: s.stub.Deposit(
            pb.DepositRequest(**{"wallet_id": a, "idempotency_key": "k", "amount": money(1), **f})
        )
    ),
    "Withdraw": lambda **f: (
        lambda s, a, _b: s.stub.Withdraw(
            pb.WithdrawRequest(**{"wallet_id": a, "idempotency_key": "k", "amount": money(1), **f})
        )
    ),
    "Transfer": lambda **f: (
        lambda s, a, b: s.stub.Transfer(
            pb.TransferRequest(
                **{
                    "source_wallet_id": a,
                    "destination_wallet_id": b,
                    "idempotency_key": "k",
                    "amount": money(1),
                    **f,
                }
            )
        )
    ),
}
"""Calls that move one cent from, to or between two wallets, but for the fields given."""

BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    *[({"amount": money(n)}, "amount.amount_minor") for n in (0, -1, MAX_AMOUNT + 1, -(2**63))],
    ({"amount": money(2**63 - 1)}, "amount.amount_minor"),
    *[
        ({"amount": money(1, code)}, "amount.currency_code")
        for code in ("", "eur", "XXX", "EURO", "E\0R", "ÉUR")
    ],
    *[
        ({"idempotency_key": key}, "idempotency_key")
        for key in ("", "k" * 129, "ключ", "a\nb", "a\x7f", "a\0", "a\t")
    ],
    ({"reference": "r" * 65}, "reference"),
    ({"reference": "ö" * 33}, "reference"),
    ({"metadata": {"k": "v" * 4096}}, "metadata"),
    ({"metadata": {str(n): "" for n in range(1000)}}, "metadata"),
    ({"description": "d" * 4097}, "description"),
    ({"description": "d" * 2100, "metadata": {"k": "v" * 2100}}, "metadata"),
    ({"expected_version": 0}, "expected_version"),
    ({"expected_version": 2**63}, "expected_version"),
    ({"expected_version": 2**64 - 1}, "expected_version"),
]


@pytest.mark.parametrize("method", MOVEMENTS)
async def test_t13_bad_fields_of_movements(suite: Suite, method: str) -> None:
    """Zero, negative and over-large amounts, unknown currencies, bad keys, too long texts."""
    one, other = await suite.wallet(100), await suite.wallet(shard=1)
    before = await books.rows_of(suite.urls)
    for fields, field in BAD_FIELDS:
        failure = await failure_of(MOVEMENTS[method](**fields)(suite, one, other))
        assert failure == invalid(field), fields
    assert await books.rows_of(suite.urls) == before


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": money(MAX_AMOUNT)},
        {"idempotency_key": "k" * 128},
        {"idempotency_key": " ~"},
        {"reference": "ö" * 32},
        {"metadata": {"k": "v" * 4082}},
        {"description": "d" * 4088},
        {"expected_version": 1},
    ],
)
async def test_the_last_value_that_is_good(suite: Suite, fields: dict[str, Any]) -> None:
    """At the very edge of each rule a call goes through."""
    wallet = await suite.wallet()
    await MOVEMENTS["Deposit"](**fields)(suite, wallet, "")
    await suite.withdraw(wallet, await suite.posted(wallet))


EVERY_FIELD: dict[str, Any] = {
    "amount": None,
    "idempotency_key": "",
    "reference": "r" * 65,
    "metadata": {"k": "v" * 4096},
    "expected_version": 0,
}


@pytest.mark.parametrize("method", MOVEMENTS)
async def test_every_malformed_field_is_named(suite: Suite, method: str) -> None:
    """A request with everything wrong is refused once, with an entry for each field."""
    names = ["wallet_id"]
    if method == "Transfer":
        names = ["source_wallet_id", "destination_wallet_id"]
    call = MOVEMENTS[method](**EVERY_FIELD)(suite, "x", "x")
    rest = ["idempotency_key", "amount.amount_minor", "amount.currency_code"]
    rest += ["reference", "metadata", "expected_version"]
    assert await refused(suite, call) == invalid(*names, *rest)


async def test_every_malformed_field_of_a_creation_is_named(suite: Suite) -> None:
    """The same for creations and changes of status."""
    create = suite.stub.CreateWallet(pb.CreateWalletRequest(metadata={"k": "v" * 4096}))
    expected = invalid("account_id", "currency_code", "idempotency_key", "metadata")
    assert await refused(suite, create) == expected
    freeze = suite.stub.FreezeWallet(pb.FreezeWalletRequest())
    assert await refused(suite, freeze) == invalid("wallet_id", "idempotency_key")


VALID = format_id(new_id(3))
BAD_IDS = [
    "",
    "x",
    VALID.upper(),
    str(uuid.UUID("12345678-1234-4234-8234-123456789abc")),
    VALID.replace("-", ""),
    f"{VALID} ",
    f"{{{VALID}}}",
    "sys:0:world:EUR",
    "00000000-0000-7000-8000-000000000000",
    f"{VALID[:-1]}é",
    "x" * 10_000,
]

BY_WALLET: dict[str, Callable[[Suite, str], Awaitable[Any]]] = {
    "GetWallet": lambda s, w: s.stub.GetWallet(pb.GetWalletRequest(wallet_id=w)),
    "GetBalance": lambda s, w: s.stub.GetBalance(pb.GetBalanceRequest(wallet_id=w)),
    "ListTransactions": lambda s, w: s.stub.ListTransactions(
        pb.ListTransactionsRequest(wallet_id=w)
    ),
    "Deposit": lambda s, w: s.deposit(w, 1),
    "Withdraw": lambda s, w: s.withdraw(w, 1),
    "FreezeWallet": lambda s, w: s.freeze(w),
    "UnfreezeWallet": lambda s, w: s.unfreeze(w),
    "CloseWallet": lambda s, w: s.close(w),
}


@pytest.mark.parametrize("method", BY_WALLET)
async def test_malformed_wallet_id(suite: Suite, method: str) -> None:
    """Only the canonical text of a UUIDv7 is an id: no upper case, no other version, no system."""
    before = await books.rows_of(suite.urls)
    for text in BAD_IDS:
        assert await failure_of(BY_WALLET[method](suite, text)) == invalid("wallet_id"), text
    assert await books.rows_of(suite.urls) == before


async def test_malformed_ids_of_a_transfer(suite: Suite) -> None:
    """Each side is named by its own field; a transaction's id is checked like a wallet's."""
    wallet = await suite.wallet(10)
    before = await books.rows_of(suite.urls)
    for text in BAD_IDS:
        failures = [
            await failure_of(suite.transfer(text, wallet, 1)),
            await failure_of(suite.transfer(wallet, text, 1)),
            await failure_of(suite.state(text)),
        ]
        expected = ("source_wallet_id", "destination_wallet_id", "transaction_id")
        assert failures == [invalid(field) for field in expected], text
    assert await books.rows_of(suite.urls) == before


@pytest.mark.parametrize("method", BY_WALLET)
@pytest.mark.parametrize("slot", [5, 4000])
async def test_unknown_wallet(suite: Suite, method: str, slot: int) -> None:
    """A well-formed id that nobody has, on either shard, is NOT_FOUND and leaves no trace."""
    nobody = format_id(new_id(slot))
    assert await refused(suite, BY_WALLET[method](suite, nobody)) == not_found(nobody)


@pytest.mark.parametrize("slot", [5, 4000])
async def test_unknown_side_of_a_transfer(suite: Suite, slot: int) -> None:
    """An unknown source or destination, on the same or the other shard, is NOT_FOUND."""
    wallet, nobody = await suite.wallet(10), format_id(new_id(slot))
    assert await refused(suite, suite.transfer(wallet, nobody, 1)) == not_found(nobody)
    assert await refused(suite, suite.transfer(nobody, wallet, 1)) == not_found(nobody)


@pytest.mark.parametrize("slot", [5, 4000])
async def test_unknown_transaction(suite: Suite, slot: int) -> None:
    """An unknown transaction is NOT_FOUND with a reason of its own."""
    nobody = format_id(new_id(slot))
    failure = await refused(suite, suite.state(nobody))
    expected = Failure("NOT_FOUND", "TRANSACTION_NOT_FOUND", {"transaction_id": nobody})
    assert failure == expected


async def test_same_source_and_destination(suite: Suite) -> None:
    """A transfer needs two ends."""
    wallet = await suite.wallet(10)
    failure = await refused(suite, suite.transfer(wallet, wallet, 1))
    assert failure == invalid("destination_wallet_id")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"account_id": ""}, "account_id"),
        ({"account_id": "a" * 65}, "account_id"),
        ({"account_id": "a b"}, "account_id"),
        ({"account_id": "ä"}, "account_id"),
        ({"account_id": "a\n"}, "account_id"),
        ({"account_id": "a'--"}, "account_id"),
        ({"currency_code": ""}, "currency_code"),
        ({"currency_code": "eur"}, "currency_code"),
        ({"currency_code": "ABC"}, "currency_code"),
        ({"currency_code": "XXX"}, "currency_code"),
        ({"metadata": {"k": "v" * 4096}}, "metadata"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "k" * 129}, "idempotency_key"),
    ],
)
async def test_t16_bad_creations(suite: Suite, fields: dict[str, Any], field: str) -> None:
    """An unknown currency, and every other bad field, is refused when the wallet is created."""
    good = {"account_id": "a", "currency_code": "EUR", "idempotency_key": "k"}
    call = suite.stub.CreateWallet(pb.CreateWalletRequest(**{**good, **fields}))
    assert await refused(suite, call) == invalid(field)


@pytest.mark.parametrize("key", ["", "k" * 129, "ключ"])
async def test_bad_keys_of_status_changes(suite: Suite, key: str) -> None:
    """Freezing, unfreezing and closing take a key like everything that changes something."""
    wallet = await suite.wallet()
    changes: list[tuple[Any, Any]] = [
        (suite.stub.FreezeWallet, pb.FreezeWalletRequest),
        (suite.stub.UnfreezeWallet, pb.UnfreezeWalletRequest),
        (suite.stub.CloseWallet, pb.CloseWalletRequest),
    ]
    for method, request in changes:
        call = method(request(wallet_id=wallet, idempotency_key=key))
        assert await refused(suite, call) == invalid("idempotency_key")


@pytest.mark.parametrize("count", [0, 1001])
async def test_batch_of_none_or_too_many(suite: Suite, count: int) -> None:
    """A batch holds 1 to 1,000 transfers; beyond that not one of them is made."""
    one, other = await suite.wallet(2000), await suite.wallet()
    transfers = [suite.transfer_request(one, other, 1) for _ in range(count)]
    call = suite.stub.BatchTransfer(pb.BatchTransferRequest(transfers=transfers))
    assert await refused(suite, call) == invalid("transfers")

    async def stream() -> None:
        request = pb.StreamTransfersRequest(batch_id=1, transfers=transfers)
        async for reply in suite.stub.StreamTransfers(iter([request])):
            pytest.fail(f"answered: {reply}")

    assert await refused(suite, stream()) == invalid("transfers")


async def test_bad_transfer_in_a_batch_fails_alone(suite: Suite) -> None:
    """What is malformed is an error at its place; its neighbours are made."""
    one, other = await suite.wallet(10), await suite.wallet()
    transfers = [
        suite.transfer_request(one, other, 1),
        suite.transfer_request(one, other, 0),
        suite.transfer_request("x", other, 1),
        suite.transfer_request(one, other, 2, idempotency_key=""),
        suite.transfer_request(one, other, 2),
    ]
    reply = await suite.stub.BatchTransfer(pb.BatchTransferRequest(transfers=transfers))
    kinds = [result.WhichOneof("result") for result in reply.results]
    assert kinds == ["response", "error", "error", "error", "response"]
    assert [of_result(result) for result in reply.results[1:4]] == [
        invalid("amount.amount_minor"),
        invalid("source_wallet_id"),
        invalid("idempotency_key"),
    ]
    assert await suite.posted(one) == 7


@pytest.mark.parametrize("size", [-1, 1001, 2**31 - 1])
async def test_bad_page_size(suite: Suite, size: int) -> None:
    """A page has at most 1,000 rows, in every list."""
    wallet = await suite.wallet()
    wallets = suite.stub.ListWallets(pb.ListWalletsRequest(account_id="a", page_size=size))
    assert await failure_of(wallets) == invalid("page_size")
    history = pb.ListTransactionsRequest(wallet_id=wallet, page_size=size)
    assert await failure_of(suite.stub.ListTransactions(history)) == invalid("page_size")


async def test_page_token_of_another_query(suite: Suite) -> None:
    """A token works only for the query it came from, and only unchanged."""
    account, other = suite.account(0), suite.account(0)
    for _ in range(3):
        await suite.wallet_in(account)
    first = await suite.stub.ListWallets(pb.ListWalletsRequest(account_id=account, page_size=1))
    token = first.next_page_token
    assert token
    bad = [
        "garbage",
        token[:-4],
        token + "!",
        token + "AAAA",
        token.swapcase(),
        "é",
        "=",
        token * 2,
    ]
    for account_id, page_token in [(other, token), *[(account, text) for text in bad]]:
        request = pb.ListWalletsRequest(account_id=account_id, page_token=page_token)
        failure = await failure_of(suite.stub.ListWallets(request))
        assert failure == invalid("page_token"), page_token


async def test_ledger_down_is_said(suite: Suite) -> None:
    """Lists of transactions come from the ledger; without it they are UNAVAILABLE, by name."""
    wallet = await suite.wallet()
    call = suite.stub.ListTransactions(pb.ListTransactionsRequest(wallet_id=wallet))
    assert await failure_of(call) == Failure("UNAVAILABLE", "LEDGER_UNAVAILABLE", {})
