"""Read the entries of one or more wallets of a shard as one list, newest first. SQL only.

Each wallet's entries are read by version, so what is written meanwhile, which has higher versions,
neither shifts nor doubles anything; they are merged in commit order. Where reading has come to is
one mark a wallet.
"""

import heapq
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from ledger.domain.account import Account
from ledger.store.pool import Session
from ledger.store.queries import ENTRY_COLUMNS, FIRST_DAYS, STEP_FACTOR, EntryRow, entry_of
from ledger.store.shard_store import ACCOUNT_COLUMNS, account_of
from walletkit.clock import day_of
from walletkit.sql.literals import ascii_text, literal
from walletkit.sql.session import Rows

FIRST_ROWS = 8
MAX_ROWS = 1_000
"""Entries of one wallet that are looked through at once: few at first, since most wallets of an
account are idle, then ever more."""


class Mark(NamedTuple):
    """How far a wallet's entries have been read: what is left is below this version.

    ``day`` is the last one on which any of it can be.
    """

    wallet_id: bytes
    below: int
    day: int


class WalletRow(NamedTuple):
    """An entry and its wallet."""

    wallet_id: bytes
    row: EntryRow


async def wallets_of(
    session: Session, account_id: str, limit: int
) -> tuple[dict[bytes, Account], int]:
    """Return an account's wallets, at most ``limit``, and how far their shard is at least."""
    # The text's own character set, so that the index serves: the column's is ascii too.
    owner = ascii_text(account_id)
    cursor, rows = await session.run(
        f"""SELECT c.seq FROM accounts a JOIN cursors c ON c.shard=a.shard
        WHERE a.account_id={owner} LIMIT 1;
        SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE account_id={owner}
        ORDER BY wallet_id LIMIT {limit:d}"""
    )
    return dict(map(account_of, rows)), cursor[0][0] if cursor else 0


class Merge:
    """Entries of wallets, merged. ``scanned`` counts those that were looked through."""

    def __init__(
        self,
        marks: Collection[Mark],
        types: Collection[int] = (),
        start_us: int | None = None,
        expected: int = 0,
    ) -> None:
        """Begin at marks.

        With ``types`` entries of other types are passed over, but not those of type 0. Nothing
        before ``start_us`` is given. ``expected`` is how many entries are likely to be taken.
        """
        rows = min(max(expected // max(len(marks), 1) + 1, FIRST_ROWS), MAX_ROWS)
        self._streams = [_Stream(mark, types, start_us or 0, rows) for mark in marks]
        self._ready: list[tuple[tuple[int, ...], int]] = []
        self._empty = [number for number, stream in enumerate(self._streams) if not stream.ended]
        """Wallets with more entries than have been read, and none of those left."""
        self.scanned = 0

    @property
    def done(self) -> bool:
        """Whether there is no further entry."""
        return not self._ready and all(stream.ended for stream in self._streams)

    async def take(self, session: Session, count: int, budget: int) -> list[WalletRow]:
        """Return the next entries, at most ``count``.

        Fewer when there are no more, or when ``budget`` entries have been looked through in all.
        """
        taken: list[WalletRow] = []
        while len(taken) < count:
            if self._empty:
                # Without the newest entry of every wallet nobody knows which one is the next.
                if self.scanned >= budget:
                    break
                await self._fill(session)
            elif self._ready:
                number = heapq.heappop(self._ready)[1]
                stream = self._streams[number]
                taken.append(WalletRow(stream.wallet_id, stream.rows.popleft()))
                self._offer(number)
            else:
                break
        return taken

    def marks(self, unused: Sequence[WalletRow]) -> list[Mark]:
        """Return where to go on, with those taken last given back."""
        first: dict[bytes, EntryRow] = {}
        for wallet_id, row in unused:
            first.setdefault(wallet_id, row)
        found = []
        for stream in self._streams:
            following = first.get(stream.wallet_id) or (stream.rows[0] if stream.rows else None)
            if following is not None:
                found.append(Mark(stream.wallet_id, following.version + 1, following.day))
            elif not stream.ended:
                found.append(stream.mark)
        return found

    async def _fill(self, session: Session) -> None:
        pending = [self._streams[number] for number in self._empty]
        while pending:
            results = iter(await session.run(";".join([stream.query() for stream in pending])))
            for stream in pending:
                self.scanned += stream.add(results)
            # Days without entries are no work, and are passed over in a few growing steps: who
            # stopped among them would begin with the smallest step again.
            pending = [stream for stream in pending if stream.between_days]
        filled, self._empty = self._empty, []
        for number in filled:
            self._offer(number)

    def _offer(self, number: int) -> None:
        """Let a wallet's newest entry take part."""
        stream = self._streams[number]
        if stream.rows:
            heapq.heappush(self._ready, (_order(stream.rows[0]), number))
        elif not stream.ended:
            self._empty.append(number)


def _order(row: EntryRow) -> tuple[int, ...]:
    """Return what sorts entries newest first.

    Landed legs are numbered -1, -2, … in their record; they go before its transactions. A wallet's
    own entries come by version whatever this says, and of two wallets' the lower id's first.
    """
    return (-row.seq, row.n < 0, -abs(row.n), -row.number)


class _Stream:
    """One wallet's entries, newest first, read a window at a time."""

    def __init__(self, mark: Mark, types: Collection[int], start_us: int, rows: int) -> None:
        self.wallet_id = mark.wallet_id
        self.mark = mark
        self.rows: deque[EntryRow] = deque()
        self._types = ",".join([f"{type_:d}" for type_ in sorted({0, *types})]) if types else ""
        self._start_us = start_us
        self._oldest_day = max(day_of(start_us), 0)
        self._days = FIRST_DAYS
        self._limit = rows
        self._short = False
        self.ended = mark.day < self._oldest_day

    @property
    def between_days(self) -> bool:
        """Whether the last window had all of its days, and nothing to give."""
        return self._short and not self.rows and not self.ended

    def query(self) -> str:
        """Return the statements that look through the next window."""
        window = f"""FROM entries WHERE wallet_id={literal(self.wallet_id)}
            AND day BETWEEN {self._first_day():d} AND {self.mark.day:d}
            AND version<{self.mark.below:d} ORDER BY version DESC LIMIT {self._limit:d}"""
        if not self._types:
            return f"SELECT {ENTRY_COLUMNS} {window}"
        return f"""SELECT COUNT(*),MIN(version),MIN(day),MIN(time_us)
            FROM (SELECT version,day,time_us {window}) w;
            SELECT {ENTRY_COLUMNS} FROM (SELECT {ENTRY_COLUMNS} {window}) w
            WHERE type IN ({self._types}) ORDER BY version DESC"""

    def add(self, results: Iterator[Rows]) -> int:
        """Take in what the statements have given; return how many entries were looked through."""
        (window,) = next(results) if self._types else (None,)
        rows = [entry_of(row) for row in next(results)]
        if window is None:
            last = (rows[-1].version, rows[-1].day, rows[-1].time_us) if rows else (None,) * 3
            window = (len(rows), *last)
        self.rows.extend([row for row in rows if row.time_us >= self._start_us])
        self._advance(*window)
        return int(window[0])

    def _advance(
        self, count: int, version: int | None, day: int | None, time_us: int | None
    ) -> None:
        """Go on behind a window, given its number of entries and the oldest one."""
        below = self.mark.below if version is None else version
        self._short = count < self._limit
        if day is not None and not self._short:
            self.mark = Mark(self.wallet_id, below, day)
            self._limit = min(self._limit * 2, MAX_ROWS)
        else:
            first = self._first_day()
            self.ended = first == self._oldest_day
            self.mark = Mark(self.wallet_id, below, max(first - 1, 0))
            self._days *= STEP_FACTOR
        if time_us is not None and time_us < self._start_us:
            # A wallet's entries never run backwards in time.
            self.ended = True

    def _first_day(self) -> int:
        return max(self.mark.day - self._days + 1, self._oldest_day)
