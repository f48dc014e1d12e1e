"""validate_only: the outcome that a call would have, and not a trace of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.api import books
from tests.api.failures import declined, failure_of, of_result
from tests.api.suite import TIMEOUT_S, Suite, money, running
from wallet.engine import router

DEAD = "mysql://root@127.0.0.1:1/nothing"

Calls = list[tuple[str, dict[str, Any]]]


async def calls_of(suite: Suite) -> Calls:
    """Return every mutating call, each such that it would succeed."""
    one, far = await suite.wallet(100), await suite.wallet(shard=1)
    empty, frozen = await suite.wallet(), await suite.wallet()
    account, stopped = suite.account(0), suite.account(0)
    await suite.wallet_in(account)
    await suite.wallet_in(stopped)
    await suite.freeze(frozen)
    await suite.do("FreezeAccount", account_id=stopped)
    hold = (await suite.authorize(one, 10)).hold_id
    made = (await suite.transfer(one, empty, 1)).transaction.transaction_id
    await suite.withdraw(empty, 1)
    await suite.deposit(empty, 1)
    later = {"seconds": 2**31}
    pay = {"source_wallet_id": one, "destination_wallet_id": far, "amount": money(1)}
    amount = {"amount": money(1)}
    asset = {"currency_code": f"X{suite.key().upper().replace('-', '')[:10]}", "exponent": 3}
    hour = {"window": 1, "basis": 1, "max_count": 3}
    return [
        ("CreateWallet", {"account_id": account, "currency_code": "EUR", "alias": "a"}),
        ("UpdateWallet", {"wallet_id": one, "metadata": {"a": "b"}}),
        ("FreezeWallet", {"wallet_id": one}),
        ("UnfreezeWallet", {"wallet_id": frozen}),
        ("CloseWallet", {"wallet_id": await suite.wallet()}),
        ("FreezeAccount", {"account_id": account}),
        ("UnfreezeAccount", {"account_id": stopped}),
        ("SetWalletLimits", {"wallet_id": one, "limits": {"overdraft_limit_minor": 5}}),
        (
            "SetAccountLimits",
            {"account_id": account, "currency_code": "EUR", "limits": {"velocity": [hour]}},
        ),
        ("RegisterAsset", asset),
        ("Deposit", {"wallet_id": one, **amount}),
        ("Withdraw", {"wallet_id": one, **amount}),
        ("Transfer", pay),
        ("Authorize", {"wallet_id": one, **amount}),
        ("IncrementHold", {"hold_id": hold, **amount}),
        ("CaptureHold", {"hold_id": hold, **amount}),
        ("VoidHold", {"hold_id": hold}),
        ("ReverseTransaction", {"transaction_id": made}),
        ("PostTransaction", {"postings": [pay]}),
        ("ExtendHold", {"hold_id": hold, "expire_time": later}),
    ]


async def test_every_call_can_be_tried(suite: Suite) -> None:
    """Nothing is written by it, and it says what the call then does, but for ids and positions."""
    calls = await calls_of(suite)
    # Its end is too far ahead: the one that is declined.
    assert calls.pop()[0] == "ExtendHold"
    tried = {}
    await books.settled(suite.urls)
    before = await books.rows_of(suite.urls)
    for method, fields in calls:
        tried[method] = await suite.do(method, **fields, validate_only=True)
        assert not tried[method].HasField("position"), method
        assert not tried[method].replayed, method
    assert await books.rows_of(suite.urls) == before
    for method, fields in calls:
        # Each from the same state as when it was tried.
        if method in {"Deposit", "CreateWallet", "RegisterAsset", "UnfreezeWallet"}:
            made = await suite.do(method, **fields)
            assert sums(made) == sums(tried[method]), method


def sums(reply: Any) -> list[object]:  # noqa: ANN401  # any reply
    """Return what a reply says of balances and states."""
    said: list[object] = []
    for name in ("balance", "source_balance"):
        if name in reply.DESCRIPTOR.fields_by_name:
            one = getattr(reply, name)
            said.append((one.posted_minor, one.held_minor, one.available_minor, one.version))
    if "wallet" in reply.DESCRIPTOR.fields_by_name:
        said.append((reply.wallet.status, reply.wallet.alias, reply.wallet.account_id))
    return said


@pytest.mark.parametrize(
    ("method", "place", "name"),
    [
        ("Deposit", "transaction", "transaction_id"),
        ("Withdraw", "transaction", "transaction_id"),
        ("Transfer", "transaction", "transaction_id"),
        ("CaptureHold", "transaction", "transaction_id"),
        ("PostTransaction", "transaction", "transaction_id"),
        ("ReverseTransaction", "transaction", "transaction_id"),
        ("Authorize", "hold", "hold_id"),
        ("CreateWallet", "wallet", "wallet_id"),
    ],
)
async def test_what_is_not_made_has_no_id(suite: Suite, method: str, place: str, name: str) -> None:
    """The id of what would be made is empty; balances are those after it."""
    fields = dict(await calls_of(suite))[method]
    reply = await suite.do(method, **fields, validate_only=True)
    assert getattr(getattr(reply, place), name) == ""


async def test_what_was_made_has_its_id(suite: Suite) -> None:
    """With a key that was used, a trial tells of what is there, by its id."""
    one, other = await suite.wallet(100), await suite.wallet()
    hold = (await suite.authorize(one, 10)).hold_id
    made = (await suite.transfer(one, other, 1)).transaction.transaction_id
    amount = {"amount": money(1)}
    pay = {"source_wallet_id": one, "destination_wallet_id": other, **amount}
    calls: list[tuple[str, str, dict[str, object]]] = [
        ("CreateWallet", "wallet", {"account_id": suite.account(0), "currency_code": "EUR"}),
        ("Authorize", "hold", {"wallet_id": one, **amount}),
        ("Deposit", "transaction", {"wallet_id": one, **amount}),
        ("Withdraw", "transaction", {"wallet_id": one, **amount}),
        ("Transfer", "transaction", pay),
        ("CaptureHold", "transaction", {"hold_id": hold, **amount}),
        ("PostTransaction", "transaction", {"postings": [pay]}),
        ("ReverseTransaction", "transaction", {"transaction_id": made}),
    ]
    for method, place, fields in calls:
        key = suite.key()
        first = await suite.do(method, **fields, idempotency_key=key)
        again = await suite.do(method, **fields, idempotency_key=key, validate_only=True)
        assert again.replayed, method
        assert not again.HasField("position"), method
        assert getattr(again, place) == getattr(first, place), method


@pytest.mark.parametrize("made", [True, False])
async def test_key_twice_in_a_batch(suite: Suite, *, made: bool) -> None:
    """The second replays the first, and has an id only if that was made before."""
    one, other = await suite.wallet(100), await suite.wallet()
    transfer = suite.transfer_request(one, other, 60)
    first = await suite.stub.Transfer(transfer, timeout=TIMEOUT_S) if made else None
    request = pb.BatchTransferRequest(transfers=[transfer, transfer], validate_only=True)
    results = (await suite.stub.BatchTransfer(request, timeout=TIMEOUT_S)).results
    assert [result.response.replayed for result in results] == [made, True]
    expected = first.transaction.transaction_id if first else ""
    assert {result.response.transaction.transaction_id for result in results} == {expected}
    assert {result.response.source_balance.posted_minor for result in results} == {40}


@pytest.mark.parametrize("made", [True, False])
async def test_atomic_batch_whose_key_was_used(suite: Suite, *, made: bool) -> None:
    """Its parts have ids if it was carried out before."""
    one, key = await suite.wallet(100), suite.key()
    commands = [{"withdraw": {"wallet_id": one, "amount": money(1)}}]
    batch = {"commands": commands, "atomic": True, "idempotency_key": key}
    first = await suite.do("BatchExecute", **batch) if made else None
    (tried,) = (await suite.do("BatchExecute", **batch, validate_only=True)).results
    expected = first.results[0].withdraw.transaction.transaction_id if first else ""
    assert (tried.withdraw.replayed, tried.withdraw.transaction.transaction_id) == (made, expected)


async def test_declines_are_told_and_not_kept(suite: Suite) -> None:
    """The rule that would refuse is named; the key stays free."""
    one, other, key = await suite.wallet(10), await suite.wallet(), suite.key()
    short = declined("INSUFFICIENT_FUNDS", wallet_id=one, available=10, required=11)
    call = suite.transfer(one, other, 11, idempotency_key=key, validate_only=True)
    assert await failure_of(call) == short
    await suite.deposit(one, 1)
    assert not (await suite.transfer(one, other, 11, idempotency_key=key)).replayed
    again = await suite.transfer(one, other, 11, idempotency_key=key, validate_only=True)
    assert again.replayed


async def test_flag_is_no_part_of_the_request(suite: Suite) -> None:
    """What was tried is then made with the same key."""
    one, key = await suite.wallet(10), suite.key()
    await suite.withdraw(one, 3, idempotency_key=key, validate_only=True)
    reply = await suite.withdraw(one, 3, idempotency_key=key)
    assert (reply.replayed, reply.balance.posted_minor) == (False, 7)


@pytest.mark.parametrize("all_of_them", [True, False])
async def test_batch_of_transfers(suite: Suite, *, all_of_them: bool) -> None:
    """Tried in order, as if each before it had been made; the batch's flag counts, or each own."""
    one, other, far = await suite.wallet(100), await suite.wallet(), await suite.wallet(shard=1)
    transfers = [
        suite.transfer_request(one, other, 60, validate_only=not all_of_them),
        suite.transfer_request(one, far, 60, validate_only=not all_of_them),
        suite.transfer_request(one, far, 40, validate_only=not all_of_them),
        suite.transfer_request(other, one, 60, validate_only=not all_of_them),
    ]
    before = await books.rows_of(suite.urls)
    request = pb.BatchTransferRequest(transfers=transfers, validate_only=all_of_them)
    results = (await suite.stub.BatchTransfer(request, timeout=TIMEOUT_S)).results
    assert await books.rows_of(suite.urls) == before
    assert of_result(results[1]) == declined(
        "INSUFFICIENT_FUNDS", wallet_id=one, available=40, required=60
    )
    left = [results[n].response.source_balance.posted_minor for n in (0, 2, 3)]
    assert left == [40, 0, 0]
    assert {results[n].response.transaction.transaction_id for n in (0, 2, 3)} == {""}
    assert {results[n].response.position == Position() for n in (0, 2, 3)} == {True}


async def test_stream_with_some_that_are_tried(suite: Suite) -> None:
    """In a message each transfer says for itself whether it is made."""
    one, other = await suite.wallet(100), await suite.wallet()
    transfers = [
        suite.transfer_request(one, other, 1, validate_only=number % 2 == 0) for number in range(10)
    ]

    async def messages() -> AsyncIterator[pb.StreamTransfersRequest]:
        yield pb.StreamTransfersRequest(batch_id=1, transfers=transfers)

    async for reply in suite.stub.StreamTransfers(messages(), timeout=TIMEOUT_S):
        made = [bool(r.response.transaction.transaction_id) for r in reply.results]
        assert made == [False, True] * 5
    assert await suite.posted(other) == 5


@pytest.mark.parametrize("atomic", [True, False])
async def test_batch_of_commands(suite: Suite, *, atomic: bool) -> None:
    """All are tried in order, together or each for itself, and nothing is written."""
    one, other = await suite.wallet(100), await suite.wallet()
    pay = {"source_wallet_id": one, "destination_wallet_id": other, "amount": money(60)}
    key = {} if atomic else {"idempotency_key": suite.key()}
    back = {"wallet_id": other, "amount": money(60), **key}
    commands = [{"transfer": {**pay, **key}}, {"withdraw": back}]
    batch = {} if atomic else {"idempotency_key": ""}
    before = await books.rows_of(suite.urls)
    reply = await suite.do(
        "BatchExecute", commands=commands, atomic=atomic, validate_only=True, **batch
    )
    assert await books.rows_of(suite.urls) == before
    assert reply.results[1].withdraw.balance.posted_minor == 0
    assert reply.results[1].withdraw.transaction.transaction_id == ""
    if atomic:
        commands.append({"transfer": {**pay, "amount": money(41)}})
        failure = await failure_of(
            suite.do("BatchExecute", commands=commands, atomic=True, validate_only=True)
        )
        assert (failure.reason, failure.metadata["failed_index"]) == ("INSUFFICIENT_FUNDS", "2")


async def test_shard_that_is_down(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, holds, originals and trials of a dead shard are UNAVAILABLE, the others are not."""
    one, far = await suite.wallet(100), await suite.wallet(100, shard=1)
    account = suite.account(1)
    hold = (await suite.authorize(far, 1)).hold_id
    made = (await suite.withdraw(far, 1)).transaction.transaction_id
    monkeypatch.setattr(router, "START_WAIT_S", 0.5)
    async with running((suite.urls[0], DEAD)) as half:
        before = await books.rows_of(suite.urls)
        for call in (
            half.deposit(f"alias:{account}/a", 1),
            half.do("GetHold", hold_id=hold),
            half.do("CaptureHold", hold_id=hold),
            half.do("ReverseTransaction", transaction_id=made),
            half.withdraw(far, 1, validate_only=True),
            half.transfer(one, far, 1, validate_only=True),
        ):
            failure = await failure_of(call)
            assert (failure.code, failure.reason) == ("UNAVAILABLE", "SHARD_UNAVAILABLE")
        transfers = [
            half.transfer_request(far, one, 1, validate_only=True),
            half.transfer_request(one, one[:-1] + "x", 1),
            half.transfer_request(far, one, 1),
        ]
        results = (await half.do("BatchTransfer", transfers=transfers)).results
        reasons = [of_result(result).reason for result in results]
        assert reasons == ["SHARD_UNAVAILABLE", "INVALID_FIELD", "SHARD_UNAVAILABLE"]
        assert await books.rows_of(suite.urls) == before
        reply = await half.withdraw(one, 1, validate_only=True)
        assert reply.balance.posted_minor == 99
