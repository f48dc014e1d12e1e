"""Walk a shard's records in chunks, with the work on each chunk beside the event loop."""

import asyncio
from collections.abc import Callable

from ledger.domain.findings import Kind
from ledger.domain.record import Record
from ledger.domain.replay import Replay
from ledger.store import audit
from ledger.store.audit import RecordRow
from ledger.store.codec import MalformedRecordError, UnknownVersionError, decode
from ledger.store.pool import Session

OnRecord = Callable[[int, Record], None]


def _nothing(seq: int, record: Record) -> None:
    """Do nothing more with a record."""


async def walk(
    session: Session, replay: Replay, until: int, on_record: OnRecord = _nothing
) -> None:
    """Replay the records after those replayed already, up to a seq.

    Raise ``ServiceError`` (LEDGER_UNAVAILABLE).
    """
    shard = replay.findings.shard
    while rows := await audit.records(session, shard, replay.seq, until):
        states = await asyncio.to_thread(_feed, replay, rows, on_record)
        kept = await audit.states(session, states)
        for tx_id, (seq, state) in states.items():
            if kept.get(tx_id) != state:
                text = "the state kept for a transaction is not the one that a record gives"
                found = kept.get(tx_id, "none")
                replay.findings.add(Kind.ENTRIES, text, state, found, seq=seq, tx_id=tx_id)


def _feed(
    replay: Replay, rows: list[RecordRow], on_record: OnRecord
) -> dict[bytes, tuple[int, int]]:
    """Replay a chunk; return the states that it gives transactions, with the record."""
    states: dict[bytes, tuple[int, int]] = {}
    for row in rows:
        replay.chain(row.seq, row.prev_hash, row.hash, row.payload)
        try:
            record = decode(row.payload)
        except (MalformedRecordError, UnknownVersionError) as error:
            replay.findings.add(
                Kind.HASH, "the bytes can't be read", "a Record", error, seq=row.seq
            )
            continue
        if record.time_us != row.time_us:
            text = "the time kept is not the record's"
            replay.findings.add(Kind.ENTRIES, text, record.time_us, row.time_us, seq=row.seq)
        replay.apply(row.seq, record)
        on_record(row.seq, record)
        states.update({tx_id: (row.seq, state) for tx_id, state in record.states})
    return states
