"""What limits refuse: each rule exactly at its bound and one unit above, for wallet and account."""

from collections.abc import Callable

import pytest

from tests.domain.commands_for_tests import HERE, NOW_US, make_id
from tests.domain.limited_for_tests import (
    CREDITS,
    DAY,
    DEBITS,
    HOUR,
    MONTH,
    NET_DEBITS,
    OWNER,
    limited_batch,
    reason,
    velocity,
)
from wallet.domain.batch import Batch
from wallet.domain.bound import window_end
from wallet.domain.commands import Limits, VelocityLimit
from wallet.domain.kinds import HoldState, VelocityBasis, VelocityWindow
from wallet.domain.limits import (
    begin,
    refuse_capture,
    refuse_credit,
    refuse_debit,
)
from wallet.domain.outcome import Hold
from walletkit.clock import DAY_US
from walletkit.errors import CATALOGUE, Code
from walletkit.ids import NIL, format_id
from walletkit.money import MAX_AMOUNT_MINOR

W, OTHER = make_id(HERE, 1), make_id(HERE, 2)
WORLD = bytes((0, 1)) + bytes(14)
Check = Callable[[Batch, int], str | None]


def debit(batch: Batch, amount: int, *, wallet: bytes = W, hold: bool = False) -> str | None:
    """Say why an amount can't leave a wallet."""
    return reason(refuse_debit(batch, wallet, batch.balances[wallet], amount, reserving=hold))


def credit(batch: Batch, amount: int, *, wallet: bytes = W) -> str | None:
    """Say why an amount can't come into a wallet."""
    return reason(refuse_credit(batch, wallet, batch.balances[wallet], amount))


def spend(batch: Batch, amount: int, *, wallet: bytes = W) -> None:
    """Take an amount out of a wallet, as a direct debit does."""
    begin(batch, wallet, batch.balances[wallet])
    batch.post(wallet, WORLD, "EUR", amount)


def receive(batch: Batch, amount: int, *, wallet: bytes = W) -> None:
    """Bring an amount into a wallet."""
    batch.post(WORLD, wallet, "EUR", amount)


def hold_of(authorized: int, captured: int = 0, released: int = 0) -> Hold:
    """Make a hold of the wallet."""
    state = HoldState.AUTHORIZED
    return Hold(
        make_id(HERE, 9), W, "EUR", NIL, state, authorized, captured, released, 0, 0, b"", b""
    )


def test_no_limits_refuse_nothing() -> None:
    """A wallet without limits has no row, and none is looked for."""
    batch = limited_batch({W: None})
    assert (debit(batch, 10**15), credit(batch, 10**15)) == (None, None)
    begin(batch, W, batch.balances[W])
    assert batch.changes.bounds == {}


@pytest.mark.parametrize("of_account", [False, True])
@pytest.mark.parametrize("check", [debit, credit])
def test_transaction_limit(check: Check, *, of_account: bool) -> None:
    """The cap bounds each single debit, hold and credit, whichever of both rows has it."""
    limits = Limits(max_transaction=100)
    batch = limited_batch({W: None if of_account else limits}, limits if of_account else None)
    assert (check(batch, 100), check(batch, 101)) == (None, "TRANSACTION_LIMIT")


def test_transaction_limit_bounds_the_whole_hold() -> None:
    """A hold can't grow beyond the cap by increments."""
    batch = limited_batch({W: Limits(max_transaction=100)})
    balance = batch.balances[W]
    assert refuse_debit(batch, W, balance, 40, authorized=60) is None
    assert reason(refuse_debit(batch, W, balance, 41, authorized=60)) == "TRANSACTION_LIMIT"


@pytest.mark.parametrize(
    ("held", "least", "spendable"), [(0, 0, 1000), (0, 300, 700), (200, 300, 500)]
)
def test_minimum_balance(held: int, least: int, spendable: int) -> None:
    """What is posted less what is held never falls below it by a debit or a hold."""
    batch = limited_batch({W: Limits(min_balance=least)})
    batch.balances[W].held = held
    for hold in (False, True):
        assert debit(batch, spendable, hold=hold) is None
        assert debit(batch, spendable + 1, hold=hold) == "BALANCE_BELOW_MINIMUM"
    assert credit(batch, MAX_AMOUNT_MINOR) is None


def test_a_minimum_above_the_balance_lets_nothing_out() -> None:
    """It may be set so; then only credits pass."""
    batch = limited_batch({W: Limits(min_balance=2000)})
    assert (debit(batch, 1), credit(batch, 1)) == ("BALANCE_BELOW_MINIMUM", None)


def test_maximum_balance() -> None:
    """What is posted never exceeds it by a credit; what is held makes no room."""
    batch = limited_batch({W: Limits(max_balance=1500)})
    batch.balances[W].held = 700
    assert (credit(batch, 500), credit(batch, 501)) == (None, "BALANCE_ABOVE_MAXIMUM")
    assert debit(batch, 1000) is None


@pytest.mark.parametrize("window", list(VelocityWindow))
@pytest.mark.parametrize("of_account", [False, True])
def test_debits_in_a_window(window: VelocityWindow, *, of_account: bool) -> None:
    """What left, what is held and what is asked for stay within the limit; credits don't help."""
    limits = velocity(DEBITS, 100, window=window)
    batch = limited_batch({W: None if of_account else limits}, limits if of_account else None)
    spend(batch, 30)
    batch.hold(W, 20)
    receive(batch, 500)
    for hold in (False, True):
        assert debit(batch, 50, hold=hold) is None
        assert debit(batch, 51, hold=hold) == "VELOCITY_LIMIT"


def test_credits_in_a_window() -> None:
    """What came in and what comes stay within the limit; debits and holds don't matter."""
    batch = limited_batch({W: velocity(CREDITS, 100)})
    receive(batch, 70)
    spend(batch, 500)
    batch.hold(W, 300)
    assert (credit(batch, 30), credit(batch, 31)) == (None, "VELOCITY_LIMIT")
    assert debit(batch, 270) is None


def test_net_debits_in_a_window() -> None:
    """What came in makes room for direct debits."""
    batch = limited_batch({W: velocity(NET_DEBITS, 100)})
    spend(batch, 80)
    receive(batch, 300)
    batch.hold(W, 20)
    assert (debit(batch, 300), debit(batch, 301)) == (None, "VELOCITY_LIMIT")


def test_credits_make_no_room_for_holds() -> None:
    """They are forgotten with their window while the hold stays: it must fit by itself."""
    batch = limited_batch({W: velocity(NET_DEBITS, 100)})
    receive(batch, 300)
    assert (debit(batch, 100, hold=True), debit(batch, 101, hold=True)) == (None, "VELOCITY_LIMIT")
    batch.hold(W, 100)
    assert (debit(batch, 300), debit(batch, 301)) == (None, "VELOCITY_LIMIT")
    batch.now_us += DAY_US
    # Of the next day only the hold is known.
    assert debit(batch, 1) == "VELOCITY_LIMIT"


def test_a_hold_counts_beyond_the_end_of_its_window() -> None:
    """It could be captured in the next one, so it takes room there until it is over."""
    batch = limited_batch({W: velocity(DEBITS, 100)})
    spend(batch, 40)
    batch.hold(W, 60)
    batch.now_us += DAY_US
    assert (debit(batch, 40), debit(batch, 41)) == (None, "VELOCITY_LIMIT")
    batch.hold(W, -60)
    batch.post(W, WORLD, "EUR", 60)
    assert (debit(batch, 40), debit(batch, 41)) == (None, "VELOCITY_LIMIT")


def test_a_released_hold_makes_room_again() -> None:
    """What is voided or expires was never used."""
    batch = limited_batch({W: None}, velocity(DEBITS, 100))
    batch.hold(W, 100)
    assert debit(batch, 1) == "VELOCITY_LIMIT"
    batch.hold(W, -100)
    assert (batch.bounds[OWNER].held, debit(batch, 100)) == (0, None)


def test_debits_are_counted_as_they_begin() -> None:
    """Direct debits and holds count once each; increments and captures begin nothing."""
    batch = limited_batch({W: velocity(DEBITS, max_count=2)})
    spend(batch, 1)
    balance = batch.hold(W, 10)
    assert debit(batch, 1) is None
    begin(batch, W, balance)
    assert (debit(batch, 1), debit(batch, 1, hold=True)) == ("VELOCITY_LIMIT", "VELOCITY_LIMIT")
    assert refuse_debit(batch, W, balance, 5, authorized=10) is None
    assert refuse_capture(batch, hold_of(10), balance, 10) is None
    batch.now_us += DAY_US
    assert debit(batch, 1) is None


def test_credits_are_counted() -> None:
    """As many come in as the limit says."""
    batch = limited_batch({W: velocity(CREDITS, max_count=2)})
    receive(batch, 1)
    assert credit(batch, 1) is None
    receive(batch, 1)
    assert credit(batch, 1) == "VELOCITY_LIMIT"


def test_the_wallets_of_an_account_share_its_limits() -> None:
    """What one used or holds, the other has not; each keeps to its own besides."""
    batch = limited_batch({W: velocity(DEBITS, 50), OTHER: None}, velocity(DEBITS, 100, 3))
    spend(batch, 30, wallet=OTHER)
    batch.hold(OTHER, 30)
    assert (debit(batch, 40), debit(batch, 41)) == (None, "VELOCITY_LIMIT")
    spend(batch, 20)
    assert (debit(batch, 20), debit(batch, 20, wallet=OTHER)) == (None, None)
    assert (debit(batch, 21), debit(batch, 21, wallet=OTHER)) == ("VELOCITY_LIMIT",) * 2
    spend(batch, 1)
    assert (debit(batch, 1), debit(batch, 1, wallet=OTHER)) == ("VELOCITY_LIMIT",) * 2
    assert set(batch.changes.bounds) == {W, OWNER}


def test_a_limit_finds_what_was_moved_before_it_was_set() -> None:
    """The row counts in every window, so a limit set later in one of them is not late."""
    batch = limited_batch({W: Limits(max_transaction=500)})
    spend(batch, 90)
    for window in (HOUR, DAY, MONTH):
        batch.bounds[W].limits = velocity(DEBITS, 100, window=window)
        assert (debit(batch, 10), debit(batch, 11)) == (None, "VELOCITY_LIMIT")


def test_a_limit_below_what_is_used_refuses_all() -> None:
    """It may be set so; nothing more leaves until the window is over."""
    batch = limited_batch({W: velocity(DEBITS, 100)})
    spend(batch, 90)
    batch.bounds[W].limits = velocity(DEBITS, 10)
    assert debit(batch, 1) == "VELOCITY_LIMIT"
    batch.now_us += DAY_US
    assert debit(batch, 10) is None


@pytest.mark.parametrize(
    ("percent", "hold", "most"),
    [
        (None, hold_of(100), 100),
        (0, hold_of(100, 40), 60),
        (20, hold_of(100), 120),
        (20, hold_of(100, 100), 20),
        (20, hold_of(100, 110), 10),
        (33, hold_of(10), 13),
        (100, hold_of(100), 200),
    ],
)
def test_over_capture(percent: int | None, hold: Hold, most: int) -> None:
    """Captures come to what was authorized and the wallet's percentage of it, rounded down."""
    limits = None if percent is None else Limits(max_balance=1, over_capture_percent=percent)
    batch = limited_batch({W: limits})
    assert refuse_capture(batch, hold, batch.balances[W], most) is None
    refusal = refuse_capture(batch, hold, batch.balances[W], most + 1)
    assert refusal is not None
    assert refusal.reason == "HOLD_OVER_CAPTURE"
    assert refusal.metadata == {
        "hold_id": format_id(hold.hold_id),
        "limit": str(most),
        "requested": str(most + 1),
    }


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        (Limits(min_balance=880), None),
        (Limits(min_balance=881), "BALANCE_BELOW_MINIMUM"),
        (Limits(max_transaction=120), None),
        (Limits(max_transaction=119), "TRANSACTION_LIMIT"),
        (velocity(DEBITS, 120), None),
        (velocity(DEBITS, 119), "VELOCITY_LIMIT"),
    ],
)
def test_limits_bind_what_goes_beyond_a_hold(limits: Limits, refused: str | None) -> None:
    """The excess of a capture was not reserved, so it is checked like an increment."""
    batch = limited_batch({W: limits._replace(over_capture_percent=20)})
    balance = batch.hold(W, 100)
    assert refuse_capture(batch, hold_of(100), balance, 100) is None
    assert reason(refuse_capture(batch, hold_of(100), balance, 120)) == refused


def test_limits_are_checked_in_order() -> None:
    """First the cap, then the balance, then the windows; of each the wallet before the account."""
    everything = Limits(
        min_balance=2000,
        max_transaction=1,
        velocity=(VelocityLimit(DAY, DEBITS, 1, 1),),
    )
    batch = limited_batch({W: everything}, velocity(DEBITS, 1)._replace(max_transaction=1))
    found = []
    for limits in (
        everything,
        everything._replace(max_transaction=None),
        everything._replace(max_transaction=None, min_balance=None),
        Limits(),
    ):
        batch.bounds[W].limits = limits
        refusal = refuse_debit(batch, W, batch.balances[W], 2)
        assert refusal is not None
        found.append((refusal.reason, refusal.metadata.get("owner")))
        if len(found) == 1:
            batch.bounds[OWNER].limits = velocity(DEBITS, 1)
    assert found == [
        ("TRANSACTION_LIMIT", "wallet"),
        ("BALANCE_BELOW_MINIMUM", None),
        ("VELOCITY_LIMIT", "wallet"),
        ("VELOCITY_LIMIT", "account"),
    ]


@pytest.mark.parametrize(
    ("basis", "amount", "expected"),
    [
        (DEBITS, 61, {"measure": "AMOUNT", "limit": "100", "used": "40", "requested": "61"}),
        (DEBITS, 60, {"measure": "COUNT", "limit": "1", "used": "1", "requested": "1"}),
    ],
)
def test_a_velocity_refusal_says_what_is_used(
    basis: VelocityBasis, amount: int, expected: dict[str, str]
) -> None:
    """It names owner, window, basis, measure, figures, and when the window is over."""
    batch = limited_batch({W: velocity(basis, 100, 1, window=MONTH)})
    spend(batch, 30)
    batch.hold(W, 10)
    refusal = refuse_debit(batch, W, batch.balances[W], amount)
    assert refusal is not None
    assert refusal.metadata == {
        "wallet_id": format_id(W),
        "owner": "wallet",
        "window": "MONTH",
        "basis": basis.name,
        "window_end_time": "2023-12-01T00:00:00Z",
        **expected,
    }
    assert window_end(MONTH, NOW_US) == batch.bounds[W].window_end_us(MONTH, NOW_US)


@pytest.mark.parametrize(
    "name",
    [
        "TRANSACTION_LIMIT",
        "VELOCITY_LIMIT",
        "BALANCE_BELOW_MINIMUM",
        "BALANCE_ABOVE_MAXIMUM",
        "HOLD_OVER_CAPTURE",
        "OVERDRAFT_IN_USE",
    ],
)
def test_declines_by_limits_are_kept(name: str) -> None:
    """They are decisions on the state of a wallet: one code for all."""
    assert CATALOGUE[name].code == Code.FAILED_PRECONDITION
