"""Amounts are read exactly, or refused with the rule that they break."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guilder.client import parse_amount
from walletkit.money import EXPONENTS, MAX_AMOUNT_MINOR, format_minor

CURRENCIES = st.sampled_from(sorted(EXPONENTS))
AMOUNTS = st.integers(1, MAX_AMOUNT_MINOR) | st.sampled_from([1, 9, 10, 99, MAX_AMOUNT_MINOR])


@given(AMOUNTS, CURRENCIES)
def test_what_is_written_is_read_back(minor: int, currency: str) -> None:
    """Every amount survives being written as a decimal of the major unit."""
    money = parse_amount(format_minor(minor, currency), currency)
    assert (money.amount_minor, money.currency_code) == (minor, currency)


@given(st.text(max_size=30), CURRENCIES)
def test_anything_else_is_refused(text: str, currency: str) -> None:
    """Text is either an exact amount within the bounds, or a ValueError; never a guess."""
    try:
        minor = parse_amount(text, currency).amount_minor
    except ValueError:
        return
    assert 1 <= minor <= MAX_AMOUNT_MINOR
    whole, _, fraction = text.partition(".")
    digits = fraction.ljust(EXPONENTS[currency], "0")
    assert int(whole + digits) == minor


@pytest.mark.parametrize(
    ("text", "currency", "rule"),
    [
        ("", "EUR", "plain decimal"),
        ("1e3", "EUR", "plain decimal"),
        ("1E3", "EUR", "plain decimal"),
        ("-1", "EUR", "plain decimal"),
        ("+1", "EUR", "plain decimal"),
        (" 1", "EUR", "plain decimal"),
        ("1 ", "EUR", "plain decimal"),
        ("1,000", "EUR", "plain decimal"),
        ("1_000", "EUR", "plain decimal"),
        (".5", "EUR", "plain decimal"),
        ("5.", "EUR", "plain decimal"),
        ("007", "EUR", "plain decimal"),
        ("NaN", "EUR", "plain decimal"),
        ("Infinity", "EUR", "plain decimal"),
        ("٣", "EUR", "plain decimal"),
        ("1.0\n", "EUR", "plain decimal"),
        ("1.005", "EUR", "at most 2 digits"),
        ("1.0", "JPY", "no digits"),
        ("0", "EUR", "from 0.01"),
        ("0.00", "EUR", "from 0.01"),
        ("10000000000000.01", "EUR", "to 10000000000000.00"),
        ("999999999999999999", "JPY", "to 1000000000000000"),
        ("1", "XXX", "unknown currency"),
        ("1", "eur", "unknown currency"),
    ],
)
def test_malformed_amounts_name_their_rule(text: str, currency: str, rule: str) -> None:
    """Each way to be wrong has its sentence."""
    with pytest.raises(ValueError, match=rule):
        parse_amount(text, currency)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.5", "EUR", 1_250),
        ("12.50", "EUR", 1_250),
        ("0.01", "USD", 1),
        ("1000000000000000", "JPY", MAX_AMOUNT_MINOR),
        ("1.234", "KWD", 1_234),
        ("1.2345", "CLF", 12_345),
    ],
)
def test_exponents_differ_by_currency(text: str, currency: str, minor: int) -> None:
    """The major unit has the number of digits that ISO 4217 gives it."""
    assert parse_amount(text, currency).amount_minor == minor
