"""Narrow a list of transactions by what only lookups tell: labels, states, types. SQL only.

Each lookup is by key, for a few hundred transactions at once; a record is only read where nothing
else tells a type.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from ledger.store.labels_read import LabelRow, having, labelled
from ledger.store.merged import Mark, Merge, WalletRow
from ledger.store.pool import Session
from ledger.store.queries import (
    EntryRow,
    Place,
    homes_of_legs,
    read_transactions,
    states_now,
)


class Found(NamedTuple):
    """A transaction that was come across, and the entry behind which it was, if any."""

    tx_id: bytes
    place: Place | None
    """Where its home's record has it; None while that is not here."""
    wallet_id: bytes = b""
    row: EntryRow | None = None

    @property
    def type(self) -> int:
        """Return its type; 0 where only the record has it."""
        return 0 if self.row is None else self.row.type


class Filters(NamedTuple):
    """What a transaction must have; nothing given, anything goes."""

    types: frozenset[int] = frozenset()
    states: frozenset[int] = frozenset()
    labels: tuple[bytes, ...] = ()


ANYTHING = Filters()


class Source(Protocol):
    """Transactions in the order of a list."""

    @property
    def scanned(self) -> int:
        """How many have been looked through."""

    @property
    def done(self) -> bool:
        """Whether there is no further one."""

    async def take(self, session: Session, count: int, budget: int) -> list[Found]:
        """Return the next ones, while less than ``budget`` have been looked through in all."""


class OfWallets:
    """The transactions behind entries of wallets."""

    def __init__(self, merge: Merge, *, homes: bool = True) -> None:
        """Merge entries; without ``homes`` a landed leg's transaction has no place."""
        self._merge = merge
        self._homes = homes

    @property
    def scanned(self) -> int:
        """Entries that were looked through."""
        return self._merge.scanned

    @property
    def done(self) -> bool:
        """Whether there is no further entry."""
        return self._merge.done

    async def take(self, session: Session, count: int, budget: int) -> list[Found]:
        """Return the next entries with their transactions' places."""
        rows = await self._merge.take(session, count, budget)
        legs = {row.tx_id for _, row in rows if row.n < 0} if self._homes else ()
        homes = await homes_of_legs(session, legs)
        return [
            Found(
                row.tx_id,
                homes.get(row.tx_id) if row.n < 0 else Place(row.shard, row.seq, row.n),
                wallet_id,
                row,
            )
            for wallet_id, row in rows
        ]

    def marks(self, unused: Sequence[Found]) -> list[Mark]:
        """Return where to go on, with those taken last given back."""
        return self._merge.marks(
            [WalletRow(found.wallet_id, found.row) for found in unused if found.row is not None]
        )


class OfLabel:
    """The transactions that have a label, from ``start_us`` to before ``end_us``."""

    def __init__(
        self, label: bytes, before: Place | None, start_us: int | None, end_us: int | None
    ) -> None:
        self._label = label
        self._before = before
        self._start_us = start_us
        self._end_us = end_us
        self.scanned = 0
        self.done = False

    async def take(self, session: Session, count: int, budget: int) -> list[Found]:
        """Return the next ones."""
        found: list[Found] = []
        while not found and not self.done and self.scanned < budget:
            rows = await labelled(session, self._label, self._before, count)
            self.scanned += len(rows)
            self.done = len(rows) < count
            if rows:
                self._before = Place(*rows[-1][:3])
            found = [Found(row.tx_id, Place(*row[:3])) for row in rows if self._fits(row)]
        return found

    def before(self, unused: Sequence[Found]) -> Place | None:
        """Return where to go on, with those taken last given back."""
        if unused and unused[0].place is not None:
            shard, seq, n = unused[0].place
            return Place(shard, seq, n + 1)
        return self._before

    def _fits(self, row: LabelRow) -> bool:
        early = self._start_us is not None and row.time_us < self._start_us
        return not early and (self._end_us is None or row.time_us < self._end_us)


async def narrow(
    session: Session, found: Sequence[Found], filters: Filters
) -> tuple[list[Found], int]:
    """Return those that fit, in order, and how many records had to be read."""
    kept = list(found)
    for label in filters.labels:
        places = await having(session, label, _places(kept))
        kept = [item for item in kept if item.place in places]
    if filters.states:
        states = await states_now(session, {item.tx_id for item in kept if item.place})
        kept = [item for item in kept if states.get(item.tx_id) in filters.states]
    if not filters.types:
        return kept, 0
    unknown = {item.place for item in kept if item.type == 0 and item.place is not None}
    read = await read_transactions(session, unknown)
    types = {place: transaction.type for place, (transaction, _) in read.items()}
    kept = [
        item
        for item in kept
        if (item.type or (types.get(item.place, 0) if item.place else 0)) in filters.types
    ]
    return kept, len({place[:2] for place in unknown})


def _places(found: Collection[Found]) -> set[Place]:
    return {item.place for item in found if item.place is not None}
