"""Read a closed month back, for its export. SQL only; every statement returns one bounded page.

What it reads never changes any more, so no statement needs to see the same moment as another.
"""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from ledger.domain.journal import Entry
from ledger.store.audit import RecordRow
from ledger.store.pool import Session
from ledger.store.trial import last_before
from walletkit.clock import DAY_US
from walletkit.sql.literals import literal

CLOCK_SLACK_US = 60_000_000
"""Records of several writers may stand in another order than their times, by far less than this:
each reads the shard's clock before it takes its place."""

TIMES_PAGE = 1_000

_ENTRY = ",".join(
    f"e.{name}"
    for name in (
        *("wallet_id", "version", "day", "seq", "n", "number", "tx_id", "counterparty"),
        *("delta", "balance_after", "time_us", "type"),
    )
)


class Pages(NamedTuple):
    """How many rows are read at once."""

    records: int = 16
    """Records of 1,000 transfers have some 300 KiB, none more than 8 MiB."""
    entries: int = 2_000


class EntryRow(NamedTuple):
    """An entry with what its wallet is."""

    entry: Entry
    account_id: str
    currency: str


async def before(session: Session, shard: int, newest: int, moment_us: int) -> int:
    """Return the seq before a shard's first record at or after a moment; ``newest`` for none.

    It is the same whenever it is asked for, once such a record is here.
    """
    seq = first = await last_before(session, shard, newest, moment_us)
    while seq:
        rows = await session.rows(
            f"""SELECT seq,time_us FROM records WHERE shard={shard:d} AND seq<={seq:d}
            ORDER BY seq DESC LIMIT {TIMES_PAGE:d}"""
        )
        for found, time_us in rows:
            if time_us < moment_us - CLOCK_SLACK_US:
                return first
            if time_us >= moment_us:
                first = found - 1
        seq = rows[-1][0] - 1 if rows else 0
    return first


async def last_times(session: Session) -> dict[int, int]:
    """Return the time of each shard's last record, in microseconds; 0 where none came in."""
    rows = await session.rows(
        """SELECT c.shard,r.time_us FROM cursors c
        LEFT JOIN records r ON r.shard=c.shard AND r.seq=c.seq ORDER BY c.shard"""
    )
    return {shard: time_us or 0 for shard, time_us in rows}


async def records(
    session: Session, shard: int, after: int, until: int, page: int
) -> AsyncIterator[RecordRow]:
    """Yield a shard's records after a seq up to another."""
    while after < until:
        rows = await session.rows(
            f"""SELECT {",".join(RecordRow._fields)} FROM records WHERE shard={shard:d}
            AND seq>{after:d} AND seq<={until:d} ORDER BY seq LIMIT {page:d}"""
        )
        for row in rows:
            yield RecordRow(*row)
        if len(rows) < page:
            return
        after = rows[-1][0]


async def entries(
    session: Session, shard: int, seqs: tuple[int, int], times: tuple[int, int], page: int
) -> AsyncIterator[EntryRow]:
    """Yield the entries of a shard's records after a seq up to another, by day and wallet.

    ``times`` are the least and the last of the records, between which all their entries lie: those
    take their record's time, or a later one of their wallet. By its day alone is an entry found,
    and a day without any would be read to its end.
    """
    for day in range(times[0] // DAY_US, times[1] // DAY_US + 1):
        wallet_id, version = b"", 0
        while True:
            rows = await session.rows(
                f"""SELECT {_ENTRY},a.account_id,a.currency
                FROM entries e STRAIGHT_JOIN accounts a ON a.wallet_id=e.wallet_id
                WHERE e.day={day:d} AND e.shard={shard:d}
                AND e.seq>{seqs[0]:d} AND e.seq<={seqs[1]:d}
                AND (e.wallet_id={literal(wallet_id)} AND e.version>{version:d}
                OR e.wallet_id>{literal(wallet_id)})
                ORDER BY e.wallet_id,e.version LIMIT {page:d}"""
            )
            for row in rows:
                yield EntryRow(_entry(row[:-2]), row[-2], row[-1])
            if len(rows) < page:
                break
            wallet_id, version = rows[-1][:2]


def _entry(row: tuple[Any, ...]) -> Entry:
    """Read a row; the driver gives DECIMAL as ``Decimal``."""
    wallet_id, version, day, seq, n, number, tx_id, other, delta, after, time_us, kind = row
    return (
        *(wallet_id, version, day, seq, n, number, tx_id, other),
        *(delta, int(after), time_us, kind),
    )
