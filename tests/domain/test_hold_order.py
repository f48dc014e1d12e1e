"""Which of several reasons a hold's command is refused for: the order is part of the API."""

from collections.abc import Callable

import pytest

from tests.domain.commands_for_tests import (
    HERE,
    NOW_US,
    authorize,
    balance,
    capture,
    extend,
    increment,
    make_batch,
    make_id,
    void,
)
from wallet.domain.batch import Batch
from wallet.domain.bound import Bound
from wallet.domain.commands import Command, Limits
from wallet.domain.decide import decide
from wallet.domain.kinds import LIMITED, HoldState, WalletStatus
from wallet.domain.outcome import Hold, HoldSet, Posted
from walletkit.errors import ServiceError
from walletkit.ids import NIL, format_id
from walletkit.money import MAX_BALANCE_MINOR

W, B, HOLD = make_id(HERE, 1), make_id(HERE, 2), make_id(HERE, 3)
LATER_US = NOW_US + 1000
Spoil = Callable[[Batch], None]


def no_hold(batch: Batch) -> None:
    """Take the hold away."""
    del batch.holds[HOLD]


def no_wallet(batch: Batch) -> None:
    """Take the wallet away."""
    del batch.balances[W]


def no_destination(batch: Batch) -> None:
    """Take the destination away."""
    del batch.balances[B]


def voided(batch: Batch) -> None:
    """End the hold."""
    batch.holds[HOLD] = batch.holds[HOLD]._replace(state=HoldState.VOIDED)


def elsewhere(batch: Batch) -> None:
    """Let the hold be for another wallet."""
    batch.holds[HOLD] = batch.holds[HOLD]._replace(destination=make_id(HERE, 9))


def frozen(batch: Batch) -> None:
    """Freeze the wallet."""
    batch.balances[W].status = WalletStatus.FROZEN


def closed(batch: Batch) -> None:
    """Close the wallet."""
    batch.balances[W].status = WalletStatus.CLOSED


def destination_closed(batch: Batch) -> None:
    """Close the destination."""
    batch.balances[B].status = WalletStatus.CLOSED


def currency(batch: Batch) -> None:
    """Let the wallet and its hold be in another currency."""
    batch.balances[W].currency = "USD"
    batch.holds[HOLD] = batch.holds[HOLD]._replace(currency="USD")


def destination_currency(batch: Batch) -> None:
    """Let the destination be in another currency."""
    batch.balances[B].currency = "JPY"


def version(batch: Batch) -> None:
    """Change the wallet."""
    batch.balances[W].version = 2


def late(batch: Batch) -> None:
    """Let the time asked for be over."""
    batch.now_us = LATER_US


def limited(batch: Batch) -> None:
    """Limit the wallet."""
    batch.balances[W].flags = LIMITED
    batch.bounds[W] = Bound(W, HERE, Limits(max_transaction=9), 0)


def unlimited_capture(batch: Batch) -> None:
    """Take away the limits that allow to capture beyond the hold."""
    batch.balances[W].flags = 0


def full(batch: Batch) -> None:
    """Fill the destination."""
    batch.balances[B].posted = MAX_BALANCE_MINOR


def poor(batch: Batch) -> None:
    """Leave nothing available."""
    batch.balances[W].posted = batch.balances[W].held


AUTHORIZE: list[tuple[Spoil, str, bytes | None]] = [
    (no_wallet, "WALLET_NOT_FOUND", W),
    (no_destination, "WALLET_NOT_FOUND", B),
    (frozen, "WALLET_FROZEN", W),
    (destination_closed, "WALLET_CLOSED", B),
    (currency, "CURRENCY_MISMATCH", W),
    (destination_currency, "CURRENCY_MISMATCH", B),
    (version, "VERSION_MISMATCH", W),
    (late, "HOLD_EXPIRE_TIME", None),
    (limited, "TRANSACTION_LIMIT", W),
    (poor, "INSUFFICIENT_FUNDS", W),
]
INCREMENT: list[tuple[Spoil, str, bytes | None]] = [
    (no_hold, "HOLD_NOT_FOUND", None),
    (no_wallet, "WALLET_NOT_FOUND", W),
    (voided, "HOLD_VOIDED", None),
    (frozen, "WALLET_FROZEN", W),
    (currency, "CURRENCY_MISMATCH", W),
    (version, "VERSION_MISMATCH", W),
    (limited, "TRANSACTION_LIMIT", W),
    (poor, "INSUFFICIENT_FUNDS", W),
]
EXTEND: list[tuple[Spoil, str, bytes | None]] = [
    (no_hold, "HOLD_NOT_FOUND", None),
    (no_wallet, "WALLET_NOT_FOUND", W),
    (voided, "HOLD_VOIDED", None),
    (closed, "WALLET_CLOSED", W),
    (version, "VERSION_MISMATCH", W),
]
VOID: list[tuple[Spoil, str, bytes | None]] = [
    (no_hold, "HOLD_NOT_FOUND", None),
    (no_wallet, "WALLET_NOT_FOUND", W),
    (voided, "HOLD_VOIDED", None),
    (version, "VERSION_MISMATCH", W),
]
CAPTURE: list[tuple[Spoil, str, bytes | None]] = [
    (no_hold, "HOLD_NOT_FOUND", None),
    (no_wallet, "WALLET_NOT_FOUND", W),
    (no_destination, "WALLET_NOT_FOUND", B),
    (voided, "HOLD_VOIDED", None),
    (elsewhere, "HOLD_DESTINATION_MISMATCH", None),
    (frozen, "WALLET_FROZEN", W),
    (destination_closed, "WALLET_CLOSED", B),
    (currency, "CURRENCY_MISMATCH", W),
    (destination_currency, "CURRENCY_MISMATCH", B),
    (version, "VERSION_MISMATCH", W),
    (unlimited_capture, "HOLD_OVER_CAPTURE", None),
    (full, "BALANCE_OVERFLOW", B),
    (poor, "INSUFFICIENT_FUNDS", W),
]
"""What is wrong, in the order of the checks: the reason for each, and the wallet that is named."""

COMMANDS: list[tuple[Command, list[tuple[Spoil, str, bytes | None]]]] = [
    (
        authorize(W, 10, destination=B, expire_time_us=LATER_US, expected_version=1),
        AUTHORIZE,
    ),
    (increment(HOLD, W, 10, expected_version=1), INCREMENT),
    (extend(HOLD, W, LATER_US + 1, expected_version=1), EXTEND),
    (void(HOLD, W, expected_version=1), VOID),
    (capture(HOLD, W, 35, destination=B, expected_version=1), CAPTURE),
]


def fresh_batch() -> Batch:
    """Make a batch in which each of the commands succeeds."""
    batch = make_batch({W: balance(100, held=30, version=1), B: balance(0)})
    batch.balances[W].flags = LIMITED
    batch.bounds[W] = Bound(W, HERE, Limits(over_capture_percent=50), 0)
    batch.holds[HOLD] = Hold(
        HOLD, W, "EUR", NIL, HoldState.AUTHORIZED, 30, 0, 0, LATER_US, NOW_US, b"", b""
    )
    return batch


@pytest.mark.parametrize(
    ("command", "order", "first"),
    [(command, order, n) for command, order in COMMANDS for n in range(len(order))],
)
def test_checks_come_in_their_order(
    command: Command, order: list[tuple[Spoil, str, bytes | None]], first: int
) -> None:
    """With everything wrong from one check on, the first of them is the reason."""
    batch = fresh_batch()
    for spoil, _, _ in reversed(order[first:]):
        spoil(batch)
    outcome = decide(batch, command)
    assert isinstance(outcome, ServiceError), outcome
    _, reason, named = order[first]
    assert outcome.reason == reason
    assert outcome.metadata.get("wallet_id") == (format_id(named) if named else None)
    assert batch.changes.hold_changes == []


@pytest.mark.parametrize("command", [command for command, _ in COMMANDS])
def test_with_nothing_wrong_it_is_done(command: Command) -> None:
    """The tables above start from commands that succeed."""
    assert isinstance(decide(fresh_batch(), command), HoldSet | Posted)
