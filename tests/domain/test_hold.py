"""Holds: what is reserved, incremented, extended, voided, expires; and what refuses it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.domain.commands_for_tests import (
    HERE,
    NOW_US,
    THERE,
    authorize,
    balance,
    expire,
    extend,
    increment,
    make_batch,
    make_id,
    void,
    withdrawal,
)
from wallet.domain.batch import Batch, Counterparty, NoCounterparty
from wallet.domain.bound import Bound
from wallet.domain.commands import Command, Limits
from wallet.domain.decide import decide
from wallet.domain.hold import DEFAULT_SPAN_US, MAX_SPAN_US
from wallet.domain.kinds import LIMITED, AccountFreeze, HoldChangeKind, HoldState, WalletStatus
from wallet.domain.outcome import BalanceAfter, Expired, Hold, HoldSet, Posted
from walletkit.errors import ServiceError
from walletkit.ids import format_id
from walletkit.money import MAX_AMOUNT_MINOR

W, B, FAR = make_id(HERE, 1), make_id(HERE, 2), make_id(THERE, 3)
LATER_US = NOW_US + 1000


def batch_with(posted: int = 100, **columns: Any) -> Batch:  # noqa: ANN401  # a balance's
    """Make a batch with the wallet W, and B beside it."""
    return make_batch({W: balance(posted, **columns), B: balance(0)})


def held(batch: Batch, amount: int = 30, **fields: Any) -> Hold:  # noqa: ANN401
    """Authorize, which must succeed."""
    outcome = decide(batch, authorize(W, amount, **{"key": "hold", **fields}))
    assert isinstance(outcome, HoldSet), outcome
    return outcome.hold


def done(batch: Batch, command: Command) -> HoldSet:
    """Decide a command that must succeed."""
    outcome = decide(batch, command)
    assert isinstance(outcome, HoldSet), outcome
    return outcome


def declined(batch: Batch, command: Command) -> ServiceError:
    """Decide a command that must be declined."""
    outcome = decide(batch, command)
    assert isinstance(outcome, ServiceError), outcome
    return outcome


def test_authorize_reserves() -> None:
    """What is available falls, what is posted does not; the wallet has a new version."""
    batch = batch_with(100, version=4)
    outcome = done(batch, command := authorize(W, 30, destination=B))
    assert outcome.after == BalanceAfter(100, 30, 0, 5)
    assert outcome.after.available == 70
    assert outcome.hold == Hold(
        command.ref,
        W,
        "EUR",
        B,
        HoldState.AUTHORIZED,
        authorized=30,
        captured=0,
        released=0,
        expire_time_us=NOW_US + DEFAULT_SPAN_US,
        create_time_us=NOW_US,
        reference=b"ref",
        opaque=b"{}",
    )
    changes = batch.changes
    assert (changes.holds, changes.new_holds) == ({command.ref: outcome.hold}, {command.ref})
    (change,) = changes.hold_changes
    assert change == (HoldChangeKind.AUTHORIZED, outcome.hold, 5, 30, b"")
    assert set(changes.touched) == {W}


def test_what_is_reserved_is_not_spent() -> None:
    """A hold takes all that is available, and neither a hold nor a debit takes it again."""
    batch = batch_with(100)
    held(batch, 100)
    shown = {"wallet_id": format_id(W), "available": "0", "required": "1"}
    for command in (authorize(W, 1, key="2"), withdrawal(W, 1, key="3")):
        refusal = declined(batch, command)
        assert (refusal.reason, refusal.metadata) == ("INSUFFICIENT_FUNDS", shown)


@pytest.mark.parametrize(
    ("asked_us", "kept_us"),
    [
        (0, NOW_US + DEFAULT_SPAN_US),
        (NOW_US + 1, NOW_US + 1),
        (NOW_US + MAX_SPAN_US, NOW_US + MAX_SPAN_US),
        (NOW_US, None),
        (NOW_US - 1, None),
        (1, None),
        (NOW_US + MAX_SPAN_US + 1, None),
    ],
)
def test_expire_time_is_ahead_and_bounded(asked_us: int, kept_us: int | None) -> None:
    """It must lie ahead by at most 366 days; without one a hold lasts for seven."""
    batch = batch_with()
    outcome = decide(batch, authorize(W, expire_time_us=asked_us))
    if kept_us is None:
        assert isinstance(outcome, ServiceError)
        assert (outcome.reason, outcome.code) == ("HOLD_EXPIRE_TIME", "FAILED_PRECONDITION")
        assert batch.balances[W].held == 0
    else:
        assert isinstance(outcome, HoldSet)
        assert outcome.hold.expire_time_us == kept_us


def test_increment_reserves_more() -> None:
    """The hold grows by the amount, and what is available falls by it."""
    batch = batch_with(100)
    hold = held(batch, 30)
    outcome = done(batch, increment(hold.hold_id, W, 70))
    assert outcome.hold == hold._replace(authorized=100)
    assert outcome.after == BalanceAfter(100, 100, 0, 3)
    assert declined(batch, increment(hold.hold_id, W, 1, key="2")).reason == "INSUFFICIENT_FUNDS"
    kinds = [change.kind for change in batch.changes.hold_changes]
    assert kinds == [HoldChangeKind.AUTHORIZED, HoldChangeKind.INCREMENTED]


def test_all_of_a_hold_fits_one_capture() -> None:
    """Increments end at the largest amount: without an amount, a capture takes all of it."""
    batch = batch_with(100)
    hold = held(batch, 30)
    most = MAX_AMOUNT_MINOR
    batch.holds[hold.hold_id] = hold._replace(authorized=most - 5, captured=most - 35)
    assert declined(batch, increment(hold.hold_id, W, 6)).reason == "BALANCE_OVERFLOW"
    assert done(batch, increment(hold.hold_id, W, 5, key="2")).hold.authorized == most


def test_extend_moves_the_end() -> None:
    """The hold ends later; the wallet has a new version, and nothing else changes."""
    batch = batch_with(100, version=1)
    hold = held(batch, 30)
    until_us = hold.expire_time_us + 1
    outcome = done(batch, extend(hold.hold_id, W, until_us))
    assert outcome.hold == hold._replace(expire_time_us=until_us)
    assert outcome.after == BalanceAfter(100, 30, 0, 3)
    assert batch.changes.hold_changes[-1][:4] == (HoldChangeKind.EXTENDED, outcome.hold, 3, 30)


@pytest.mark.parametrize("offset_us", [-1, 0])
def test_extend_goes_forward_only(offset_us: int) -> None:
    """The new end must be later than the present one."""
    batch = batch_with()
    hold = held(batch)
    refusal = declined(batch, extend(hold.hold_id, W, hold.expire_time_us + offset_us))
    assert refusal.reason == "HOLD_EXPIRE_TIME"


def test_extend_is_bounded_from_now() -> None:
    """However often it is extended, a hold ends within 366 days."""
    batch = batch_with()
    hold = held(batch)
    far_us = NOW_US + MAX_SPAN_US
    assert declined(batch, extend(hold.hold_id, W, far_us + 1)).reason == "HOLD_EXPIRE_TIME"
    assert done(batch, extend(hold.hold_id, W, far_us, key="2")).hold.expire_time_us == far_us


def test_void_releases() -> None:
    """What was reserved is available again, and the hold has ended."""
    batch = batch_with(100)
    hold = held(batch, 30)
    outcome = done(batch, command := void(hold.hold_id, W))
    assert outcome.hold == hold._replace(state=HoldState.VOIDED, released=30)
    assert outcome.after == BalanceAfter(100, 0, 0, 3)
    again = done(batch, command._replace(ref=make_id(HERE)))
    assert again == outcome._replace(replayed=True)
    assert declined(batch, void(hold.hold_id, W, key="2")).reason == "HOLD_VOIDED"


def test_expiry_releases_once() -> None:
    """It does nothing before its time, all at its time, and nothing again; it has no key."""
    batch = batch_with(100)
    hold = held(batch, 30, expire_time_us=LATER_US)
    sweep = expire(hold.hold_id, W)
    batch.now_us = LATER_US - 1
    assert decide(batch, sweep) == Expired()
    assert batch.balances[W].held == 30
    keys = len(batch.changes.keys)
    batch.now_us = LATER_US
    assert [decide(batch, sweep), decide(batch, sweep)] == [Expired(), Expired()]
    assert batch.balances[W].after() == BalanceAfter(100, 0, 0, 3)
    assert batch.holds[hold.hold_id] == hold._replace(state=HoldState.EXPIRED, released=30)
    assert len(batch.changes.keys) == keys
    assert [change.kind for change in batch.changes.hold_changes][1:] == [HoldChangeKind.EXPIRED]


def test_expiry_of_nothing_is_nothing() -> None:
    """A hold that is not there, or has ended otherwise, is left alone."""
    batch = batch_with(100)
    assert decide(batch, expire(make_id(HERE), W)) == Expired()
    assert not batch.changes.any()
    hold = held(batch, 30, expire_time_us=LATER_US)
    done(batch, void(hold.hold_id, W))
    batch.now_us = LATER_US
    before = batch.balances[W].after()
    decide(batch, expire(hold.hold_id, W))
    assert batch.balances[W].after() == before
    assert batch.holds[hold.hold_id].state == HoldState.VOIDED


@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.parametrize("offset_us", [0, 1])
@pytest.mark.parametrize(
    "late",
    [
        lambda hold_id: increment(hold_id, W, 1),
        lambda hold_id: extend(hold_id, W, LATER_US + 100),
        lambda hold_id: void(hold_id, W),
    ],
)
def test_hold_is_over_at_its_time(
    late: Callable[[bytes], Command], offset_us: int, *, swept: bool
) -> None:
    """From the expire time on every command finds it expired, swept or not."""
    batch = batch_with(100)
    hold = held(batch, 30, expire_time_us=LATER_US)
    batch.now_us = LATER_US + offset_us
    if swept:
        decide(batch, expire(hold.hold_id, W))
    refusal = declined(batch, late(hold.hold_id))
    assert (refusal.reason, refusal.code) == ("HOLD_EXPIRED", "FAILED_PRECONDITION")
    assert refusal.metadata == {"hold_id": format_id(hold.hold_id)}


def test_last_microsecond_still_counts() -> None:
    """Right before its expire time a hold is open."""
    batch = batch_with(100)
    hold = held(batch, 30, expire_time_us=LATER_US)
    batch.now_us = LATER_US - 1
    assert done(batch, void(hold.hold_id, W)).hold.state == HoldState.VOIDED


STATUSES = [
    ({"status": WalletStatus.FROZEN}, 0, "WALLET_FROZEN"),
    ({"status": WalletStatus.DEBITS_FROZEN}, 0, "WALLET_FROZEN"),
    ({}, AccountFreeze.DEBITS, "ACCOUNT_FROZEN"),
    ({}, AccountFreeze.ALL, "ACCOUNT_FROZEN"),
]


@pytest.mark.parametrize(("columns", "flags", "reason"), STATUSES)
def test_frozen_wallet_reserves_nothing_and_releases_all(
    columns: dict[str, Any], flags: int, reason: str
) -> None:
    """Frozen, it takes no hold and no increment; holds are extended, voided and expire as ever."""
    batch = batch_with(100)
    holds = [held(batch, 10, key=str(n), expire_time_us=LATER_US) for n in range(2)]
    batch.balances[W].status = columns.get("status", WalletStatus.ACTIVE)
    batch.balances[W].flags = flags
    assert declined(batch, authorize(W)).reason == reason
    assert declined(batch, increment(holds[0].hold_id, W, 1, key="i")).reason == reason
    done(batch, extend(holds[0].hold_id, W, LATER_US + 1, key="e"))
    done(batch, void(holds[0].hold_id, W, key="v"))
    batch.now_us = LATER_US
    decide(batch, expire(holds[1].hold_id, W))
    assert batch.balances[W].held == 0


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (NoCounterparty.UNKNOWN, "WALLET_NOT_FOUND"),
        (NoCounterparty.UNREACHABLE, "SHARD_UNAVAILABLE"),
        (Counterparty("EUR", WalletStatus.CLOSED), "WALLET_CLOSED"),
        (Counterparty("EUR", WalletStatus.ACTIVE, AccountFreeze.ALL), "ACCOUNT_FROZEN"),
        (Counterparty("USD", WalletStatus.ACTIVE), "CURRENCY_MISMATCH"),
        (Counterparty("EUR", WalletStatus.DEBITS_FROZEN), None),
        (Counterparty("EUR", WalletStatus.ACTIVE, AccountFreeze.DEBITS), None),
    ],
)
def test_destination_on_another_shard_is_looked_at(
    found: Counterparty | NoCounterparty, reason: str | None
) -> None:
    """A destination that could not be paid refuses the hold; one frozen for debits can be."""
    batch = batch_with()
    batch.counterparties[FAR] = found
    outcome = decide(batch, authorize(W, destination=FAR))
    assert getattr(outcome, "reason", None) == reason


def test_limits_bind_the_whole_hold() -> None:
    """The cap bounds a hold with its increments; holds count as debits that were begun."""
    batch = batch_with(100)
    batch.balances[W].flags = LIMITED
    batch.bounds[W] = Bound(W, HERE, Limits(max_transaction=40), 0)
    assert declined(batch, authorize(W, 41)).reason == "TRANSACTION_LIMIT"
    hold = held(batch, 30)
    assert batch.changes.bounds[W].usage[0].begun == 1  # type: ignore[union-attr]
    assert declined(batch, increment(hold.hold_id, W, 11, key="1")).reason == "TRANSACTION_LIMIT"
    done(batch, increment(hold.hold_id, W, 10, key="2"))
    assert batch.bounds[W].usage[0].begun == 1


@pytest.mark.parametrize("other", [B, make_id(HERE, 9)])
def test_hold_of_another_wallet_is_not_found(other: bytes) -> None:
    """A hold is found with its wallet alone, and what is not found is not kept."""
    batch = batch_with()
    hold = held(batch)
    keys = len(batch.changes.keys)
    for command in (
        increment(hold.hold_id, other),
        extend(hold.hold_id, other, LATER_US),
        void(hold.hold_id, other),
        void(make_id(HERE), W),
    ):
        refusal = declined(batch, command)
        assert (refusal.reason, refusal.code) == ("HOLD_NOT_FOUND", "NOT_FOUND")
    assert len(batch.changes.keys) == keys


def test_debit_leaves_holds_alone() -> None:
    """What is not reserved can be spent to the last unit."""
    batch = batch_with(100)
    held(batch, 30)
    assert isinstance(decide(batch, withdrawal(W, 70)), Posted)
    assert batch.balances[W].after() == BalanceAfter(30, 30, 0, 3)
