"""Reversals: all, part by part, of what has arrived, and never more than there was."""

from collections.abc import Callable

import pytest

from tests.domain.commands_for_tests import (
    HERE,
    THERE,
    authorize,
    balance,
    capture,
    deposit,
    make_batch,
    make_id,
    reverse,
    transfer,
    withdrawal,
)
from wallet.domain.batch import Batch, Counterparty
from wallet.domain.commands import Command, Intent, Reverse, Transfer
from wallet.domain.decide import decide
from wallet.domain.kinds import LegResult, TransactionState, TransactionType, WalletStatus
from wallet.domain.outcome import BalanceAfter, HoldSet, Posted
from walletkit.errors import ServiceError
from walletkit.ids import NIL, SystemKind, format_id
from walletkit.money import MAX_BALANCE_MINOR

A, B, FAR = make_id(HERE, 1), make_id(HERE, 2), make_id(THERE, 3)


def paid(amount: int = 30) -> tuple[Batch, Transfer]:
    """Make a batch in which A has paid B."""
    batch = make_batch({A: balance(100), B: balance(0)})
    batch.counterparties[FAR] = Counterparty("EUR", WalletStatus.ACTIVE)
    command = transfer(A, B, amount, key="pay")
    assert isinstance(decide(batch, command), Posted)
    return batch, command


def done(batch: Batch, command: Command) -> Posted:
    """Decide a command that must succeed."""
    outcome = decide(batch, command)
    assert isinstance(outcome, Posted), outcome
    return outcome


def declined(batch: Batch, command: Command) -> ServiceError:
    """Decide a command that must be declined."""
    outcome = decide(batch, command)
    assert isinstance(outcome, ServiceError), outcome
    return outcome


def test_reversal_of_all_moves_it_back() -> None:
    """What was paid goes back, as a transaction of its own that names the original."""
    batch, original = paid(30)
    outcome = done(batch, command := reverse(original))
    assert outcome.source_after == BalanceAfter(0, 0, 0, 3)
    assert outcome.destination_after == BalanceAfter(100, 0, 0, 3)
    told = outcome.command
    assert (told.ref, told.type, told.amount) == (command.ref, TransactionType.REVERSAL, 30)
    assert (told.parent, told.family) == (original.ref, original.ref)
    assert batch.changes.transactions[-1].command == told
    assert batch.changes.reversed == {original.ref: (HERE, 30)}


def test_parts_come_to_the_whole_and_no_further() -> None:
    """Repeated reversals take what is left, and say how much that is."""
    batch, original = paid(30)
    done(batch, reverse(original, 10, key="1"))
    refusal = declined(batch, reverse(original, 21, key="2"))
    shown = {"transaction_id": format_id(original.ref), "remaining": "20", "required": "21"}
    assert (refusal.reason, refusal.metadata) == ("REVERSAL_EXCEEDS_ORIGINAL", shown)
    assert batch.changes.reversed == {original.ref: (HERE, 10)}
    assert done(batch, reverse(original, key="3")).command.amount == 20
    for amount in (0, 1):
        refusal = declined(batch, reverse(original, amount, key=f"late {amount}"))
        assert (refusal.reason, refusal.code) == ("TRANSACTION_REVERSED", "FAILED_PRECONDITION")
    assert batch.balances[A].posted == 100


def test_what_was_reversed_before_is_found() -> None:
    """A later batch knows how much of the original went back."""
    _, original = paid(30)
    batch = make_batch({A: balance(100), B: balance(30)})
    batch.reversed[original.ref] = 25
    assert done(batch, reverse(original)).command.amount == 5
    assert batch.changes.reversed == {original.ref: (HERE, 30)}


def test_declined_reversal_leaves_all_to_reverse() -> None:
    """If the money is not there, nothing of the original counts as reversed."""
    batch, original = paid(30)
    done(batch, withdrawal(B, 25, key="spend"))
    refusal = declined(batch, reverse(original, key="1"))
    assert (refusal.reason, refusal.metadata["available"]) == ("INSUFFICIENT_FUNDS", "5")
    assert (batch.reversed, batch.changes.reversed) == ({}, {})
    assert done(batch, reverse(original, 5, key="2")).command.amount == 5


def test_credit_line_covers_a_reversal() -> None:
    """A wallet with an overdraft may go below zero to pay back."""
    batch, original = paid(30)
    done(batch, withdrawal(B, 30, key="spend"))
    batch.balances[B].overdraft_limit = 30
    assert done(batch, reverse(original)).source_after == BalanceAfter(-30, 0, 30, 4)


@pytest.mark.parametrize("make", [deposit, withdrawal])
def test_deposits_and_withdrawals_reverse(make: Callable[..., Transfer]) -> None:
    """The other side is `world`, which ends where it began."""
    batch = make_batch({A: balance(100)})
    done(batch, original := make(A, 30, key="first"))
    done(batch, reverse(original))
    assert batch.balances[A].posted == 100
    assert batch.changes.system == {(SystemKind.WORLD, "EUR"): 0}


def test_capture_reverses_within_its_family() -> None:
    """A refund of a captured hold names the capture as its parent, and the hold's family."""
    batch = make_batch({A: balance(100), B: balance(0)})
    outcome = decide(batch, authorize(A, 30, key="hold"))
    assert isinstance(outcome, HoldSet)
    hold_id = outcome.hold.hold_id
    first = done(batch, capture(hold_id, A, destination=B))
    refund = done(batch, reverse(first.command, 10))
    assert (refund.command.parent, refund.command.family) == (first.command.ref, hold_id)
    assert refund.hold is None


def test_reversal_to_another_shard_opens_an_intent() -> None:
    """What came from another shard goes back as a leg, once the first one has landed."""
    batch = make_batch({B: balance(30)})
    batch.counterparties[FAR] = Counterparty("EUR", WalletStatus.ACTIVE)
    original = transfer(FAR, B, 30)
    batch.landed[original.ref, 0] = LegResult.CREDITED
    outcome = done(batch, command := reverse(original, leg=0))
    assert outcome.state == TransactionState.PROCESSING
    (new,) = batch.changes.transactions
    assert new.intents == (Intent(command.ref, 0, B, FAR, "EUR", 30),)
    assert batch.changes.reversed == {original.ref: (HERE, 30)}


@pytest.mark.parametrize(
    ("landed", "reason"),
    [(None, "TRANSACTION_PROCESSING"), (LegResult.RETURNED, "TRANSACTION_RETURNED")],
)
def test_what_has_not_arrived_is_not_reversed(landed: LegResult | None, reason: str) -> None:
    """A credit still on its way, or one that went back by itself, is not this wallet's money."""
    batch = make_batch({B: balance(30)})
    original = transfer(FAR, B, 30)
    if landed is not None:
        batch.landed[original.ref, 0] = landed
    refusal = declined(batch, reverse(original, leg=0))
    assert (refusal.reason, refusal.code) == (reason, "FAILED_PRECONDITION")
    assert refusal.metadata == {"transaction_id": format_id(original.ref)}
    assert batch.balances[B].posted == 30


def test_two_reversals_of_all_pay_once() -> None:
    """Of two calls with different keys one pays back; the same key replays."""
    batch, original = paid(30)
    first = done(batch, command := reverse(original, key="1"))
    assert declined(batch, reverse(original, key="2")).reason == "TRANSACTION_REVERSED"
    again = done(batch, command._replace(ref=make_id(HERE)))
    assert again == first._replace(replayed=True)
    assert batch.balances[A].posted == 100


def _processing(batch: Batch, command: Reverse) -> None:
    del batch.landed[command.original, 0]


def _reversed(batch: Batch, command: Reverse) -> None:
    batch.reversed[command.original] = 30


def _exceeds(batch: Batch, command: Reverse) -> None:
    batch.reversed[command.original] = 21


def _no_source(batch: Batch, _: Reverse) -> None:
    del batch.balances[B]


def _no_destination(batch: Batch, _: Reverse) -> None:
    del batch.balances[A]


def _frozen(batch: Batch, _: Reverse) -> None:
    batch.balances[B].status = WalletStatus.DEBITS_FROZEN


def _closed(batch: Batch, _: Reverse) -> None:
    batch.balances[A].status = WalletStatus.CLOSED


def _currency(batch: Batch, _: Reverse) -> None:
    batch.balances[B].currency = "USD"


def _version(batch: Batch, _: Reverse) -> None:
    batch.balances[B].version = 7


def _full(batch: Batch, _: Reverse) -> None:
    batch.balances[A].posted = MAX_BALANCE_MINOR


def _poor(batch: Batch, _: Reverse) -> None:
    batch.balances[B].posted = 0


ORDER: list[tuple[Callable[[Batch, Reverse], None], str, bytes | None]] = [
    (_processing, "TRANSACTION_PROCESSING", None),
    (_reversed, "TRANSACTION_REVERSED", None),
    (_exceeds, "REVERSAL_EXCEEDS_ORIGINAL", None),
    (_no_source, "WALLET_NOT_FOUND", B),
    (_no_destination, "WALLET_NOT_FOUND", A),
    (_frozen, "WALLET_FROZEN", B),
    (_closed, "WALLET_CLOSED", A),
    (_currency, "CURRENCY_MISMATCH", B),
    (_version, "VERSION_MISMATCH", B),
    (_full, "BALANCE_OVERFLOW", A),
    (_poor, "INSUFFICIENT_FUNDS", B),
]
"""What is wrong, in the order of the checks: the reason for each, and the wallet that is named."""


@pytest.mark.parametrize("first", range(len(ORDER) + 1))
def test_checks_come_in_their_order(first: int) -> None:
    """With everything wrong from one check on, the first of them is the reason."""
    batch = make_batch({A: balance(70), B: balance(30)})
    command = reverse(transfer(A, B, 30), 10, leg=0, version=1)
    batch.landed[command.original, 0] = LegResult.CREDITED
    for spoil, _, _ in reversed(ORDER[first:]):
        spoil(batch, command)
    if first == len(ORDER):
        done(batch, command)
        return
    refusal = declined(batch, command)
    _, reason, named = ORDER[first]
    assert refusal.reason == reason
    assert refusal.metadata.get("wallet_id") == (format_id(named) if named else None)
    assert batch.changes.reversed == {}


def test_reversal_of_a_deposit_takes_it_from_the_wallet() -> None:
    """It pays to the outside, and needs the money to be there."""
    batch = make_batch({A: balance(0)})
    done(batch, original := deposit(A, 30, key="in"))
    outcome = done(batch, reverse(original, 10, key="1"))
    assert (outcome.command.source, outcome.command.destination) == (A, NIL)
    done(batch, withdrawal(A, 15, key="out"))
    assert declined(batch, reverse(original, key="2")).reason == "INSUFFICIENT_FUNDS"
