"""Know how many decimal digits a currency has: of ISO 4217's table, or registered. SQL only."""

from collections.abc import Iterable

from ledger.store.pool import Session
from walletkit.money import exponent_of, is_known, learn
from walletkit.sql.literals import ascii_texts


async def exponent(session: Session, currency: str) -> int:
    """Return the decimal digits of a currency's major unit, as ``exponents`` does."""
    return (await exponents(session, (currency,)))[currency]


async def exponents(session: Session, currencies: Iterable[str]) -> dict[str, int]:
    """Return the decimal digits of each currency's major unit.

    An asset is read once and then known for good, since it never changes. 0 for one that no record
    has registered here yet.
    """
    wanted = set(currencies)
    unknown = {currency for currency in wanted if not is_known(currency)}
    if unknown:
        names = ascii_texts(unknown)
        query = f"SELECT currency,exponent FROM assets WHERE currency IN ({names})"
        for currency, digits in await session.rows(query):
            learn(currency, int(digits))
    return {currency: exponent_of(currency) if is_known(currency) else 0 for currency in wanted}
