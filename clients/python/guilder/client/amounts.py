"""Read amounts as people write them: decimals of the major unit, exactly. Client room, pure.

No floats and no guesses: ``12.50`` with EUR is 1,250 minor units; ``12.505``, ``1e3``, ``1,000``
and ``.5`` are refused.
"""

import re
from decimal import Decimal

from guilder.type.v1.money_pb2 import Money
from walletkit.money import EXPONENTS, MAX_AMOUNT_MINOR

Amount = Money | tuple[str, int]
"""An amount: ``Money``, or currency code and minor units, as in ``("EUR", 1_250)``."""

_PLAIN_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,17})(\.[0-9]{1,8})?", re.ASCII)


def to_money(amount: Amount) -> Money:
    """Return an amount as the wire has it."""
    if isinstance(amount, Money):
        return amount
    currency_code, amount_minor = amount
    return Money(currency_code=currency_code, amount_minor=amount_minor)


def parse_amount(text: str, currency_code: str, exponent: int | None = None) -> Money:
    """Read a decimal of the major unit; raise ``ValueError`` that says which rule it breaks.

    The amount is from 1 to 10^15 minor units. ``exponent`` is that of a registered asset, which ISO
    4217 does not know.
    """
    exponent = EXPONENTS.get(currency_code, exponent)
    if exponent is None:
        message = f"unknown currency {currency_code!r}"
        raise ValueError(message)
    match = _PLAIN_DECIMAL.fullmatch(text)
    if match is None:
        message = "must be a plain decimal such as 12.50: no sign, exponent, separator or space"
        raise ValueError(message)
    fraction = match.group(2) or "."
    if len(fraction) - 1 > exponent:
        digits = "no digits" if exponent == 0 else f"at most {exponent} digits"
        message = f"{currency_code} has {digits} after the point"
        raise ValueError(message)
    # scaleb only moves the point: at most 26 digits, the context keeps 28: nothing is rounded.
    amount_minor = int(Decimal(text).scaleb(exponent))
    if not 1 <= amount_minor <= MAX_AMOUNT_MINOR:
        largest, smallest = (
            f"{Decimal(minor).scaleb(-exponent):f}" for minor in (MAX_AMOUNT_MINOR, 1)
        )
        message = f"must be from {smallest} to {largest} {currency_code}"
        raise ValueError(message)
    return Money(currency_code=currency_code, amount_minor=amount_minor)
