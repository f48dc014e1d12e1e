"""Read balances, entries and transactions.

SQL only; every query is bounded by a key range and a LIMIT.

A wallet's entries rise in version, time and day together, so a version bounds a page, and days only
say which partitions to open: from the newest backwards in growing steps, because each open
partition costs.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from typing import Any, NamedTuple

from guilder.events.v1 import record_pb2 as events
from ledger.domain.account import Account
from ledger.domain.record import Side
from ledger.store.codec import parse
from ledger.store.pool import Session
from ledger.store.shard_store import ACCOUNT_COLUMNS, account_of
from walletkit.clock import day_of
from walletkit.record import RETURN_LEG
from walletkit.sql.literals import id_list, literal

FIRST_DAYS = 2
STEP_FACTOR = 8
"""Two days are looked through first, then eight times as many, and so on: five steps reach back 20
years."""

SCANNED_ENTRIES = 64
"""The search for a moment halves until so few entries are left, then reads them."""


RECORDS_AT_ONCE = 16
"""Records read in one packet: at most 16 MiB of them."""


class EntryRow(NamedTuple):
    """One journal entry as it is kept."""

    version: int
    day: int
    shard: int
    seq: int
    n: int
    number: int
    tx_id: bytes
    counterparty: bytes
    delta: int
    balance_after: int
    time_us: int
    type: int
    """The transaction's; 0 where only its home's record has it."""


_BALANCE = EntryRow._fields.index("balance_after")


class Edge(NamedTuple):
    """The newest entry before some moment."""

    version: int
    day: int
    balance: int


class Place(NamedTuple):
    """Where a transaction stands: record, and index in it."""

    shard: int
    seq: int
    n: int


ENTRY_COLUMNS = ",".join(EntryRow._fields)
NOTHING = Edge(0, 0, 0)


async def find_account(session: Session, wallet_id: bytes) -> tuple[Account, int] | None:
    """Return a wallet's account, and how far its shard is at least.

    None when no record names the wallet.
    """
    wallet = literal(wallet_id)
    cursor, rows = await session.run(
        f"""SELECT c.seq FROM accounts a JOIN cursors c ON c.shard=a.shard
        WHERE a.wallet_id={wallet};
        SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE wallet_id={wallet}"""
    )
    if not rows or not cursor:
        return None
    return account_of(rows[0])[1], cursor[0][0]


async def last_before(session: Session, wallet_id: bytes, account: Account, time_us: int) -> Edge:
    """Return the newest entry recorded before a moment; ``NOTHING`` when there is none."""
    if time_us > account.time_us:
        return Edge(account.version, day_of(account.time_us), account.posted)
    day = day_of(time_us)
    found = await _last_within_day(session, wallet_id, day, time_us)
    if found is not None:
        return found
    for first, last in _days(day - 1, 0):
        rows = await session.rows(
            f"""SELECT version,day,balance_after FROM entries WHERE wallet_id={literal(wallet_id)}
            AND day BETWEEN {first:d} AND {last:d} ORDER BY version DESC LIMIT 1"""
        )
        if rows:
            return _edge(rows[0])
    return NOTHING


async def _last_within_day(
    session: Session, wallet_id: bytes, day: int, time_us: int
) -> Edge | None:
    """Halve the versions of a day until few are left.

    A busy wallet has millions there, and time has no index.
    """
    where = f"FROM entries WHERE wallet_id={literal(wallet_id)} AND day={day:d}"
    columns = "version,day,balance_after,time_us"
    ((low, high),) = await session.rows(f"SELECT MIN(version),MAX(version) {where}")
    if low is None:
        return None
    best: tuple[Any, ...] | None = None
    while low <= high:
        few = high - low <= SCANNED_ENTRIES
        middle = high if few else (low + high) // 2
        before = f"AND time_us<{time_us:d}" if few else ""
        rows = await session.rows(
            f"""SELECT {columns} {where} AND version BETWEEN {low:d} AND {middle:d} {before}
            ORDER BY version DESC LIMIT 1"""
        )
        if rows and rows[0][3] >= time_us:
            high = rows[0][0] - 1
            continue
        best = rows[0] if rows else best
        low = middle + 1
    return None if best is None else _edge(best)


async def list_entries(
    session: Session, wallet_id: bytes, *, newest: Edge, oldest: Edge, limit: int
) -> list[EntryRow]:
    """Return entries up to ``newest`` and after ``oldest``, newest first, at most ``limit``."""
    entries: list[EntryRow] = []
    for first, last in _days(newest.day, oldest.day):
        rows = await session.rows(
            f"""SELECT {ENTRY_COLUMNS} FROM entries WHERE wallet_id={literal(wallet_id)}
            AND day BETWEEN {first:d} AND {last:d}
            AND version>{oldest.version:d} AND version<={newest.version:d}
            ORDER BY version DESC LIMIT {limit - len(entries):d}"""
        )
        entries += map(entry_of, rows)
        if len(entries) == limit:
            break
    return entries


async def homes_of_legs(session: Session, tx_ids: Collection[bytes]) -> dict[bytes, Place]:
    """Return where the transactions behind landed legs stand, if their homes' records are here."""
    if not tx_ids:
        return {}
    rows = await session.rows(
        f"""SELECT tx_id,shard,seq,n FROM transit_legs WHERE tx_id IN ({id_list(tx_ids)})
        AND leg<{RETURN_LEG:d} AND side={Side.SENT:d}"""
    )
    return {tx_id: Place(shard, seq, n) for tx_id, shard, seq, n in rows}


async def changed_states(session: Session, tx_ids: Collection[bytes]) -> dict[bytes, int]:
    """Return the state of now of those transactions that changed it after their record."""
    if not tx_ids:
        return {}
    query = f"SELECT tx_id,state FROM transaction_states WHERE tx_id IN ({id_list(tx_ids)})"
    return dict(await session.rows(query))


async def states_now(session: Session, tx_ids: Collection[bytes]) -> dict[bytes, int]:
    """Return the state of now of transactions whose homes' records are here.

    A record's transaction is PROCESSING where it has an intent, else COMPLETED, until a later
    record closes the intent: so no record has to be read.
    """
    states = await changed_states(session, tx_ids)
    others = set(tx_ids) - states.keys()
    sent = await homes_of_legs(session, others)
    for tx_id in others:
        states[tx_id] = (
            events.TRANSACTION_STATE_PROCESSING
            if tx_id in sent
            else events.TRANSACTION_STATE_COMPLETED
        )
    return states


async def read_transactions(
    session: Session, places: Iterable[Place]
) -> dict[Place, tuple[events.Transaction, int]]:
    """Return transactions as their records hold them, with the record's time in microseconds.

    What is returned is a copy, since a part of a message keeps all of it in memory.
    """
    found: dict[Place, tuple[events.Transaction, int]] = {}
    async for message, time_us, wanted in _read_records(session, places):
        for place in wanted:
            transaction = events.Transaction()
            transaction.CopyFrom(message.transactions[place.n])
            found[place] = (transaction, time_us)
    return found


async def leg_times(session: Session, places: Iterable[Place]) -> dict[Place, int]:
    """Return when landed legs count, microseconds, as their own records say it; 0 when recorded.

    A leg's place has its number from -1 downwards, as its entries have.
    """
    found: dict[Place, int] = {}
    async for message, _, wanted in _read_records(session, places):
        for place in wanted:
            found[place] = message.landed_legs[-place.n - 1].effective_time_us
    return found


async def _read_records(
    session: Session, places: Iterable[Place]
) -> AsyncIterator[tuple[events.Record, int, list[Place]]]:
    """Yield the records that hold these places, each with its time and its own of them.

    Records are read a few at a time: each may hold a thousand other transactions.
    """
    wanted: dict[tuple[int, int], list[Place]] = {}
    for place in places:
        wanted.setdefault((place.shard, place.seq), []).append(place)
    keys = sorted(wanted)
    for start in range(0, len(keys), RECORDS_AT_ONCE):
        listed = " OR ".join(
            [f"shard={s:d} AND seq={q:d}" for s, q in keys[start : start + RECORDS_AT_ONCE]]
        )
        query = f"SELECT shard,seq,time_us,payload FROM records WHERE {listed}"
        for shard, seq, time_us, payload in await session.rows(query):
            yield parse(payload), time_us, wanted[shard, seq]
            await asyncio.sleep(0)


def _days(newest: int, oldest: int) -> Iterator[tuple[int, int]]:
    """Return ranges of days from the newest back to the oldest, each larger than the one before."""
    step = FIRST_DAYS
    while newest >= oldest:
        yield max(newest - step + 1, oldest), newest
        newest -= step
        step *= STEP_FACTOR


def _edge(row: tuple[Any, ...]) -> Edge:
    return Edge(row[0], row[1], int(row[2]))


def entry_of(row: tuple[Any, ...]) -> EntryRow:
    """Read a row of ``ENTRY_COLUMNS``; the driver gives DECIMAL as ``Decimal``."""
    values = list(row)
    values[_BALANCE] = int(values[_BALANCE])
    return EntryRow(*values)
