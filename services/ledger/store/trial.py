"""Sum the books up at one moment. SQL only."""

from typing import NamedTuple

from ledger.store.pool import Pool

_LINES = """SELECT shard,currency,IF(ORD(wallet_id)=0,ORD(SUBSTRING(wallet_id,2,1)),0) AS kind,
    SUM(debit),SUM(credit),SUM(posted),COUNT(*) FROM accounts{where} GROUP BY shard,currency,kind
    ORDER BY shard,currency,kind"""


class Line(NamedTuple):
    """Sums of all customers (kind 0) or of a system wallet, of one shard and currency.

    Minor units.
    """

    shard: int
    currency: str
    kind: int
    debit: int
    credit: int
    net: int
    wallets: int


async def trial_balance(pool: Pool, shard: int | None) -> tuple[list[Line], dict[int, int]]:
    """Return the lines and how far each shard was, all at one moment.

    Raise ``ServiceError`` (LEDGER_UNAVAILABLE).
    """
    where = "" if shard is None else f" WHERE shard={shard:d}"
    async with pool.snapshot() as session:
        positions = await session.rows(f"SELECT shard,seq FROM cursors{where} ORDER BY shard")
        rows = await session.rows(_LINES.format(where=where))
    lines = [
        Line(shard_, currency, kind, int(debit), int(credit), int(net), wallets)
        for shard_, currency, kind, debit, credit, net, wallets in rows
    ]
    return lines, dict(positions)
