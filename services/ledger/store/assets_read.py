"""Know how many decimal digits a currency has: of ISO 4217's table, or registered. SQL only."""

from ledger.store.pool import Session
from walletkit.money import EXPONENTS
from walletkit.sql.literals import literal

_learned: dict[str, int] = {}
"""Registered assets that have been asked for. One never changes, so nothing here grows old."""


async def exponent(session: Session, currency: str) -> int:
    """Return the decimal digits of a currency's major unit.

    0 for one that no record has registered here yet.
    """
    known = EXPONENTS.get(currency, _learned.get(currency))
    if known is not None:
        return known
    name = f"_ascii {literal(currency.encode('ascii'))}"
    rows = await session.rows(f"SELECT exponent FROM assets WHERE currency={name}")
    if not rows:
        return 0
    _learned[currency] = int(rows[0][0])
    return _learned[currency]
