"""Read everything back, for the proofs.

SQL only; each statement reads one bounded chunk by primary key.
"""

import zlib
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

from ledger.domain.account import Account
from ledger.domain.journal import Entry
from ledger.domain.pairing import LegRow
from ledger.domain.reconciling import LegKey, OpenLeg
from ledger.domain.record import Leg, Result, Side
from ledger.store.commit import Position
from ledger.store.pool import Session
from ledger.store.shard_store import ACCOUNT_COLUMNS, account_of
from walletkit.ids import NIL, SystemKind
from walletkit.record import RETURN_LEG
from walletkit.sql.literals import id_list, literal

RECORDS_CHUNK = 16
ROWS_CHUNK = 2_000
LEGS_CHUNK = 20_000

LAST_ID = b"\xff" * 16
_ENTRY = "wallet_id,version,day,seq,n,number,tx_id,counterparty,delta,balance_after,time_us,type"
_LEG = ",".join(LegRow._fields)


class RecordRow(NamedTuple):
    """A record as it is kept."""

    seq: int
    prev_hash: bytes
    hash: bytes
    time_us: int
    payload: bytes


async def cursor(session: Session, shard: int) -> Position | None:
    """Return how far a shard is, or None for one that never was here."""
    rows = await session.rows(f"SELECT seq,hash FROM cursors WHERE shard={shard:d}")
    return Position(*rows[0]) if rows else None


async def cursors(session: Session) -> dict[int, Position]:
    """Return how far each shard is."""
    rows = await session.rows("SELECT shard,seq,hash FROM cursors ORDER BY shard")
    return {shard: Position(seq, hash_) for shard, seq, hash_ in rows}


async def hash_at(session: Session, shard: int, seq: int) -> bytes | None:
    """Return a record's hash, or None when it is not here."""
    where = f"shard={shard:d} AND seq={seq:d}"
    rows = await session.rows(f"SELECT hash FROM records WHERE {where}")
    return rows[0][0] if rows else None


async def times(session: Session, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Return the times of records by shard and seq, in microseconds."""
    listed = " OR ".join([f"shard={shard:d} AND seq={seq:d}" for shard, seq in places])
    if not listed:
        return {}
    rows = await session.rows(f"SELECT shard,seq,time_us FROM records WHERE {listed}")
    return {(shard, seq): time_us for shard, seq, time_us in rows}


async def records(session: Session, shard: int, after: int, until: int) -> list[RecordRow]:
    """Return the next few records after a seq, ``until`` at most; none at the end."""
    rows = await session.rows(
        f"""SELECT {",".join(RecordRow._fields)} FROM records WHERE shard={shard:d}
        AND seq>{after:d} AND seq<={until:d} ORDER BY seq LIMIT {RECORDS_CHUNK:d}"""
    )
    return [RecordRow(*row) for row in rows]


async def records_beyond(session: Session, shard: int, seq: int) -> int:
    """Count the records after a seq."""
    query = f"SELECT COUNT(*) FROM records WHERE shard={shard:d} AND seq>{seq:d}"
    return int((await session.rows(query))[0][0])


async def accounts(
    session: Session, shard: int, after: bytes, until: bytes = LAST_ID
) -> AsyncIterator[dict[bytes, Account]]:
    """Yield a shard's accounts with ids above ``after``, ascending, in chunks."""
    while True:
        rows = await session.rows(
            f"""SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE shard={shard:d}
            AND wallet_id>{literal(after)} AND wallet_id<={literal(until)}
            ORDER BY wallet_id LIMIT {ROWS_CHUNK:d}"""
        )
        if not rows:
            return
        yield dict(map(account_of, rows))
        after = rows[-1][0]


async def open_intents(session: Session, shard: int) -> dict[LegKey, OpenLeg]:
    """Return the legs of a shard that it has not closed."""
    found: dict[LegKey, OpenLeg] = {}
    leg, tx_id = -1, NIL
    while True:
        rows = await session.rows(
            f"""SELECT tx_id,leg,currency,amount,destination FROM open_intents
            WHERE shard={shard:d} AND (leg={leg:d} AND tx_id>{literal(tx_id)} OR leg>{leg:d})
            ORDER BY leg,tx_id LIMIT {ROWS_CHUNK:d}"""
        )
        found |= {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}
        if len(rows) < ROWS_CHUNK:
            return found
        tx_id, leg = rows[-1][:2]


async def sent_legs(session: Session, shard: int, tx_ids: Iterable[bytes]) -> dict[LegKey, OpenLeg]:
    """Return what a shard has sent for some transactions."""
    found: dict[LegKey, OpenLeg] = {}
    ids = sorted(set(tx_ids))
    for start in range(0, len(ids), ROWS_CHUNK):
        rows = await session.rows(
            f"""SELECT tx_id,leg,currency,amount,destination FROM transit_legs
            WHERE tx_id IN ({id_list(ids[start : start + ROWS_CHUNK])})
            AND side={Side.SENT:d} AND shard={shard:d}"""
        )
        found |= {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}
    return found


async def partitions(session: Session) -> list[str]:
    """Return the names of the partitions of `entries`."""
    rows = await session.rows(
        """SELECT partition_name FROM information_schema.partitions
        WHERE table_schema=DATABASE() AND table_name='entries'
        ORDER BY partition_ordinal_position"""
    )
    return [name for (name,) in rows]


async def entries(
    session: Session, shard: int, partition: str, until: int
) -> AsyncIterator[list[Entry]]:
    """Yield a shard's entries of one partition, of records up to a seq, in chunks."""
    wallet_id, version = b"", 0
    while True:
        rows = await session.rows(
            f"""SELECT {_ENTRY} FROM entries PARTITION ({partition}) WHERE shard={shard:d}
            AND seq<={until:d} AND (wallet_id={literal(wallet_id)} AND version>{version:d}
            OR wallet_id>{literal(wallet_id)}) ORDER BY wallet_id,version LIMIT {ROWS_CHUNK:d}"""
        )
        if not rows:
            return
        yield list(map(_entry, rows))
        wallet_id, version = rows[-1][:2]


async def entries_of(session: Session, wallet_id: bytes, until: int) -> list[Entry]:
    """Return all entries of one wallet, of records up to a seq."""
    found: list[Entry] = []
    version = -1
    while True:
        rows = await session.rows(
            f"""SELECT {_ENTRY} FROM entries WHERE wallet_id={literal(wallet_id)}
            AND version>{version:d} AND seq<={until:d} ORDER BY version LIMIT {ROWS_CHUNK:d}"""
        )
        found += map(_entry, rows)
        if len(rows) < ROWS_CHUNK:
            return found
        version = rows[-1][1]


async def states(session: Session, tx_ids: Iterable[bytes]) -> dict[bytes, int]:
    """Return the states kept for transactions."""
    listed = id_list(set(tx_ids))
    if not listed:
        return {}
    query = f"SELECT tx_id,state FROM transaction_states WHERE tx_id IN ({listed})"
    return dict(await session.rows(query))


async def shards_of(session: Session, wallet_ids: Iterable[bytes]) -> dict[bytes, int]:
    """Return the shards of wallets that are known here."""
    listed = id_list(set(wallet_ids))
    if not listed:
        return {}
    query = f"SELECT wallet_id,shard FROM accounts WHERE wallet_id IN ({listed})"
    return dict(await session.rows(query))


async def transit_balances(session: Session) -> dict[str, int]:
    """Return what `transit` holds over all shards, per currency."""
    first = bytes((0, SystemKind.TRANSIT)).ljust(16, b"\0")
    beyond = bytes((0, SystemKind.TRANSIT + 1)).ljust(16, b"\0")
    rows = await session.rows(
        f"""SELECT currency,SUM(posted) FROM accounts WHERE wallet_id>={literal(first)}
        AND wallet_id<{literal(beyond)} GROUP BY currency"""
    )
    return {currency: int(posted) for currency, posted in rows}


async def leg_ranges(session: Session) -> AsyncIterator[str]:
    """Yield conditions on `tx_id` that cut `transit_legs` into chunks; no transaction is cut."""
    after = b""
    while True:
        above = f"tx_id>{literal(after)}"
        rows = await session.rows(
            f"""SELECT tx_id FROM transit_legs WHERE {above} ORDER BY tx_id
            LIMIT {LEGS_CHUNK:d},1"""
        )
        if not rows:
            yield above
            return
        yield f"{above} AND tx_id<={literal(rows[0][0])}"
        after = rows[0][0]


_GROUPS = f"""SELECT tx_id,leg,
    leg<{RETURN_LEG:d} AND SUM(side={Side.SENT:d})=1 AND SUM(side={Side.LANDED:d})=1
    AND SUM(side={Side.CLOSED:d})<=1 AND MAX(result)={Result.CREDITED:d}
    AND MIN(IF(side={Side.CLOSED:d},NULL,amount))=MAX(amount)
    AND MIN(IF(side={Side.CLOSED:d},NULL,currency))=MAX(currency)
    AND MIN(IF(side={Side.CLOSED:d},NULL,destination))=MAX(destination)
    AND COUNT(DISTINCT IF(side={Side.LANDED:d},NULL,shard))=1 AS plain
    FROM transit_legs WHERE {{where}} GROUP BY tx_id,leg"""
"""Legs, and whether each is plainly paired: sent once, credited once, at most closed once, both
halves alike."""


async def plain_legs(session: Session, where: str) -> int:
    """Count the legs of a range that are plainly paired."""
    groups = _GROUPS.format(where=where)
    rows = await session.rows(f"SELECT COUNT(*) FROM ({groups}) g WHERE plain")
    return int(rows[0][0])


async def other_legs(session: Session, where: str) -> list[LegRow]:
    """Return all events of the legs of a range that are not plainly paired, in order."""
    groups = _GROUPS.format(where=where)
    columns = ",".join(f"l.{name}" for name in LegRow._fields)
    rows = await session.rows(
        f"""SELECT {columns} FROM (SELECT tx_id,leg FROM ({groups}) g WHERE NOT plain) o
        JOIN transit_legs l ON l.tx_id=o.tx_id AND l.leg=o.leg
        ORDER BY l.tx_id,l.leg,l.side,l.shard,l.seq,l.n"""
    )
    return [LegRow(*row) for row in rows]


async def leg_checksum(session: Session, shard: int, where: str, until: int) -> tuple[int, int]:
    """Return count and checksum of what a shard's records up to a seq say of legs, in a range."""
    rows = await session.rows(
        f"""SELECT COUNT(*),BIT_XOR(CRC32(CONCAT_WS(':',HEX(tx_id),leg,side,seq,n,currency,amount,
        HEX(destination),result))) FROM transit_legs
        WHERE {where} AND shard={shard:d} AND seq<={until:d}"""
    )
    return int(rows[0][0]), int(rows[0][1])


def checksum_of(seq: int, leg: Leg) -> int:
    """Return the checksum of one event, as ``leg_checksum`` has it."""
    text = (
        f"{leg.tx_id.hex().upper()}:{leg.leg}:{leg.side:d}:{seq}:{leg.n}:{leg.currency}:"
        f"{leg.amount}:{leg.destination.hex().upper()}:{leg.result:d}"
    )
    return zlib.crc32(text.encode())


def _entry(row: tuple[object, ...]) -> Entry:
    entry: Entry = row  # type: ignore[assignment]  # the columns are those of an Entry
    # The driver gives DECIMAL as Decimal.
    return (*entry[:9], int(entry[9]), *entry[10:])
