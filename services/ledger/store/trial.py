"""Sum the books up at one moment, now or earlier. SQL only."""

from collections.abc import Mapping
from typing import NamedTuple

from ledger.store.pool import Pool, Session
from walletkit.clock import day_of
from walletkit.sql.session import Rows

_KIND = "IF(ORD(wallet_id)=0,ORD(SUBSTRING(wallet_id,2,1)),0)"
_LINES = f"""SELECT shard,currency,{_KIND} AS kind,
    SUM(debit),SUM(credit),SUM(posted),COUNT(*),MAX(time_us)
    FROM accounts{{where}} GROUP BY shard,currency,kind
    ORDER BY shard,currency,kind"""

_DAY_SINCE = f"""SELECT a.shard,a.currency,{_KIND.replace("wallet_id", "a.wallet_id")} AS kind,
    SUM(s.debit),SUM(s.credit)
    FROM (SELECT e.wallet_id,SUM(IF(delta<0,-delta,0)) AS debit,SUM(IF(delta>0,delta,0)) AS credit
        FROM entries e JOIN ({{cuts}}) c ON c.shard=e.shard AND e.seq>c.seq
        WHERE e.day={{day:d}} GROUP BY e.wallet_id) s
    JOIN accounts a ON a.wallet_id=s.wallet_id GROUP BY a.shard,a.currency,kind"""
"""What one day's entries of records beyond each shard's cut have moved."""


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


async def trial_balance(
    pool: Pool, shard: int | None, time_us: int | None = None
) -> tuple[list[Line], dict[int, int]]:
    """Return the lines and up to where each shard is counted: now, or before a moment.

    An earlier moment is reached backwards: from the sums of now what came since is taken off, a
    day's entries at a time. Each shard is cut between two records, so that the lines of any moment
    sum to zero. Raise ``ServiceError`` (LEDGER_UNAVAILABLE).
    """
    where = "" if shard is None else f" WHERE shard={shard:d}"
    async with pool.snapshot() as session:
        positions: dict[int, int] = dict(
            await session.rows(f"SELECT shard,seq FROM cursors{where} ORDER BY shard")
        )
        if time_us is None:
            return _lines_of(await session.rows(_LINES.format(where=where))), positions
        cuts = {n: await last_before(session, n, seq, time_us) for n, seq in positions.items()}
        return await lines_until(session, positions, cuts, time_us, where), cuts


async def lines_until(
    session: Session,
    positions: Mapping[int, int],
    cuts: Mapping[int, int],
    time_us: int,
    where: str = "",
) -> list[Line]:
    """Return the lines as they were when each shard was at its cut, about a moment.

    ``positions`` are where the shards are now. Raise ``ServiceError`` (LEDGER_UNAVAILABLE).
    """
    rows = await session.rows(_LINES.format(where=where))
    lines = _lines_of(rows)
    behind = {n: seq for n, seq in cuts.items() if seq < positions[n]}
    if behind:
        first = await _first_day(session, behind, time_us)
        last = max([day_of(row[-1]) for row in rows], default=first)
        since = await _moved_since(session, behind, range(first, last + 1))
        lines = [_less(line, since) for line in lines]
    return lines


def _lines_of(rows: Rows) -> list[Line]:
    return [
        Line(shard, currency, kind, int(debit), int(credit), int(net), wallets)
        for shard, currency, kind, debit, credit, net, wallets, _ in rows
    ]


async def last_before(session: Session, shard: int, newest: int, time_us: int) -> int:
    """Return the seq of a shard's last record before a moment, 0 for none.

    By halving: a shard's clock does not run backwards. If it did after all, this is still a place
    between two records.
    """
    low, high = 0, newest
    while low < high:
        middle = (low + high + 1) // 2
        rows = await session.rows(
            f"SELECT time_us<{time_us:d} FROM records WHERE shard={shard:d} AND seq={middle:d}"
        )
        if not rows or rows[0][0]:
            low = middle
        else:
            high = middle - 1
    return low


async def _first_day(session: Session, cuts: Mapping[int, int], time_us: int) -> int:
    """Return the first day on which records beyond the cuts can have entries.

    A day early, for a clock that was set back; no earlier than the shards' first records.
    """
    days = []
    for shard in cuts:
        rows = await session.rows(
            f"SELECT time_us FROM records WHERE shard={shard:d} ORDER BY seq LIMIT 1"
        )
        days += [day_of(row[0]) for row in rows]
    return max(day_of(time_us), min(days, default=0), 1) - 1


async def _moved_since(
    session: Session, cuts: Mapping[int, int], days: range
) -> dict[tuple[int, str, int], tuple[int, int]]:
    """Return debits and credits of records beyond the cuts, by shard, currency and kind."""
    union = " UNION ALL ".join(
        [f"SELECT {shard:d} AS shard,{seq:d} AS seq" for shard, seq in cuts.items()]
    )
    sums: dict[tuple[int, str, int], tuple[int, int]] = {}
    for day in days:
        rows = await session.rows(_DAY_SINCE.format(cuts=union, day=day))
        for shard, currency, kind, debit, credit in rows:
            debits, credits_ = sums.get((shard, currency, kind), (0, 0))
            sums[shard, currency, kind] = (debits + int(debit), credits_ + int(credit))
    return sums


def _less(line: Line, since: Mapping[tuple[int, str, int], tuple[int, int]]) -> Line:
    debit, credit = since.get((line.shard, line.currency, line.kind), (0, 0))
    return line._replace(
        debit=line.debit - debit, credit=line.credit - credit, net=line.net - credit + debit
    )
