"""Read a wallet's entries of a period oldest first, a few at a time. SQL only.

Nothing is held between two reads, however slow the reader is: entries are only ever added, and each
read ends at a version that was fixed before the first one.
"""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from guilder.events.v1 import record_pb2 as events
from ledger.domain.account import Account
from ledger.store import queries
from ledger.store.effective import are_moved, correction, moved_between
from ledger.store.pool import Pool, Session
from ledger.store.queries import ENTRY_COLUMNS, NOTHING, Edge, EntryRow, Place
from walletkit.clock import day_of
from walletkit.sql.literals import literal

AT_ONCE = 500
"""Entries that are read, and kept in memory, at once."""

_BEFORE_ALL = -(2**63)
_AFTER_ALL = 2**63 - 1
_BEYOND_VERSIONS = 2**64 - 1


class Line(NamedTuple):
    """An entry as a statement has it."""

    time_us: int
    """When it counts, by the statement's basis."""

    row: EntryRow
    transaction: events.Transaction | None
    """None while its home's record is not here yet."""
    effective_us: int
    """When it counts, as its own record says; 0 for its recorded time."""


class Period(NamedTuple):
    """What a statement is about: a wallet as it is at the start, and a time range."""

    wallet_id: bytes
    account: Account
    start_us: int | None
    end_us: int | None
    oldest: Edge
    """The newest entry recorded before the period."""

    newest: Edge
    """The newest entry recorded before the period's end."""

    opening: int
    closing: int


async def period_of(
    session: Session,
    wallet_id: bytes,
    account: Account,
    times: tuple[int | None, int | None],
    *,
    effective: bool,
) -> Period:
    """Return a period with its balances by recorded or by effective times."""
    start_us, end_us = times
    oldest, newest = NOTHING, Edge(account.version, day_of(account.time_us), account.posted)
    if start_us is not None:
        oldest = await queries.last_before(session, wallet_id, account, start_us)
    if end_us is not None:
        newest = await queries.last_before(session, wallet_id, account, end_us)
    opening, closing = oldest.balance, newest.balance
    if effective and start_us is not None:
        opening += await correction(session, wallet_id, account.version, start_us)
    if effective and end_us is not None:
        closing += await correction(session, wallet_id, account.version, end_us)
    return Period(wallet_id, account, start_us, end_us, oldest, newest, opening, closing)


async def recorded_lines(pool: Pool, period: Period) -> AsyncIterator[list[Line]]:
    """Yield the entries recorded in a period, in their order; at most ``AT_ONCE`` at a time."""
    reader = _Recorded(period)
    while lines := await reader.next(pool):
        yield lines


async def effective_lines(pool: Pool, period: Period) -> AsyncIterator[list[Line]]:
    """Yield the entries that count in a period, by that time; at most ``AT_ONCE`` at a time.

    These are two lists in order: of what was recorded in the period and counts then, and of what
    counts in it at another time than it was recorded, whenever that was.
    """
    usual = _Ahead(pool, _Recorded(period, usual_only=True))
    moved = _Ahead(pool, _Moved(period))
    lines: list[Line] = []
    while True:
        first, second = await usual.first(), await moved.first()
        if first is None and second is None:
            break
        if second is None or (first is not None and _order(first) <= _order(second)):
            lines.append(usual.pop())
        else:
            lines.append(moved.pop())
        if len(lines) == AT_ONCE:
            yield lines
            lines = []
    if lines:
        yield lines


def _order(line: Line) -> tuple[int, int]:
    return line.time_us, line.row.version


class _Recorded:
    """The entries recorded in a period; without those that count at another time, if told so."""

    def __init__(self, period: Period, *, usual_only: bool = False) -> None:
        self._period = period
        self._usual_only = usual_only
        self._after = period.oldest

    async def next(self, pool: Pool) -> list[Line]:
        """Return the next lines; none at the end."""
        lines: list[Line] = []
        while not lines:
            async with pool.session() as session:
                rows = await _forward(session, self._period, self._after)
                if not rows:
                    break
                self._after = Edge(rows[-1].version, rows[-1].day, 0)
                lines = await _lines(session, [(row.time_us, row) for row in rows])
                if self._usual_only:
                    lines = await self._usual(session, lines)
        return lines

    async def _usual(self, session: Session, lines: Sequence[Line]) -> list[Line]:
        stated = {(line.effective_us, line.row.version) for line in lines if line.effective_us}
        moved = await are_moved(session, self._period.wallet_id, stated)
        return [line for line in lines if line.row.version not in moved]


class _Moved:
    """The entries that count in a period, at another time than they were recorded."""

    def __init__(self, period: Period) -> None:
        self._period = period
        start_us, end_us = period.start_us, period.end_us
        self._end_us = _AFTER_ALL if end_us is None else end_us
        self._after = (_BEFORE_ALL if start_us is None else start_us - 1, _BEYOND_VERSIONS)

    async def next(self, pool: Pool) -> list[Line]:
        """Return the next lines; none at the end."""
        wallet_id, until = self._period.wallet_id, self._period.account.version
        async with pool.session() as session:
            found = await moved_between(
                session, wallet_id, self._after, self._end_us, until, AT_ONCE
            )
            if not found:
                return []
            self._after = (found[-1].effective_us, found[-1].row.version)
            return await _lines(session, [(moved.effective_us, moved.row) for moved in found])


class _Ahead:
    """A list that is looked at before it is taken from."""

    def __init__(self, pool: Pool, reader: _Recorded | _Moved) -> None:
        self._pool = pool
        self._reader = reader
        self._lines: deque[Line] = deque()
        self._ended = False

    async def first(self) -> Line | None:
        """Return the next line without taking it; None at the end."""
        if not self._lines and not self._ended:
            self._lines.extend(await self._reader.next(self._pool))
            self._ended = not self._lines
        return self._lines[0] if self._lines else None

    def pop(self) -> Line:
        """Take the line that ``first`` has returned."""
        return self._lines.popleft()


async def _forward(session: Session, period: Period, after: Edge) -> list[EntryRow]:
    """Return the next entries behind one, oldest first, up to the period's newest.

    Days are opened in growing steps, as in ``queries``.
    """
    entries: list[EntryRow] = []
    until = period.newest
    first, step = after.day, queries.FIRST_DAYS
    while first <= until.day and len(entries) < AT_ONCE:
        last = min(first + step - 1, until.day)
        rows = await session.rows(
            f"""SELECT {ENTRY_COLUMNS} FROM entries WHERE wallet_id={literal(period.wallet_id)}
            AND day BETWEEN {first:d} AND {last:d}
            AND version>{after.version:d} AND version<={until.version:d}
            ORDER BY version LIMIT {AT_ONCE - len(entries):d}"""
        )
        entries += map(queries.entry_of, rows)
        first, step = last + 1, step * queries.STEP_FACTOR
    return entries


async def _lines(session: Session, timed: Sequence[tuple[int, EntryRow]]) -> list[Line]:
    """Find the transaction behind each entry, and when the entry counts.

    A landed leg says that itself: its home's record may not be here yet.
    """
    homes = await queries.homes_of_legs(session, {row.tx_id for _, row in timed if row.n < 0})
    own = [Place(row.shard, row.seq, row.n) for _, row in timed]
    stated = await queries.leg_times(session, {place for place in own if place.n < 0})
    places = [
        place if place.n >= 0 else homes.get(row.tx_id)
        for place, (_, row) in zip(own, timed, strict=True)
    ]
    read = await queries.read_transactions(session, {place for place in places if place})
    lines = []
    for (time_us, row), place, home in zip(timed, own, places, strict=True):
        transaction = read[home][0] if home in read else None
        effective_us = stated.get(place, 0)
        if place.n >= 0 and transaction is not None:
            effective_us = transaction.effective_time_us
        lines.append(Line(time_us, row, transaction, effective_us))
    return lines
