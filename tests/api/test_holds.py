"""Holds: what they reserve, how they are captured, voided and ended, and what races for them."""

import asyncio
import time
from typing import Any

import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from guilder.wallet.v1 import resources_pb2 as res
from tests.api import books
from tests.api.failures import (
    KEY_REUSED,
    declined,
    failure_of,
    invalid,
    missing,
    not_found,
    of_error,
)
from tests.api.suite import Suite, money
from walletkit.ids import format_id, new_id, parse_id

AUTHORIZED = res.HOLD_STATE_AUTHORIZED
CAPTURED = res.HOLD_STATE_CAPTURED
VOIDED = res.HOLD_STATE_VOIDED
EXPIRED = res.HOLD_STATE_EXPIRED
WEEK_S = 7 * 86_400
YEAR_S = 366 * 86_400


def seconds_ahead(seconds: float) -> Timestamp:
    """Return the moment that is so many seconds away."""
    nanos = time.time_ns() + int(seconds * 1e9)
    return Timestamp(seconds=nanos // 10**9, nanos=nanos % 10**9 // 1000 * 1000)


def parts(hold: res.Hold) -> tuple[int, int, int, int, int]:
    """Return a hold's state and sums, once they are checked against each other."""
    assert hold.captured_minor + hold.released_minor + hold.open_minor == hold.authorized_minor
    sums = (hold.authorized_minor, hold.captured_minor, hold.released_minor, hold.open_minor)
    return (hold.state, *sums)


async def test_t8_authorize_reserves(suite: Suite) -> None:
    """Available falls, posted does not; the reply has the hold and the balance after it."""
    wallet = await suite.wallet(100)
    reply = await suite.do(
        "Authorize",
        wallet_id=wallet,
        amount=money(30),
        reference="order 7",
        description="d",
        metadata={"k": "v"},
    )
    hold, balance = reply.hold, reply.balance
    assert (balance.posted_minor, balance.held_minor, balance.available_minor) == (100, 30, 70)
    assert balance.version == 3
    assert parts(hold) == (AUTHORIZED, 30, 0, 0, 30)
    assert (hold.wallet_id, hold.destination_wallet_id) == (wallet, "")
    assert (hold.currency_code, hold.exponent, hold.reference) == ("EUR", 2, "order 7")
    assert (hold.description, dict(hold.metadata)) == ("d", {"k": "v"})
    assert abs(hold.expire_time.seconds - hold.create_time.seconds - WEEK_S) <= 1
    assert (await suite.do("GetHold", hold_id=hold.hold_id)).hold == hold
    assert reply.position.seq > 0
    short = declined("INSUFFICIENT_FUNDS", wallet_id=wallet, available=70, required=71)
    assert await failure_of(suite.withdraw(wallet, 71)) == short
    assert await failure_of(suite.authorize(wallet, 71)) == short


async def test_t8_many_holds_never_exceed_what_is_there(suite: Suite) -> None:
    """Of ten holds of the whole balance, raced, one succeeds."""
    wallet = await suite.wallet(100)
    results = await asyncio.gather(
        *[suite.authorize(wallet, 100) for _ in range(10)], return_exceptions=True
    )
    failures = [of_error(one) for one in results if isinstance(one, grpc.aio.AioRpcError)]
    expected = declined("INSUFFICIENT_FUNDS", wallet_id=wallet, available=0, required=100)
    assert failures == [expected] * 9


@pytest.mark.parametrize("there", [0, 1])
async def test_t9_capture_is_linked_and_ends_the_hold(suite: Suite, there: int) -> None:
    """A full capture moves the money, carries the reference on, names its hold, and ends it."""
    wallet, shop = await suite.wallet(100), await suite.wallet(shard=there)
    hold = await suite.authorize(wallet, 30, reference="order 8", destination_wallet_id=shop)
    assert hold.destination_wallet_id == shop
    reply = await suite.do("CaptureHold", hold_id=hold.hold_id)
    made = reply.transaction
    assert (made.type, made.state) == (
        res.TRANSACTION_TYPE_CAPTURE,
        res.TRANSACTION_STATE_COMPLETED,
    )
    assert (made.source_wallet_id, made.destination_wallet_id) == (wallet, shop)
    assert (made.amount.amount_minor, made.reference) == (30, "order 8")
    assert (made.parent_id, made.family_id) == (hold.hold_id, hold.hold_id)
    assert parts(reply.hold) == (CAPTURED, 30, 30, 0, 0)
    balance = reply.balance
    assert (balance.posted_minor, balance.held_minor, balance.version) == (70, 0, 5)
    assert reply.HasField("destination_balance") == (there == 0)
    await books.settled(suite.urls)
    assert await suite.posted(shop) == 30
    found = (await suite.do("GetTransaction", transaction_id=made.transaction_id)).transaction
    assert found == made
    ended = declined("HOLD_CAPTURED", hold_id=hold.hold_id)
    for method in ("CaptureHold", "VoidHold"):
        assert await failure_of(suite.do(method, hold_id=hold.hold_id)) == ended


async def test_partial_captures(suite: Suite) -> None:
    """As often as something is left, each to where it says; the final one releases the rest."""
    wallet, shop = await suite.wallet(100), await suite.wallet()
    hold = await suite.authorize(wallet, 50)
    first = await suite.do("CaptureHold", hold_id=hold.hold_id, amount=money(20))
    assert first.transaction.destination_wallet_id == ""
    assert parts(first.hold) == (AUTHORIZED, 50, 20, 0, 30)
    second = await suite.do(
        "CaptureHold",
        hold_id=hold.hold_id,
        amount=money(10),
        final=True,
        destination_wallet_id=shop,
        reference="own",
    )
    assert parts(second.hold) == (CAPTURED, 50, 30, 20, 0)
    assert second.transaction.reference == "own"
    assert second.destination_balance.posted_minor == 10
    balance = await suite.balance(wallet)
    assert (balance.posted_minor, balance.available_minor) == (70, 70)


async def test_t10_void_works_and_twice_is_the_same_answer(suite: Suite) -> None:
    """A void releases; with its key it is replayed, with another one it is told."""
    wallet, key = await suite.wallet(100), suite.key()
    hold = await suite.authorize(wallet, 60)
    first = await suite.do("VoidHold", hold_id=hold.hold_id, idempotency_key=key)
    again = await suite.do("VoidHold", hold_id=hold.hold_id, idempotency_key=key)
    assert parts(first.hold) == (VOIDED, 60, 0, 60, 0)
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.hold, again.balance) == (first.hold, first.balance)
    assert first.balance.available_minor == 100
    ended = declined("HOLD_VOIDED", hold_id=hold.hold_id)
    assert await failure_of(suite.do("VoidHold", hold_id=hold.hold_id)) == ended
    assert await failure_of(suite.do("CaptureHold", hold_id=hold.hold_id)) == ended
    capture = suite.do("CaptureHold", hold_id=hold.hold_id, idempotency_key=key)
    assert await failure_of(capture) == KEY_REUSED


async def test_increment_and_extend(suite: Suite) -> None:
    """More is reserved where there is more; a hold ends later, never earlier."""
    wallet = await suite.wallet(100)
    hold = await suite.authorize(wallet, 10, expire_time=seconds_ahead(60))
    more = await suite.do("IncrementHold", hold_id=hold.hold_id, amount=money(40))
    assert parts(more.hold) == (AUTHORIZED, 50, 0, 0, 50)
    assert more.balance.available_minor == 50
    short = suite.do("IncrementHold", hold_id=hold.hold_id, amount=money(51))
    assert await failure_of(short) == declined(
        "INSUFFICIENT_FUNDS", wallet_id=wallet, available=50, required=51
    )
    later = seconds_ahead(3600)
    longer = await suite.do("ExtendHold", hold_id=hold.hold_id, expire_time=later)
    assert longer.hold.expire_time == later
    for bad in (seconds_ahead(60), seconds_ahead(YEAR_S + 60)):
        failure = await failure_of(suite.do("ExtendHold", hold_id=hold.hold_id, expire_time=bad))
        assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "HOLD_EXPIRE_TIME")


@pytest.mark.parametrize("seconds", [-1, YEAR_S + 60])
async def test_authorization_that_ends_too_soon_or_too_late(suite: Suite, seconds: int) -> None:
    """A hold ends in the future, and not more than 366 days ahead."""
    wallet = await suite.wallet(100)
    call = suite.authorize(wallet, 1, expire_time=seconds_ahead(seconds))
    assert (await failure_of(call)).reason == "HOLD_EXPIRE_TIME"


async def test_t9_hold_ends_by_itself_once(suite: Suite) -> None:
    """From its end on nothing can be done with it, and what it reserved is there again."""
    wallet = await suite.wallet(100)
    hold = await suite.authorize(wallet, 100, expire_time=seconds_ahead(0.6))
    await asyncio.sleep(0.7)
    ended = declined("HOLD_EXPIRED", hold_id=hold.hold_id)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("CaptureHold", {}),
        ("VoidHold", {}),
        ("IncrementHold", {"amount": money(1)}),
        ("ExtendHold", {"expire_time": seconds_ahead(100)}),
    ]
    for method, more in calls:
        assert await failure_of(suite.do(method, hold_id=hold.hold_id, **more)) == ended
    async with asyncio.timeout(10):
        while (await suite.balance(wallet)).held_minor:  # noqa: ASYNC110  # the sweeper's work
            await asyncio.sleep(0.05)
    found = (await suite.do("GetHold", hold_id=hold.hold_id)).hold
    assert parts(found) == (EXPIRED, 100, 0, 100, 0)
    assert (await suite.withdraw(wallet, 100)).balance.version == 5


async def test_captures_race(suite: Suite) -> None:
    """Of captures and voids that race for the whole of a hold exactly one wins."""
    for _ in range(5):
        wallet = await suite.wallet(100)
        hold = await suite.authorize(wallet, 100)
        results = await asyncio.gather(
            *[suite.do("CaptureHold", hold_id=hold.hold_id) for _ in range(5)],
            *[suite.do("VoidHold", hold_id=hold.hold_id) for _ in range(5)],
            return_exceptions=True,
        )
        failures = {of_error(r).reason for r in results if isinstance(r, grpc.aio.AioRpcError)}
        assert len([r for r in results if not isinstance(r, BaseException)]) == 1
        assert len(failures) == 1
        assert failures <= {"HOLD_CAPTURED", "HOLD_VOIDED"}


async def test_partial_captures_race(suite: Suite) -> None:
    """However many race, not a unit more is captured than was authorized."""
    wallet = await suite.wallet(100)
    hold = await suite.authorize(wallet, 100)
    results = await asyncio.gather(
        *[suite.do("CaptureHold", hold_id=hold.hold_id, amount=money(30)) for _ in range(8)],
        return_exceptions=True,
    )
    assert len([r for r in results if not isinstance(r, BaseException)]) == 3
    reasons = {of_error(r).reason for r in results if isinstance(r, grpc.aio.AioRpcError)}
    assert reasons == {"HOLD_OVER_CAPTURE"}
    assert await suite.posted(wallet) == 10


async def test_over_capture(suite: Suite) -> None:
    """Beyond the hold only as far as the wallet's limits say, and with funds for it."""
    wallet = await suite.wallet(100)
    await suite.do("SetWalletLimits", wallet_id=wallet, limits={"over_capture_percent": 20})
    hold = await suite.authorize(wallet, 50)
    failure = await failure_of(suite.do("CaptureHold", hold_id=hold.hold_id, amount=money(61)))
    assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "HOLD_OVER_CAPTURE")
    reply = await suite.do("CaptureHold", hold_id=hold.hold_id, amount=money(60))
    assert parts(reply.hold) == (CAPTURED, 60, 60, 0, 0)
    assert reply.balance.posted_minor == 40
    poor = await suite.authorize(wallet, 40)
    failure = await failure_of(suite.do("CaptureHold", hold_id=poor.hold_id, amount=money(45)))
    assert failure == declined("INSUFFICIENT_FUNDS", wallet_id=wallet, available=0, required=5)


async def test_capture_to_another_than_the_holds_destination(suite: Suite) -> None:
    """A hold that names who is paid pays nobody else."""
    wallet, shop, other = [await suite.wallet(100) for _ in range(3)]
    hold = await suite.authorize(wallet, 10, destination_wallet_id=shop)
    call = suite.do("CaptureHold", hold_id=hold.hold_id, destination_wallet_id=other)
    assert await failure_of(call) == declined(
        "HOLD_DESTINATION_MISMATCH", hold_id=hold.hold_id, destination_wallet_id=shop
    )
    await suite.do("CaptureHold", hold_id=hold.hold_id, destination_wallet_id=shop)
    assert await suite.posted(shop) == 110


async def test_holds_of_a_frozen_wallet(suite: Suite) -> None:
    """They can't be made or captured; they can be voided."""
    wallet = await suite.wallet(100)
    hold = await suite.authorize(wallet, 10)
    await suite.freeze(wallet)
    frozen = declined("WALLET_FROZEN", wallet_id=wallet)
    assert await failure_of(suite.authorize(wallet, 1)) == frozen
    assert await failure_of(suite.do("CaptureHold", hold_id=hold.hold_id)) == frozen
    assert (await suite.do("VoidHold", hold_id=hold.hold_id)).balance.held_minor == 0


async def test_unknown_hold(suite: Suite) -> None:
    """NOT_FOUND for all that names it, before its key is looked at: the scope is not known."""
    for slot in (5, 4000):
        nobody = format_id(new_id(slot))
        expected = missing("HOLD_NOT_FOUND", hold_id=nobody)
        calls: list[tuple[str, dict[str, Any]]] = [
            ("GetHold", {}),
            ("CaptureHold", {}),
            ("VoidHold", {}),
            ("IncrementHold", {"amount": money(1)}),
            ("ExtendHold", {"expire_time": seconds_ahead(9)}),
        ]
        for method, more in calls:
            assert await failure_of(suite.do(method, hold_id=nobody, **more)) == expected
    unknown = format_id(new_id(9))
    assert await failure_of(suite.authorize(unknown, 1)) == not_found(unknown)
    assert await failure_of(suite.do("ListHolds", wallet_id=unknown)) == not_found(unknown)


async def test_a_hold_is_read_once_for_what_never_changes(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hold that this process made needs no read before it is captured."""
    from wallet.store import queries  # noqa: PLC0415  # only here

    wallet = await suite.wallet(100)
    hold = await suite.authorize(wallet, 10)

    async def never(*_: object) -> None:
        pytest.fail("read")

    monkeypatch.setattr(queries, "hold", never)
    await suite.do("CaptureHold", hold_id=hold.hold_id)


async def test_list_holds(suite: Suite) -> None:
    """Newest first, by pages, and by state; a token belongs to its query."""
    wallet = await suite.wallet(100)
    made = []
    for _ in range(5):
        made.append((await suite.authorize(wallet, 1)).hold_id)
        await asyncio.sleep(0.002)  # ids sort by the millisecond
    await suite.do("VoidHold", hold_id=made[1])
    first = await suite.do("ListHolds", wallet_id=wallet, page_size=2)
    assert [hold.hold_id for hold in first.holds] == [made[4], made[3]]
    token = first.next_page_token
    rest = await suite.do("ListHolds", wallet_id=wallet, page_token=token)
    assert [hold.hold_id for hold in rest.holds] == [made[2], made[1], made[0]]
    assert rest.next_page_token == ""
    voided = await suite.do("ListHolds", wallet_id=wallet, state=VOIDED)
    assert [hold.hold_id for hold in voided.holds] == [made[1]]
    other = suite.do("ListHolds", wallet_id=wallet, state=VOIDED, page_token=token)
    assert await failure_of(other) == invalid("page_token")
    assert await failure_of(suite.do("ListHolds", wallet_id=wallet, state=77)) == invalid("state")


@pytest.mark.parametrize(
    ("method", "fields", "bad"),
    [
        ("Authorize", {"amount": None}, ("amount.amount_minor", "amount.currency_code")),
        ("Authorize", {"destination_wallet_id": "x"}, ("destination_wallet_id",)),
        ("Authorize", {"expire_time": Timestamp(seconds=-1)}, ("expire_time",)),
        ("Authorize", {"reference": "r" * 65}, ("reference",)),
        ("IncrementHold", {"amount": money(0)}, ("amount.amount_minor",)),
        ("ExtendHold", {}, ("expire_time",)),
        ("ExtendHold", {"expire_time": Timestamp(nanos=-1)}, ("expire_time",)),
        ("CaptureHold", {"amount": money(0)}, ("amount.amount_minor",)),
        ("CaptureHold", {"destination_wallet_id": "x"}, ("destination_wallet_id",)),
        ("CaptureHold", {"effective_time": Timestamp(seconds=2**40)}, ("effective_time",)),
        ("VoidHold", {"idempotency_key": ""}, ("idempotency_key",)),
        ("VoidHold", {"expected_version": 0}, ("expected_version",)),
    ],
)
async def test_t13_bad_fields_of_holds(
    suite: Suite, method: str, fields: dict[str, Any], bad: tuple[str, ...]
) -> None:
    """Malformed fields are named, before it is asked whether the hold exists."""
    place = "wallet_id" if method == "Authorize" else "hold_id"
    whole = {place: format_id(new_id(1)), **fields}
    if method == "Authorize":
        whole.setdefault("amount", money(1))
    assert await failure_of(suite.do(method, **whole)) == invalid(*bad)
    assert (await failure_of(suite.do(method, **{**whole, place: "x"}))).fields[0] == place


async def test_capture_of_own_wallet(suite: Suite) -> None:
    """A hold can't pay the wallet that it reserves in."""
    wallet = await suite.wallet(10)
    own = suite.authorize(wallet, 1, destination_wallet_id=wallet)
    assert await failure_of(own) == invalid("destination_wallet_id")
    hold = await suite.authorize(wallet, 1)
    call = suite.do("CaptureHold", hold_id=hold.hold_id, destination_wallet_id=wallet)
    assert await failure_of(call) == invalid("destination_wallet_id")


async def test_capture_whose_credit_could_not_land_comes_back(suite: Suite) -> None:
    """The destination was closed meanwhile: the money is home again, the hold stays captured."""
    wallet, shop = await suite.wallet(100), await suite.wallet(shard=1)
    hold = await suite.authorize(wallet, 10, destination_wallet_id=shop)
    await suite.transfer(wallet, shop, 1)
    close = f"UPDATE balances SET status=3 WHERE wallet_id=x'{parse_id(shop).hex()}'"
    await books.ask(suite.urls[1], close)
    try:
        reply = await suite.do("CaptureHold", hold_id=hold.hold_id)
    except grpc.aio.AioRpcError as error:
        # The last look at the shop was too long ago to be believed.
        if of_error(error) != declined("WALLET_CLOSED", wallet_id=shop):
            raise
        return
    await books.settled(suite.urls)
    state = await suite.state(reply.transaction.transaction_id)
    assert state == res.TRANSACTION_STATE_RETURNED
    assert await suite.posted(wallet) == 99
