"""Limits as callers give them: every field within its bounds, and those named that are not."""

import pytest

from tests.domain.limited_for_tests import DEBITS, NET_DEBITS, velocity
from wallet.domain.commands import Limits
from wallet.domain.limits import MAX_COUNT, check_account_limits, check_limits
from walletkit.money import MAX_AMOUNT_MINOR

TOO_MUCH = MAX_AMOUNT_MINOR + 1


@pytest.mark.parametrize(
    ("limits", "fields"),
    [
        (Limits(), []),
        (Limits(0, 0, 0, 0, 0), []),
        (Limits(MAX_AMOUNT_MINOR, 5, 5, MAX_AMOUNT_MINOR, 100), []),
        (Limits(overdraft=-1), ["overdraft_limit_minor"]),
        (Limits(overdraft=TOO_MUCH), ["overdraft_limit_minor"]),
        (Limits(min_balance=-1, max_balance=TOO_MUCH), ["min_balance_minor", "max_balance_minor"]),
        (Limits(min_balance=6, max_balance=5), ["min_balance_minor"]),
        (Limits(max_transaction=-1), ["max_transaction_minor"]),
        (Limits(over_capture_percent=101), ["over_capture_percent"]),
        (Limits(over_capture_percent=-1), ["over_capture_percent"]),
        (velocity(DEBITS, 1, MAX_COUNT), []),
        (velocity(DEBITS, 0, MAX_COUNT + 1), ["velocity[0].max_count"]),
        (velocity(DEBITS, -1, 1), ["velocity[0].max_amount_minor"]),
        (velocity(DEBITS), ["velocity[0].max_amount_minor"]),
        (velocity(NET_DEBITS, 5, 1), ["velocity[0].max_count"]),
        (Limits(velocity=velocity(DEBITS, 1).velocity * 2), ["velocity[1]"]),
        (Limits(velocity=velocity(DEBITS, 1).velocity * 10), ["velocity"]),
    ],
)
def test_malformed_limits(limits: Limits, fields: list[str]) -> None:
    """Every field out of its bounds is named, with its place in the list."""
    assert [field for field, _, _ in check_limits(limits)] == fields


def test_accounts_have_caps_and_windows_only() -> None:
    """What belongs to a single balance can't be set for an account."""
    assert check_account_limits(velocity(DEBITS, 1)._replace(max_transaction=5)) == []
    found = check_account_limits(Limits(1, 1, 1, -1, 1, velocity(DEBITS).velocity))
    assert [field for field, _, _ in found] == [
        "overdraft_limit_minor",
        "min_balance_minor",
        "max_balance_minor",
        "over_capture_percent",
        "max_transaction_minor",
        "velocity[0].max_amount_minor",
    ]
