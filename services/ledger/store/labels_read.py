"""Find transactions by their labels. SQL only; every query is bounded by a LIMIT or by places.

Only transactions have labels, in the records of their homes. They are listed by shard and place in
its stream, newest first: what comes in meanwhile stands before what was read, or in a shard that is
still to be read, and is then listed once.
"""

from collections.abc import Collection
from typing import NamedTuple

from ledger.store.pool import Session
from ledger.store.queries import Place
from walletkit.sql.literals import literal


class LabelRow(NamedTuple):
    """A transaction that has a label."""

    shard: int
    seq: int
    n: int
    tx_id: bytes
    time_us: int


_COLUMNS = ",".join(LabelRow._fields)


async def labelled(
    session: Session, label: bytes, before: Place | None, limit: int
) -> list[LabelRow]:
    """Return what has a label, newest first, at most ``limit``: from the end, or before a place."""
    below = ""
    if before is not None:
        shard, seq, n = before
        below = (
            f"AND (shard<{shard:d} OR shard={shard:d} AND seq<{seq:d}"
            f" OR shard={shard:d} AND seq={seq:d} AND n<{n:d})"
        )
    rows = await session.rows(
        f"""SELECT {_COLUMNS} FROM labels WHERE label={literal(label)} {below}
        ORDER BY shard DESC,seq DESC,n DESC LIMIT {limit:d}"""
    )
    return [LabelRow(*row) for row in rows]


async def having(session: Session, label: bytes, places: Collection[Place]) -> set[Place]:
    """Return those of some places where a transaction with a label stands."""
    if not places:
        return set()
    listed = " OR ".join([f"shard={s:d} AND seq={q:d} AND n={n:d}" for s, q, n in sorted(places)])
    rows = await session.rows(
        f"SELECT shard,seq,n FROM labels WHERE label={literal(label)} AND ({listed})"
    )
    return {Place(*row) for row in rows}
