"""Know how many decimal digits a currency has: of ISO 4217's table, or registered. SQL only."""

from ledger.store.pool import Session
from walletkit.money import exponent_of, is_known, learn
from walletkit.sql.literals import literal


async def exponent(session: Session, currency: str) -> int:
    """Return the decimal digits of a currency's major unit.

    An asset is read once and then known for good, since it never changes. 0 for one that no record
    has registered here yet.
    """
    if not is_known(currency):
        name = f"_ascii {literal(currency.encode('ascii'))}"
        rows = await session.rows(f"SELECT exponent FROM assets WHERE currency={name}")
        if not rows:
            return 0
        learn(currency, int(rows[0][0]))
    return exponent_of(currency)
