"""SQL that tests run on a shard: statements, and batches written as the service writes them."""

import hashlib

from guilder.events.v1.record_pb2 import Record
from walletkit.sql.literals import literal
from walletkit.sql.session import Rows, open_session, run_packet


async def query(url: str, sql: str) -> Rows:
    """Run statements; return the last one's rows."""
    session = await open_session(url, autocommit=True)
    try:
        results = await run_packet(session, sql)
    finally:
        session.close()
    return results[-1] if results else []


def save_packet(payload: bytes, *, epoch: int = 1, changes: str = "") -> str:
    """Write a batch's last packet: its changes, head, fence, outbox, COMMIT."""
    digest = literal(hashlib.sha256(payload).digest())
    return (
        f"{changes} UPDATE head SET prev_hash=hash,"
        f"hash=UNHEX(SHA2(CONCAT(hash,{digest}),256)),seq=seq+1 WHERE id=1;"
        f"INSERT INTO fence SELECT 1 FROM head WHERE id=1 AND epoch<>{epoch};"
        f"INSERT INTO outbox(seq,prev_hash,hash,payload)"
        f" SELECT seq,prev_hash,hash,{literal(payload)} FROM head WHERE id=1; COMMIT"
    )


async def append(url: str, count: int, *, epoch: int = 1, size: int = 0, time_us: int = 1) -> None:
    """Commit so many records, each by itself; ``size`` bytes of padding make them larger.

    They were made from ``time_us`` on, a microsecond apart.
    """
    session = await open_session(url, autocommit=False)
    try:
        for number in range(count):
            record = Record(version=1, time_us=time_us + number)
            if size:
                record.keys.add(outcome=bytes(size))
            await run_packet(session, save_packet(record.SerializeToString(), epoch=epoch))
    finally:
        session.close()


async def stream_of(url: str) -> list[tuple[int, bytes]]:
    """Return seq and hash of all records of a shard."""
    return [(seq, hash_) for seq, hash_ in await query(url, "SELECT seq,hash FROM outbox")]
