"""Captures: all or part of a hold, several, final, beyond it, and races for what is left."""

from itertools import permutations
from typing import Any

import pytest

from tests.domain.commands_for_tests import (
    HERE,
    NOW_US,
    THERE,
    authorize,
    balance,
    capture,
    expire,
    extend,
    increment,
    make_batch,
    make_id,
    void,
)
from wallet.domain.batch import Balance, Batch, Counterparty
from wallet.domain.bound import Bound
from wallet.domain.commands import CaptureHold, Command, Intent, Limits
from wallet.domain.decide import decide
from wallet.domain.kinds import (
    LIMITED,
    HoldChangeKind,
    HoldState,
    TransactionState,
    TransactionType,
    WalletStatus,
)
from wallet.domain.outcome import BalanceAfter, Expired, Hold, HoldSet, Posted
from walletkit.errors import ServiceError
from walletkit.ids import NIL, SystemKind, format_id

W, B, FAR = make_id(HERE, 1), make_id(HERE, 2), make_id(THERE, 3)
LATER_US = NOW_US + 1000


def held(amount: int = 30, *, destination: bytes = NIL, posted: int = 100) -> tuple[Batch, Hold]:
    """Make a batch in which W, at version 2, has a hold."""
    batch = make_batch({W: balance(posted), B: balance(0)})
    batch.counterparties[FAR] = Counterparty("EUR", WalletStatus.ACTIVE)
    command = authorize(W, amount, destination=destination, expire_time_us=LATER_US, key="hold")
    outcome = decide(batch, command)
    assert isinstance(outcome, HoldSet)
    return batch, outcome.hold


def allow_more(batch: Batch, percent: int) -> None:
    """Let W be captured beyond its holds."""
    batch.balances[W].flags = LIMITED
    batch.bounds[W] = Bound(W, HERE, Limits(over_capture_percent=percent), 0)


def captured(batch: Batch, command: CaptureHold) -> Posted:
    """Decide a capture that must succeed."""
    outcome = decide(batch, command)
    assert isinstance(outcome, Posted), outcome
    return outcome


def declined(batch: Batch, command: Command) -> ServiceError:
    """Decide a command that must be declined."""
    outcome = decide(batch, command)
    assert isinstance(outcome, ServiceError), outcome
    return outcome


def test_capture_of_all_ends_the_hold() -> None:
    """The hold shrinks at one version, the money moves at the next; the hold has ended."""
    batch, hold = held(30, destination=B)
    outcome = captured(batch, command := capture(hold.hold_id, W, destination=B))
    assert outcome.hold == hold._replace(state=HoldState.CAPTURED, captured=30)
    assert outcome.source_after == BalanceAfter(70, 0, 0, 4)
    assert outcome.destination_after == BalanceAfter(30, 0, 0, 2)
    assert (outcome.state, outcome.command.amount) == (TransactionState.COMPLETED, 30)
    told = outcome.command
    assert (told.type, told.parent, told.family) == (TransactionType.CAPTURE, *[hold.hold_id] * 2)
    (new,) = batch.changes.transactions
    assert new.command == told
    assert new.postings == ((W, B, "EUR", 30, 70, 4, 30, 2),)
    change = batch.changes.hold_changes[-1]
    assert change == (HoldChangeKind.CAPTURED, outcome.hold, 3, 0, command.ref)


def test_captures_in_parts() -> None:
    """Each part leaves the rest reserved; the one that takes the last unit ends the hold."""
    batch, hold = held(30)
    first = captured(batch, capture(hold.hold_id, W, 10, key="1"))
    assert first.hold == hold._replace(captured=10)
    assert first.source_after == BalanceAfter(90, 20, 0, 4)
    last = captured(batch, capture(hold.hold_id, W, 20, key="2"))
    assert last.hold == hold._replace(captured=30, state=HoldState.CAPTURED)
    assert batch.changes.system == {(SystemKind.WORLD, "EUR"): 30}
    refusal = declined(batch, capture(hold.hold_id, W, 1, key="3"))
    assert refusal.reason == "HOLD_CAPTURED"


def test_final_capture_releases_the_rest() -> None:
    """What is left is available again, and nothing more can be captured."""
    batch, hold = held(30)
    outcome = captured(batch, capture(hold.hold_id, W, 10, final=True, key="1"))
    assert outcome.hold == hold._replace(captured=10, released=20, state=HoldState.CAPTURED)
    assert outcome.source_after == BalanceAfter(90, 0, 0, 4)
    for late in (
        capture(hold.hold_id, W, 1, key="2"),
        increment(hold.hold_id, W, 1, key="3"),
        extend(hold.hold_id, W, LATER_US + 1, key="4"),
        void(hold.hold_id, W, key="5"),
    ):
        assert declined(batch, late).reason == "HOLD_CAPTURED"


def test_void_releases_what_was_not_captured() -> None:
    """A void after a capture gives back the rest alone."""
    batch, hold = held(30)
    captured(batch, capture(hold.hold_id, W, 10, key="1"))
    outcome = decide(batch, void(hold.hold_id, W, key="2"))
    assert isinstance(outcome, HoldSet)
    assert outcome.hold == hold._replace(captured=10, released=20, state=HoldState.VOIDED)
    assert declined(batch, capture(hold.hold_id, W, 1, key="3")).reason == "HOLD_VOIDED"


def test_capture_to_another_shard_opens_an_intent() -> None:
    """The debit is final here, the credit is on its way."""
    batch, hold = held(30)
    outcome = captured(batch, command := capture(hold.hold_id, W, 10, destination=FAR))
    assert outcome.state == TransactionState.PROCESSING
    (new,) = batch.changes.transactions
    assert new.intents == (Intent(command.ref, 0, W, FAR, "EUR", 10),)
    assert batch.changes.system == {(SystemKind.TRANSIT, "EUR"): 10}


@pytest.mark.parametrize("asked", [NIL, B])
def test_hold_with_a_destination_is_captured_there_alone(asked: bytes) -> None:
    """Where the hold says whom it is for, nobody else is paid."""
    batch, hold = held(30, destination=FAR)
    refusal = declined(batch, capture(hold.hold_id, W, destination=asked))
    shown = {"hold_id": format_id(hold.hold_id), "destination_wallet_id": format_id(FAR)}
    assert (refusal.reason, refusal.metadata) == ("HOLD_DESTINATION_MISMATCH", shown)
    captured(batch, capture(hold.hold_id, W, destination=FAR, key="2"))


@pytest.mark.parametrize(
    ("percent", "amount", "allowed"),
    [(None, 101, False), (0, 101, False), (15, 115, True), (15, 116, False), (100, 200, True)],
)
def test_capture_beyond_the_hold_needs_a_limit(
    percent: int | None, amount: int, *, allowed: bool
) -> None:
    """A wallet may allow so many percent more than was authorized; by itself it allows none."""
    batch, hold = held(100, posted=500)
    if percent is not None:
        allow_more(batch, percent)
    command = capture(hold.hold_id, W, amount, key="1")
    if not allowed:
        refusal = declined(batch, command)
        assert (refusal.reason, refusal.code) == ("HOLD_OVER_CAPTURE", "FAILED_PRECONDITION")
        assert batch.balances[W].held == 100
        return
    outcome = captured(batch, command)
    assert outcome.hold == hold._replace(
        state=HoldState.CAPTURED, authorized=amount, captured=amount
    )
    assert outcome.source_after == BalanceAfter(500 - amount, 0, 0, 5)
    changes = [(c.kind, c.wallet_version, c.held_after) for c in batch.changes.hold_changes[1:]]
    assert changes == [
        (HoldChangeKind.INCREMENTED, 3, amount),
        (HoldChangeKind.CAPTURED, 4, 0),
    ]


def test_parts_together_are_bound_by_what_was_authorized() -> None:
    """The last part may go beyond by what the percentage of the whole hold allows."""
    batch, hold = held(100, posted=500)
    allow_more(batch, 10)
    captured(batch, capture(hold.hold_id, W, 60, key="1"))
    assert declined(batch, capture(hold.hold_id, W, 51, key="2")).reason == "HOLD_OVER_CAPTURE"
    outcome = captured(batch, capture(hold.hold_id, W, 50, key="3"))
    assert outcome.hold == hold._replace(state=HoldState.CAPTURED, authorized=110, captured=110)


def test_excess_must_be_available() -> None:
    """What goes beyond the hold is new money: it must be there."""
    batch, hold = held(100, posted=109)
    allow_more(batch, 10)
    refusal = declined(batch, capture(hold.hold_id, W, 110, key="1"))
    shown = {"wallet_id": format_id(W), "available": "9", "required": "10"}
    assert (refusal.reason, refusal.metadata) == ("INSUFFICIENT_FUNDS", shown)
    captured(batch, capture(hold.hold_id, W, 109, key="2"))


@pytest.mark.parametrize("status", [WalletStatus.FROZEN, WalletStatus.DEBITS_FROZEN])
def test_frozen_wallet_is_not_captured(status: WalletStatus) -> None:
    """A freeze stops captures of holds made before it."""
    batch, hold = held(30)
    batch.balances[W].status = status
    assert declined(batch, capture(hold.hold_id, W)).reason == "WALLET_FROZEN"


def test_captured_debits_are_not_begun_again() -> None:
    """A hold was counted when it was made, so its captures are not."""
    batch = make_batch({W: balance(100)})
    batch.balances[W].flags = LIMITED
    batch.bounds[W] = Bound(W, HERE, Limits(), 0)
    outcome = decide(batch, authorize(W, 30, key="hold"))
    assert isinstance(outcome, HoldSet)
    captured(batch, capture(outcome.hold.hold_id, W, 10))
    day = batch.bounds[W].usage[1]
    assert (day.begun, day.debits) == (1, 10)


def racers(hold_id: bytes) -> dict[str, Command]:
    """Make commands that all want what the hold reserves."""
    return {
        "capture": capture(hold_id, W, key="c"),
        "void": void(hold_id, W, key="v"),
        "expire": expire(hold_id, W),
    }


@pytest.mark.parametrize("order", list(permutations(["capture", "void", "expire"])))
@pytest.mark.parametrize("due", [False, True])
def test_races_for_a_hold_have_one_winner(order: tuple[str, ...], *, due: bool) -> None:
    """Whatever order they come in, the money is captured or released, once."""
    batch, hold = held(30)
    batch.now_us = LATER_US if due else LATER_US - 1
    commands = racers(hold.hold_id)
    outcomes: dict[str, Any] = {name: decide(batch, commands[name]) for name in order}
    winner = "expire" if due else next(name for name in order if name != "expire")
    reason = {"capture": "HOLD_CAPTURED", "void": "HOLD_VOIDED", "expire": "HOLD_EXPIRED"}[winner]
    assert outcomes.pop("expire") == Expired()
    for name, outcome in outcomes.items():
        assert getattr(outcome, "reason", None) == (None if name == winner else reason)
    end = batch.holds[hold.hold_id]
    assert end.captured + end.released == 30
    assert end.captured == (30 if winner == "capture" else 0)
    wallet: Balance = batch.balances[W]
    assert (wallet.posted, wallet.held) == (100 - end.captured, 0)
    ends = [c.kind.name for c in batch.changes.hold_changes[1:]]
    assert ends == [{"capture": "CAPTURED", "void": "VOIDED", "expire": "EXPIRED"}[winner]]


def test_two_captures_of_all_take_it_once() -> None:
    """Of two calls with different keys one gets the money."""
    batch, hold = held(30)
    captured(batch, capture(hold.hold_id, W, key="1"))
    assert declined(batch, capture(hold.hold_id, W, key="2")).reason == "HOLD_CAPTURED"
    assert batch.balances[W].posted == 70
