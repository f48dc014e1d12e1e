"""Know how many decimals a currency has, and read amounts: exact decimals, never a float.

ISO 4217 is known here; for other codes the wallet service is asked, once a process: an asset's
exponent never changes.
"""

import re
from collections.abc import Sequence

import typer

from guilder.client import Guilder, Money, parse_amount
from walletkit.money import EXPONENTS

_known: dict[str, int] = dict(EXPONENTS)

_BOUND = re.compile(r"(-?)(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,8}))?", re.ASCII)


def exponent_of(currency_code: str) -> int | None:
    """Return the number of decimals of a currency; None where it is not known (yet)."""
    return _known.get(currency_code)


async def learn(guilder: Guilder, *currency_codes: str) -> None:
    """Ask for the registered assets if any of these codes is unknown."""
    if any(code not in _known for code in currency_codes):
        for asset in await guilder.assets.list_assets():
            _known.setdefault(asset.currency_code, asset.exponent)


async def read_money(guilder: Guilder, words: Sequence[str], hint: str = "'AMOUNT'") -> Money:
    """Read an amount and its currency, ``12.50 EUR``; anything else is a usage error."""
    parts = " ".join(words).split()
    if len(parts) != len(("amount", "currency")):
        message = f"{' '.join(words)!r}: must be an amount and its currency, such as 12.50 EUR"
        raise typer.BadParameter(message, param_hint=hint)
    amount, currency_code = parts
    await learn(guilder, currency_code)
    try:
        return parse_amount(amount, currency_code, exponent_of(currency_code))
    except ValueError as error:
        raise typer.BadParameter(f"{amount!r}: {error}", param_hint=hint) from None


def read_bound(text: str, exponent: int, hint: str) -> int:
    """Read a bound, which may be 0 or negative, as minor units; else it is a usage error."""
    match = _BOUND.fullmatch(text)
    if match is None or len(match[3] or "") > exponent:
        digits = "no digits" if exponent == 0 else f"at most {exponent} digits"
        message = f"{text!r}: must be a plain decimal such as 100, with {digits} after the point"
        raise typer.BadParameter(message, param_hint=hint)
    return int(match[1] + match[2] + (match[3] or "").ljust(exponent, "0"))


def decimal_text(amount_minor: int, exponent: int) -> str:
    """Write minor units as a decimal of the major unit: ``-1234, 2`` gives ``-12.34``."""
    digits = str(abs(amount_minor)).rjust(exponent + 1, "0")
    sign = "-" if amount_minor < 0 else ""
    return (
        f"{sign}{digits}" if exponent == 0 else f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"
    )
