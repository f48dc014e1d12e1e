"""Read what counts at another time than it was recorded. SQL only.

Most entries count when they were recorded; of the others there is a row each in
`effective_entries`, so that a balance at an effective time is the recorded one and a small
correction.
"""

from collections.abc import Collection
from typing import NamedTuple

from ledger.store.pool import Session
from ledger.store.queries import ENTRY_COLUMNS, EntryRow, entry_of
from walletkit.clock import day_of
from walletkit.sql.literals import literal


class Moved(NamedTuple):
    """An entry that counts at another time, and that time."""

    effective_us: int
    row: EntryRow


async def correction(session: Session, wallet_id: bytes, version: int, time_us: int) -> int:
    """Return what a wallet's balance by effective times has beyond the recorded one, at a moment.

    The recorded balance at T holds each entry recorded before T. By effective times

    - what was recorded before T but counts at T or later is not yet in it: taken off;
    - what was recorded at T or later but counts before T was in it already: added;

    and every other entry is in both or in neither. Entries beyond ``version`` are left out.
    """
    rows = await session.rows(
        f"""SELECT
        (SELECT COALESCE(SUM(delta),0) FROM effective_entries WHERE wallet_id={literal(wallet_id)}
        AND effective_us<{time_us:d} AND time_us>={time_us:d} AND version<={version:d})
        -(SELECT COALESCE(SUM(delta),0) FROM effective_entries WHERE wallet_id={literal(wallet_id)}
        AND effective_us>={time_us:d} AND time_us<{time_us:d} AND version<={version:d})"""
    )
    return int(rows[0][0])


async def moved_between(
    session: Session, wallet_id: bytes, after: tuple[int, int], end_us: int, until: int, limit: int
) -> list[Moved]:
    """Return entries that count at another time, by that time and version, up to a version.

    ``after`` is the time and version behind which they begin, ``end_us`` the time before which they
    end.
    """
    time_us, version = after
    rows = await session.rows(
        f"""SELECT effective_us,version,time_us FROM effective_entries
        WHERE wallet_id={literal(wallet_id)}
        AND (effective_us>{time_us:d} OR effective_us={time_us:d} AND version>{version:d})
        AND effective_us<{end_us:d} AND version<={until:d}
        ORDER BY effective_us,version LIMIT {limit:d}"""
    )
    entries = await _entries(session, wallet_id, {(v, day_of(time)) for _, v, time in rows})
    return [Moved(effective_us, entries[version]) for effective_us, version, _ in rows]


async def are_moved(
    session: Session, wallet_id: bytes, places: Collection[tuple[int, int]]
) -> set[int]:
    """Return the versions of those entries, given by effective time and version, that are moved."""
    if not places:
        return set()
    listed = " OR ".join([f"effective_us={time:d} AND version={v:d}" for time, v in sorted(places)])
    rows = await session.rows(
        f"""SELECT version FROM effective_entries WHERE wallet_id={literal(wallet_id)}
        AND ({listed})"""
    )
    return {version for (version,) in rows}


async def _entries(
    session: Session, wallet_id: bytes, places: Collection[tuple[int, int]]
) -> dict[int, EntryRow]:
    """Return entries by version; ``places`` are version and day."""
    if not places:
        return {}
    days = ",".join([f"{day:d}" for day in sorted({day for _, day in places})])
    versions = ",".join([f"{version:d}" for version in sorted({version for version, _ in places})])
    rows = await session.rows(
        f"""SELECT {ENTRY_COLUMNS} FROM entries WHERE wallet_id={literal(wallet_id)}
        AND day IN ({days}) AND version IN ({versions})"""
    )
    return {row.version: row for row in map(entry_of, rows)}
