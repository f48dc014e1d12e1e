"""Prove one shard's books from its records alone (I6, I7, I9), while they go on being written.

Records and entries never change, so they are walked freely; accounts and holds are compared in one
snapshot, after the replay has been brought to exactly the snapshot's cursor.
"""

import asyncio
from typing import NamedTuple

from ledger.domain.findings import Findings, Kind
from ledger.domain.journal import Entry
from ledger.domain.record import Record
from ledger.domain.replay import EMPTY, Fold, Replay, fold
from ledger.domain.sparse import COLUMNS, Digest, SparseRow
from ledger.reconcile.walk import walk
from ledger.store import audit, audit_sparse
from ledger.store.commit import Position
from ledger.store.pool import Pool, Session
from walletkit.errors import ServiceError

MAX_EXPLAINED = 20
"""Wallets whose entries are compared one by one when their digests differ; of others only that is
said."""

MAX_EXPLAINED_ENTRIES = 100_000
"""A wallet with more entries is not compared one by one: they would all be in memory."""


class ChainReport(NamedTuple):
    """What a walk came to."""

    position: Position
    replay: Replay
    findings: Findings


class _Legs:
    """Count and checksum of all that the records say of legs."""

    def __init__(self) -> None:
        self.count = self.checksum = 0

    def add(self, seq: int, record: Record) -> None:
        """Add a record's."""
        for leg in record.legs:
            self.count += 1
            self.checksum ^= audit.checksum_of(seq, leg)


async def verify_chain(pool: Pool, shard: int) -> ChainReport:
    """Replay a shard from nothing and compare.

    Raise ``ServiceError`` (SHARD_NOT_FOUND, LEDGER_UNAVAILABLE).
    """
    findings = Findings(shard)
    replay = Replay(shard, findings)
    legs = _Legs()
    async with pool.session() as session:
        start = await audit.cursor(session, shard)
        if start is None:
            raise ServiceError("SHARD_NOT_FOUND", f"no record of shard {shard} has come in")
        await walk(session, replay, start.seq, legs.add)
    async with pool.snapshot() as session:
        end = await audit.cursor(session, shard) or start
        await walk(session, replay, end.seq, legs.add)
        replay.compare_end(*end)
        if beyond := await audit.records_beyond(session, shard, end.seq):
            findings.add(Kind.GAP, "records are kept beyond the cursor", 0, beyond, seq=end.seq)
        await _compare_accounts(session, replay)
        replay.compare_open(await audit.open_intents(session, shard))
        await _compare_holds(session, replay)
        replay.sparse.compare_assets(await audit_sparse.assets(session))
    async with pool.session() as session:
        await _compare_legs(session, findings, legs, end.seq)
        await _compare_entries(session, replay, end.seq)
        await _compare_sparse(session, replay, end.seq)
    return ChainReport(end, replay, findings)


async def _compare_accounts(session: Session, replay: Replay) -> None:
    seen: set[bytes] = set()
    async for chunk in audit.accounts(session, replay.findings.shard, b""):
        for wallet_id, account in chunk.items():
            replay.compare_account(wallet_id, account)
        seen |= chunk.keys()
        await asyncio.sleep(0)
    replay.compare_accounts_seen(seen)


async def _compare_holds(session: Session, replay: Replay) -> None:
    seen: set[bytes] = set()
    async for chunk in audit_sparse.all_holds(session, replay.findings.shard):
        for hold_id, hold in chunk.items():
            replay.sparse.compare_hold(hold_id, hold)
        # Only open ones may be missed: of the others there is no end.
        seen |= chunk.keys() & replay.sparse.holds.keys()
        await asyncio.sleep(0)
    replay.sparse.compare_holds_seen(seen)


async def _compare_sparse(session: Session, replay: Replay, until: int) -> None:
    for table in COLUMNS:
        kept = Digest()
        async for chunk in audit_sparse.sparse_rows(session, table, replay.findings.shard, until):
            await asyncio.to_thread(_add_all, kept, chunk)
        replay.sparse.compare_table(table, kept)


async def _compare_legs(session: Session, findings: Findings, legs: _Legs, until: int) -> None:
    count = checksum = 0
    async for where in audit.leg_ranges(session):
        found = await audit.leg_checksum(session, findings.shard, where, until)
        count, checksum = count + found[0], checksum ^ found[1]
    if (count, checksum) != (legs.count, legs.checksum):
        text = "the legs kept are not those that the records give (count, checksum)"
        expected, actual = (legs.count, legs.checksum), (count, checksum)
        findings.add(Kind.LEG, text, expected, actual)


async def _compare_entries(session: Session, replay: Replay, until: int) -> None:
    kept: dict[bytes, Fold] = {}
    for partition in await audit.partitions(session):
        async for chunk in audit.entries(session, replay.findings.shard, partition, until):
            await asyncio.to_thread(_fold_all, kept, chunk)
    differing = replay.wallets_with_other_entries(kept)
    explained = [
        wallet_id
        for wallet_id in differing[:MAX_EXPLAINED]
        if max(_count(replay.folds, wallet_id), _count(kept, wallet_id)) <= MAX_EXPLAINED_ENTRIES
    ]
    for wallet_id in differing:
        if wallet_id not in explained:
            text = "the entries kept are not those that the records give; their numbers are shown"
            expected, actual = _count(replay.folds, wallet_id), _count(kept, wallet_id)
            replay.findings.add(Kind.ENTRIES, text, expected, actual, wallet_id=wallet_id)
    if explained:
        await _explain(session, replay, explained, until)


async def _explain(session: Session, replay: Replay, wallet_ids: list[bytes], until: int) -> None:
    """Walk the records once more, and say which entries of these wallets differ."""
    # What a replay finds in the records themselves is reported already.
    again = Replay(replay.findings.shard, Findings(replay.findings.shard), wallet_ids)
    await walk(session, again, until)
    again.findings = replay.findings
    for wallet_id in wallet_ids:
        kept = await audit.entries_of(session, wallet_id, until)
        again.compare_entries(wallet_id, {entry[1]: entry for entry in kept})


def _fold_all(kept: dict[bytes, Fold], entries: list[Entry]) -> None:
    for entry in entries:
        kept[entry[0]] = fold(kept.get(entry[0], EMPTY), entry)


def _add_all(digest: Digest, rows: list[SparseRow]) -> None:
    for row in rows:
        digest.add(row)


def _count(folds: dict[bytes, Fold], wallet_id: bytes) -> int:
    return folds.get(wallet_id, EMPTY).entries
