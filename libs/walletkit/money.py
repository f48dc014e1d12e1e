"""Know currencies, registered assets and the bounds of amounts. Pure.

Source of the table: ISO 4217 maintenance agency, list one (active codes), with the minor units it
gives. Codes without minor units (gold, test codes, bond units) are left out: nothing can be counted
in them. Codes that the table does not have can be registered, each with an exponent for good.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

MAX_AMOUNT_MINOR = 10**15
"""The largest amount of one posting."""

MAX_BALANCE_MINOR = 2**63 - 1
"""The largest balance of a customer wallet: a signed 64-bit integer."""

MAX_EXPONENT = 8
"""The most decimal digits that an asset may have."""

_ASSET_CODE = re.compile(r"[A-Z][A-Z0-9]{2,11}")

_BY_EXPONENT = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD"
        " CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP"
        " GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK"
        " LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO"
        " NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS"
        " SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST"
        " XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

EXPONENTS: Mapping[str, int] = MappingProxyType(
    {code: exponent for exponent, codes in _BY_EXPONENT.items() for code in codes.split()}
)
"""Number of decimal digits of each currency of ISO 4217."""

_registered: dict[str, int] = {}
"""Registered assets that this process has heard of.

One table for the process is safe: a shard registers an asset once and nothing ever changes or
removes it, so what is here can be incomplete but never wrong, whoever wrote it and whoever reads
it at the same time. It is learned only from what is committed.
"""


def is_asset_code(code: str) -> bool:
    """Tell whether a code could be a registered asset's: 3 to 12 of A-Z and 0-9, a letter first."""
    return _ASSET_CODE.fullmatch(code) is not None and code not in EXPONENTS


def learn(code: str, exponent: int) -> None:
    """Note a registered asset; again is nothing new.

    Raise ``ValueError`` for what no shard would have registered: a malformed code or exponent, or
    another exponent than what is known. Amounts would be read wrongly, so that is never passed by.
    """
    known = EXPONENTS.get(code, _registered.get(code))
    if known == exponent:
        return
    if known is not None:
        message = f"asset {code} has exponent {known}, not {exponent}"
        raise ValueError(message)
    if not is_asset_code(code) or not 0 <= exponent <= MAX_EXPONENT:
        message = f"not an asset: {code!r} with exponent {exponent}"
        raise ValueError(message)
    _registered[code] = exponent


def exponent_of(currency_code: str) -> int:
    """Return the number of decimal digits of a currency or asset; ``KeyError`` if not known."""
    exponent = EXPONENTS.get(currency_code)
    return _registered[currency_code] if exponent is None else exponent


def is_known(currency_code: str) -> bool:
    """Tell whether a currency or asset can be held, as far as this process has heard."""
    return currency_code in EXPONENTS or currency_code in _registered


def format_minor(amount_minor: int, currency_code: str) -> str:
    """Write minor units as a decimal of the major unit, for people.

    ``-1234, EUR`` gives ``-12.34``.
    """
    exponent = exponent_of(currency_code)
    digits = str(abs(amount_minor)).rjust(exponent + 1, "0")
    sign = "-" if amount_minor < 0 else ""
    if exponent == 0:
        return f"{sign}{digits}"
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"
