"""Currencies, their digits, and amounts as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walletkit import money
from walletkit.money import (
    EXPONENTS,
    MAX_AMOUNT_MINOR,
    MAX_BALANCE_MINOR,
    MAX_EXPONENT,
    exponent_of,
    format_minor,
    is_asset_code,
    is_known,
    learn,
)


@pytest.fixture
def _nothing_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a test a process that has heard of no asset."""
    monkeypatch.setattr(money, "_registered", {})


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


@pytest.mark.usefixtures("_nothing_learned")
@pytest.mark.parametrize(
    ("code", "exponent", "text"),
    [("GLD", 0, "-123"), ("POINTS", 2, "-1.23"), ("BTC", MAX_EXPONENT, "-0.00000123")],
)
def test_registered_assets_are_known(code: str, exponent: int, text: str) -> None:
    """Once learned, an asset has its exponent everywhere; the table of ISO 4217 stays itself."""
    assert not is_known(code)
    with pytest.raises(KeyError):
        exponent_of(code)
    learn(code, exponent)
    learn(code, exponent)
    assert (is_known(code), exponent_of(code), format_minor(-123, code)) == (True, exponent, text)
    assert code not in EXPONENTS


@pytest.mark.usefixtures("_nothing_learned")
def test_an_exponent_never_changes() -> None:
    """Neither that of an asset nor that of a currency; the same again is nothing new."""
    learn("POINTS", 3)
    for code, exponent in (("POINTS", 2), ("EUR", 3)):
        with pytest.raises(ValueError, match=r"has exponent"):
            learn(code, exponent)
    learn("EUR", 2)
    assert (exponent_of("POINTS"), exponent_of("EUR")) == (3, 2)


@pytest.mark.parametrize("code", ["ABC", "A12", "ABCDEFGHIJKL", "USDC", "XAU"])
def test_asset_codes(code: str) -> None:
    """3 to 12 of A-Z and 0-9, a letter first."""
    assert is_asset_code(code)


@pytest.mark.usefixtures("_nothing_learned")
@pytest.mark.parametrize(
    ("code", "exponent"),
    [
        ("", 2),
        ("AB", 2),
        ("ABCDEFGHIJKLM", 2),
        ("1AB", 2),
        ("abc", 2),
        ("AB_C", 2),
        ("ABC\n", 2),
        ("\u00c4BC", 2),
        ("ABC", -1),
        ("ABC", MAX_EXPONENT + 1),
    ],
)
def test_malformed_assets_are_not_learned(code: str, exponent: int) -> None:
    """What no shard would have registered raises, and leaves nothing behind."""
    with pytest.raises(ValueError, match="not an asset"):
        learn(code, exponent)
    assert not is_known(code)


def test_currencies_are_no_assets() -> None:
    """A code of ISO 4217 can't be registered."""
    assert not any(is_asset_code(code) for code in EXPONENTS)
