"""Windows of limits, what is used in them, and the forms in which it is kept."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.commands_for_tests import HERE, make_id
from tests.domain.limited_for_tests import CREDITS, DAY, DEBITS, HOUR, MONTH, NET_DEBITS
from wallet.domain.bound import (
    UNUSED,
    Bound,
    Spent,
    account_owner,
    decode_limits,
    decode_usage,
    encode_limits,
    encode_usage,
    window_end,
    window_start,
)
from wallet.domain.commands import Limits, VelocityLimit
from wallet.domain.kinds import VelocityWindow
from wallet.domain.limits import check_limits
from walletkit.clock import to_us

W = make_id(HERE, 1)
WINDOWS = tuple(VelocityWindow)


def at(text: str) -> int:
    """Read a UTC time."""
    return to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


def used() -> Bound:
    """Make a row without limits."""
    return Bound(W, HERE, Limits(), 0)


@pytest.mark.parametrize(
    ("window", "now", "start", "end"),
    [
        (HOUR, "2025-03-30T01:00:00", "2025-03-30T01:00:00", "2025-03-30T02:00:00"),
        (HOUR, "2025-12-31T23:59:59.999999", "2025-12-31T23:00:00", "2026-01-01T00:00:00"),
        (DAY, "2024-02-29T12:00:00", "2024-02-29T00:00:00", "2024-03-01T00:00:00"),
        (DAY, "2023-02-28T23:59:59.999999", "2023-02-28T00:00:00", "2023-03-01T00:00:00"),
        (MONTH, "2025-12-31T23:59:59.999999", "2025-12-01T00:00:00", "2026-01-01T00:00:00"),
        (MONTH, "2026-01-01T00:00:00", "2026-01-01T00:00:00", "2026-02-01T00:00:00"),
        (MONTH, "2024-02-29T00:00:00", "2024-02-01T00:00:00", "2024-03-01T00:00:00"),
        (MONTH, "2023-02-28T00:00:00", "2023-02-01T00:00:00", "2023-03-01T00:00:00"),
        (MONTH, "2000-02-29T23:00:00", "2000-02-01T00:00:00", "2000-03-01T00:00:00"),
        (MONTH, "2100-02-28T23:00:00", "2100-02-01T00:00:00", "2100-03-01T00:00:00"),
    ],
)
def test_windows_are_of_the_utc_calendar(
    window: VelocityWindow, now: str, start: str, end: str
) -> None:
    """Hours, days and months begin and end where the calendar says, leap years included."""
    assert (window_start(window, at(now)), window_end(window, at(now))) == (at(start), at(end))


@given(st.sampled_from(WINDOWS), st.integers(0, at("2200-01-01T00:00:00")))
def test_windows_follow_each_other(window: VelocityWindow, now_us: int) -> None:
    """Every moment is in one window, and the next one begins where it ends."""
    start, end = window_start(window, now_us), window_end(window, now_us)
    assert start <= now_us < end
    assert window_start(window, end) == end
    assert window_start(window, end - 1) == start


@pytest.mark.parametrize(
    ("later", "left"),
    [
        ("2025-12-31T23:59:59.999999", (30, 30, 30)),
        ("2026-01-01T00:00:00", (0, 0, 0)),
    ],
)
def test_a_new_year_ends_every_window(later: str, left: tuple[int, ...]) -> None:
    """From December to January all three are over in the same microsecond."""
    bound = used()
    bound.move(at("2025-12-31T23:00:00"), -30)
    assert tuple(bound.spent(window, at(later)).debits for window in WINDOWS) == left


@pytest.mark.parametrize(
    ("later", "left"),
    [
        ("2024-02-28T10:59:59.999999", (30, 30, 30)),
        ("2024-02-28T11:00:00", (0, 30, 30)),
        ("2024-02-29T00:00:00", (0, 0, 30)),
        ("2024-02-29T23:59:59.999999", (0, 0, 30)),
        ("2024-03-01T00:00:00", (0, 0, 0)),
    ],
)
def test_each_window_ends_by_itself(later: str, left: tuple[int, ...]) -> None:
    """What was used of an hour is still used of its day and month."""
    bound = used()
    bound.move(at("2024-02-28T10:00:00"), -30)
    assert tuple(bound.spent(window, at(later)).debits for window in WINDOWS) == left


def test_both_ways_are_counted() -> None:
    """Debits, credits, what is net, and how many of either; a move is no begun debit."""
    bound, now_us = used(), at("2025-06-15T12:00:00")
    for delta in (-30, 10, 5, -1):
        bound.move(now_us, delta)
    bound.begin(now_us)
    start = window_start(DAY, now_us)
    assert bound.spent(DAY, now_us) == Spent(start, debits=31, credits=15, begun=1, received=2)
    assert (bound.spent(DAY, now_us).credits, bound.spent(MONTH, now_us).net) == (15, 16)


def test_a_clock_that_runs_backwards_forgets_nothing() -> None:
    """A moment of the window before counts to the later one, which ends when it should."""
    bound = used()
    midnight = at("2026-01-01T00:00:00")
    bound.move(midnight, -30)
    bound.move(midnight - 1, -5)
    bound.begin(midnight - 1)
    for window in WINDOWS:
        assert bound.spent(window, midnight - 1).debits == 35
        assert bound.spent(window, midnight).begun == 1
        assert bound.window_end_us(window, midnight - 1) == window_end(window, midnight)


def test_a_copy_does_not_change_with_its_original() -> None:
    """A row is copied by its fields alone: they are values."""
    bound = used()
    copy = replace(bound)
    bound.move(at("2025-06-15T12:00:00"), -30)
    assert (copy.usage, bound.usage != UNUSED) == (UNUSED, True)


SPENT = st.builds(
    Spent,
    st.integers(0, 2**62),
    st.integers(0, 2**100),
    st.integers(0, 2**100),
    st.integers(0, 2**63),
    st.integers(0, 2**63),
)


@given(st.tuples(SPENT, SPENT, SPENT))
def test_usage_is_kept_whole(usage: tuple[Spent, Spent, Spent]) -> None:
    """Whatever was used is read back, sums beyond 64 bits too, in a row of fixed size."""
    kept = encode_usage(usage)
    assert (len(kept), decode_usage(kept)) == (169, usage)


@pytest.mark.parametrize("kept", [b"", b"\x02" + bytes(168), b"\x01" + bytes(167)])
def test_usage_of_an_unknown_form_is_refused(kept: bytes) -> None:
    """What can't be read is not taken for nothing."""
    with pytest.raises(ValueError, match="unknown form"):
        decode_usage(kept)


MOST = 10**15
FULL = Limits(
    MOST,
    MOST,
    MOST,
    MOST,
    100,
    tuple(
        VelocityLimit(window, basis, MOST, 10**9 if basis != NET_DEBITS else 0)
        for window in WINDOWS
        for basis in (DEBITS, CREDITS, NET_DEBITS)
    ),
)


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        (Limits(), b""),
        (Limits(overdraft=5), b'{"overdraft":5}'),
        (Limits(min_balance=0, max_balance=0), b'{"max_balance":0,"min_balance":0}'),
        (
            Limits(velocity=(VelocityLimit(DAY, DEBITS, 7, 0),)),
            b'{"velocity":[{"basis":"DEBITS","max_amount":7,"window":"DAY"}]}',
        ),
    ],
)
def test_limits_are_kept_as_canonical_json(limits: Limits, kept: bytes) -> None:
    """Only what is set is kept, in one form; a bound of zero is not the same as none."""
    assert (encode_limits(limits), decode_limits(kept)) == (kept, limits)


def test_the_largest_limits_fit() -> None:
    """All that may be set takes less than 2,048 bytes and is read back."""
    assert check_limits(FULL) == []
    kept = encode_limits(FULL)
    assert len(kept) <= 1_000
    assert decode_limits(kept) == FULL


def test_the_order_of_velocity_limits_does_not_matter() -> None:
    """The same limits have the same kept form, however the caller listed them."""
    turned = FULL._replace(velocity=FULL.velocity[::-1])
    assert encode_limits(turned) == encode_limits(FULL)


def test_owners_of_accounts_are_no_wallets() -> None:
    """They begin with a byte that no wallet's id has, and differ by account and by currency."""
    owners = {
        account_owner(account_id, currency)
        for account_id in ("a", "aE", "b", "x" * 64)
        for currency in ("EUR", "UR", "POINTS")
    }
    assert len(owners) == 12
    assert {(len(owner), owner[0]) for owner in owners} == {(16, 0xFF)}
