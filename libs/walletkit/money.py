"""Know currencies and the bounds of amounts. Pure.

Source of the table: ISO 4217 maintenance agency, list one (active codes), with the minor units it
gives. Codes without minor units (gold, test codes, bond units) are left out: nothing can be counted
in them.
"""

from collections.abc import Mapping
from types import MappingProxyType

MAX_AMOUNT_MINOR = 10**15
"""The largest amount of one posting."""

MAX_BALANCE_MINOR = 2**63 - 1
"""The largest balance of a customer wallet: a signed 64-bit integer."""

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
"""Number of decimal digits of each known currency."""


def is_known(currency_code: str) -> bool:
    """Tell whether a currency can be held."""
    return currency_code in EXPONENTS


def format_minor(amount_minor: int, currency_code: str) -> str:
    """Write minor units as a decimal of the major unit, for people.

    ``-1234, EUR`` gives ``-12.34``.
    """
    exponent = EXPONENTS[currency_code]
    digits = str(abs(amount_minor)).rjust(exponent + 1, "0")
    sign = "-" if amount_minor < 0 else ""
    if exponent == 0:
        return f"{sign}{digits}"
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"
