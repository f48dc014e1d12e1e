"""Read back what only some records have, for the proofs: holds, labels, admin actions, and so on.

SQL only; each statement reads one bounded chunk by primary key.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from ledger.domain.holding import Hold
from ledger.domain.record import HoldState
from ledger.domain.sparse import COLUMNS, SparseRow
from ledger.store.pool import Session
from ledger.store.shard_store import HOLD_COLUMNS, hold_of
from walletkit.ids import NIL
from walletkit.sql.literals import id_list, literal

ROWS_CHUNK = 2_000

_KEYS = {
    "labels": ("label", "seq", "n"),
    "effective_entries": ("wallet_id", "effective_us", "version"),
    "hold_changes": ("hold_id", "version"),
    "audit_events": ("seq", "n"),
}
"""Primary keys, without the shard: it is always given."""


async def sparse_rows(
    session: Session, table: str, shard: int, until: int
) -> AsyncIterator[list[SparseRow]]:
    """Yield a shard's rows of one of these tables, of records up to a seq, in chunks."""
    key, columns = _KEYS[table], COLUMNS[table]
    above = "TRUE"
    while True:
        rows = await session.rows(
            f"""SELECT {",".join(columns)} FROM {table} WHERE shard={shard:d} AND seq<={until:d}
            AND ({above}) ORDER BY {",".join(key)} LIMIT {ROWS_CHUNK:d}"""
        )
        if not rows:
            return
        yield list(rows)
        above = _above(key, [rows[-1][columns.index(name)] for name in key])


async def all_holds(session: Session, shard: int) -> AsyncIterator[dict[bytes, Hold]]:
    """Yield all holds of a shard, those that have ended too, in chunks."""
    query = f"SELECT DISTINCT state FROM holds WHERE shard={shard:d} ORDER BY state"
    for (state,) in await session.rows(query):
        async for chunk in _holds_in(session, shard, state):
            yield chunk


async def open_holds(session: Session, shard: int) -> dict[bytes, Hold]:
    """Return the holds of a shard that reserve money now."""
    found: dict[bytes, Hold] = {}
    async for chunk in _holds_in(session, shard, HoldState.AUTHORIZED):
        found |= chunk
    return found


async def _holds_in(session: Session, shard: int, state: int) -> AsyncIterator[dict[bytes, Hold]]:
    """Yield a shard's holds in one state, so that the key gives the range of each chunk."""
    after = NIL
    while True:
        rows = await session.rows(
            f"""SELECT {HOLD_COLUMNS} FROM holds WHERE shard={shard:d} AND state={state:d}
            AND hold_id>{literal(after)} ORDER BY hold_id LIMIT {ROWS_CHUNK:d}"""
        )
        if not rows:
            return
        yield dict(map(hold_of, rows))
        after = rows[-1][0]


async def holds(session: Session, hold_ids: Collection[bytes]) -> dict[bytes, Hold]:
    """Return holds as they are now."""
    found: dict[bytes, Hold] = {}
    for listed in _id_lists(hold_ids):
        query = f"SELECT {HOLD_COLUMNS} FROM holds WHERE hold_id IN ({listed})"
        found |= dict(map(hold_of, await session.rows(query)))
    return found


async def holds_at(session: Session, now: dict[bytes, Hold], seq: int) -> dict[bytes, Hold]:
    """Return those holds that were there after the record of a seq, as they were."""
    found: dict[bytes, Hold] = {}
    for listed in _id_lists(now.keys()):
        rows = await session.rows(
            f"""SELECT hold_id,state,authorized,captured,released,expire_time_us FROM hold_changes
            WHERE hold_id IN ({listed}) AND seq<={seq:d} ORDER BY hold_id,version"""
        )
        # The last row of each hold stays.
        for hold_id, state, authorized, captured, released, expire_time_us in rows:
            hold = now[hold_id]
            found[hold_id] = Hold(
                *(hold.shard, hold.wallet_id, hold.currency, state),
                *(authorized, captured, released, expire_time_us),
            )
    return found


async def assets(session: Session) -> dict[str, int]:
    """Return the registered assets of all shards, with their exponents."""
    return dict(await session.rows("SELECT currency,exponent FROM assets"))


def _above(key: Sequence[str], values: Sequence[Any]) -> str:
    """Say that a key comes after these values, so that the primary key gives the range."""
    equal = [f"{name}={literal(value)}" for name, value in zip(key, values, strict=True)]
    return " OR ".join(
        " AND ".join([*equal[:place], f"{name}>{literal(values[place])}"])
        for place, name in enumerate(key)
    )


def _id_lists(ids: Collection[bytes]) -> list[str]:
    listed = sorted(ids)
    return [
        id_list(listed[start : start + ROWS_CHUNK]) for start in range(0, len(listed), ROWS_CHUNK)
    ]
