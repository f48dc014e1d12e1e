"""Currencies, their digits, and amounts as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walletkit.money import EXPONENTS, MAX_AMOUNT_MINOR, MAX_BALANCE_MINOR, format_minor, is_known


@pytest.mark.parametrize(
    ("code", "exponent"),
    [("EUR", 2), ("USD", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("TND", 3), ("CLF", 4)],
)
def test_exponents_are_iso_4217(code: str, exponent: int) -> None:
    """The digits of some well-known currencies."""
    assert EXPONENTS[code] == exponent


def test_table_is_well_formed() -> None:
    """Codes are three capital letters, each once; exponents are within what a balance may say."""
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in EXPONENTS)
    assert set(EXPONENTS.values()) == {0, 2, 3, 4}
    assert len(EXPONENTS) > 150


@pytest.mark.parametrize(
    "code", ["", "EU", "eur", "Eur", "EURO", "XXX", "XAU", "XTS", "DEM", "\uff25UR"]
)
def test_unknown_currencies(code: str) -> None:
    """Codes that are no active currency with minor units are unknown, whatever their case."""
    assert not is_known(code)


def test_bounds() -> None:
    """An amount is at most 10^15 minor units, a balance a signed 64-bit integer."""
    assert (MAX_AMOUNT_MINOR, MAX_BALANCE_MINOR) == (
        1_000_000_000_000_000,
        9_223_372_036_854_775_807,
    )


@pytest.mark.parametrize(
    ("minor", "code", "text"),
    [
        (0, "EUR", "0.00"),
        (5, "EUR", "0.05"),
        (-5, "EUR", "-0.05"),
        (-1234, "EUR", "-12.34"),
        (100, "JPY", "100"),
        (-7, "JPY", "-7"),
        (1, "KWD", "0.001"),
        (12345, "CLF", "1.2345"),
        (MAX_BALANCE_MINOR, "EUR", "92233720368547758.07"),
    ],
)
def test_format(minor: int, code: str, text: str) -> None:
    """Minor units are written with exactly the currency's digits."""
    assert format_minor(minor, code) == text


@given(st.integers(-(10**38), 10**38), st.sampled_from(sorted(EXPONENTS)))
def test_format_loses_nothing(minor: int, code: str) -> None:
    """Without its point the text is the number again, however large."""
    assert int(format_minor(minor, code).replace(".", "")) == minor
