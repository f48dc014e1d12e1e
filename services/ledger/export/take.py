"""Export a closed month: read it page by page, and write it as it comes.

Memory holds a page, never a month. What is exported is followed on the way, so that books that do
not hold are not exported as if they did.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ledger.export import closing
from ledger.export.effective import EffectiveTimes
from ledger.export.errors import ExportError
from ledger.export.files import Folder, new_folder
from ledger.export.lines import (
    EntryLine,
    write_entry,
    write_record,
    write_trial,
)
from ledger.export.manifest import (
    TRIAL_FILE,
    Export,
    Manifest,
    ShardPart,
    SystemWallet,
    entries_file,
    records_file,
)
from ledger.export.month import Month
from ledger.export.sums import Sums
from ledger.store import audit, closed, trial
from ledger.store.closed import Pages
from ledger.store.codec import MalformedRecordError, UnknownVersionError, decode
from ledger.store.commit import Position
from ledger.store.pool import Pool, Session
from walletkit.chain import genesis_hash, next_hash
from walletkit.clock import to_us
from walletkit.ids import format_id, is_system

SIDES = 2
"""Entries that a posting makes."""

NEVER, NONE = 2**63, -1

ANSWER_S = 3_600.0
"""The longest statement: the trial balance at the month's end reads all accounts, and what has
moved since; a page of entries may lie behind all that another shard did that day."""

IDLE_S = 3_600
"""The server waits so long for the next page: a large file takes its time to reach the disk."""

if TYPE_CHECKING:
    # The generated class exists for type checkers alone.
    from guilder.wallet.v1.wallet_audit_service_pb2_grpc import WalletAuditServiceAsyncStub

Clock = Callable[[], datetime]


class _Span(NamedTuple):
    """A shard's month: the records behind one position, up to another."""

    shard: int
    before: Position
    last: Position


class _Took(NamedTuple):
    """What a shard's records hold."""

    postings: int
    times: tuple[int, int]
    """Their least and their last; of no records the other way round, so that no day is between."""


async def take(  # what it is made of, then where it goes
    pool: Pool,
    stub: "WalletAuditServiceAsyncStub",
    month: Month,
    into: Path,
    clock: Clock,
    pages: Pages = Pages(),  # noqa: B008  # frozen
) -> Export:
    """Export a month into a new folder below ``into``, and return it.

    Raise ``ExportError``, or ``ServiceError`` (LEDGER_UNAVAILABLE); then there is no folder.
    """
    begun_at = clock()
    closing.require_over(month, to_us(begun_at))
    await closing.require_received(pool, stub, month)
    try:
        with new_folder(into / f"guilder-ledger-{month}") as folder:
            # What still changes is read first, at one moment. A snapshot keeps schema and
            # partitions from being changed: it must not live as long as the files take.
            async with pool.snapshot() as session:
                spans, lines = await _plan(session, month)
            async with pool.session() as session:
                await session.run(f"SET SESSION wait_timeout={IDLE_S:d}")
                shards, sums = await _write(session, spans, lines, folder, pages)
            made = Manifest(
                version=version("guilder"),
                month=str(month),
                begun_at=begun_at,
                ended_at=clock(),
                files=tuple(folder.files),
                shards=tuple(shards),
                sums=sums.told(),
            )
            folder.finish(made)
    except OSError as error:
        raise ExportError(f"into: {into} can't be written: {error}") from None
    return Export(folder.folder, made)


async def _plan(session: Session, month: Month) -> tuple[list[_Span], list[trial.Line]]:
    """Return each shard's part of the month, and the books' lines at its end."""
    positions = {shard: at.seq for shard, at in (await audit.cursors(session)).items()}
    cuts = {
        shard: await closed.before(session, shard, seq, month.end_us)
        for shard, seq in positions.items()
    }
    spans = []
    for shard, until in cuts.items():
        # A shard that began later is no part of the month, whenever it is exported.
        if until:
            first = await closed.before(session, shard, until, month.begin_us)
            ends = [await _position(session, shard, seq) for seq in (first, until)]
            spans.append(_Span(shard, *ends))
    if not spans:
        raise ExportError(f"month: {month} ended before the first record of any shard")
    return spans, await trial.lines_until(session, positions, cuts, month.end_us)


async def _write(
    session: Session,
    spans: Iterable[_Span],
    lines: Iterable[trial.Line],
    folder: Folder,
    pages: Pages,
) -> tuple[list[ShardPart], Sums]:
    sums = Sums()
    parts = [await _write_shard(session, span, folder, pages, sums) for span in spans]
    sums.require_zero()
    with folder.packed(TRIAL_FILE) as file:
        for line in sums.trial(lines):
            file.write(write_trial(line))
    return parts, sums


async def _position(session: Session, shard: int, seq: int) -> Position:
    hash_ = await audit.hash_at(session, shard, seq) if seq else genesis_hash(shard)
    if hash_ is None:
        raise _broken(shard, seq, "it is not here")
    return Position(seq, hash_)


async def _write_shard(
    session: Session, span: _Span, folder: Folder, pages: Pages, sums: Sums
) -> ShardPart:
    times = EffectiveTimes(folder.partial / "effective-times")
    try:
        took = await _write_records(session, span, folder, pages, times)
        first: dict[bytes, EntryLine] = {}
        written = 0
        seqs = span.before.seq, span.last.seq
        reading = closed.entries(session, span.shard, seqs, took.times, pages.entries)
        with folder.packed(entries_file(span.shard)) as file:
            async for entry, account_id, currency in reading:
                effective_us = times.find(entry[3], entry[4])
                line = EntryLine(
                    *(entry, account_id, currency),
                    entry[10] if effective_us is None else effective_us,
                )
                file.write(write_entry(line))
                sums.add(span.shard, line)
                if is_system(entry[0]):
                    first.setdefault(entry[0], line)
                written += 1
    finally:
        times.close()
    if written != took.postings * SIDES:
        raise _broken(
            *(span.shard, span.last.seq),
            f"{written} entries are kept for the month's {took.postings} postings",
        )
    return _part(span, written, first)


async def _write_records(
    session: Session, span: _Span, folder: Folder, pages: Pages, times: EffectiveTimes
) -> _Took:
    """Write the records, and return what is in them."""
    shard, last, postings = span.shard, span.before, 0
    least, most = NEVER, NONE
    reading = closed.records(session, shard, last.seq, span.last.seq, pages.records)
    with folder.packed(records_file(shard)) as file:
        async for row in reading:
            follows = (row.seq, row.prev_hash) == (last.seq + 1, last.hash)
            if not follows or row.hash != next_hash(row.prev_hash, row.payload):
                raise _broken(shard, row.seq, f"it does not follow from record {last.seq}")
            try:
                record = decode(row.payload)
            except (MalformedRecordError, UnknownVersionError) as error:
                raise _broken(shard, row.seq, f"it can't be read: {error!r}") from None
            times.add(row.seq, record.effective)
            postings += len(record.postings)
            least, most = min(least, row.time_us), max(most, row.time_us)
            file.write(write_record(row))
            last = Position(row.seq, row.hash)
    if last != span.last:
        raise _broken(shard, last.seq, f"the month's last record is {span.last.seq}")
    return _Took(postings, (least, most))


def _part(span: _Span, entries: int, first: dict[bytes, EntryLine]) -> ShardPart:
    return ShardPart(
        shard=span.shard,
        first_seq=span.before.seq + 1,
        last_seq=span.last.seq,
        hash_before=span.before.hash.hex(),
        hash_last=span.last.hash.hex(),
        entries=entries,
        system_wallets=tuple(
            SystemWallet(
                wallet_id=format_id(wallet_id),
                version=line.entry[1] - 1,
                posted_minor=str(line.entry[9] - line.entry[8]),
            )
            for wallet_id, line in sorted(first.items())
        ),
    )


def _broken(shard: int, seq: int, text: str) -> ExportError:
    return ExportError(
        f"shard: {shard}, record {seq}: {text}. These books do not hold, and are not exported: "
        "see guilder verify"
    )
