"""What a restored shard must be: its chain whole, and fenced until the ledger is known to agree."""

from walletkit.backup.asking import ask
from walletkit.backup.errors import BackupError
from walletkit.backup.manifest import Head
from walletkit.backup.programs import Deadline
from walletkit.chain import genesis_hash
from walletkit.ids import SLOT_ACTIVE, SLOT_FENCED
from walletkit.sql.literals import literal

_HEAD = "SELECT shard,seq,hash FROM head WHERE id=1"


def head(url: str, deadline: Deadline) -> Head:
    """Return a shard's last record."""
    rows = ask(url, _HEAD, deadline)[0]
    if not rows:
        raise BackupError("this database is no shard: its head is empty")
    shard, seq, hash_ = rows[0]
    return Head(shard=shard, seq=seq, hash=hash_.hex())


def check_chain(url: str, backup: Head, deadline: Deadline) -> Head:
    """Follow the records from the backup's head to the shard's, and return that.

    Raise ``BackupError`` where one does not continue the one before: then the binlogs are not those
    that the backup's server wrote after it.
    """
    now = head(url, deadline)
    since = literal(backup.seq)
    counts, broken, last, first = ask(
        url,
        f"SELECT COUNT(*),MIN(seq),MAX(seq) FROM outbox WHERE seq>{since};"  # noqa: S608  # integers
        " SELECT COUNT(*) FROM outbox a JOIN outbox b ON b.seq=a.seq+1"
        f" WHERE a.seq>{since} AND b.prev_hash<>a.hash;"
        f" SELECT hash FROM outbox WHERE seq={literal(now.seq)};"
        f" SELECT prev_hash FROM outbox WHERE seq={literal(backup.seq + 1)}",
        deadline,
    )
    ((count, lowest, highest),) = counts
    whole = now.shard == backup.shard and now.seq >= backup.seq
    if now.seq == backup.seq:
        whole = whole and now.hash == backup.hash
    else:
        # The oldest may have been purged meanwhile; the last never is.
        whole = whole and highest == now.seq and count == highest - lowest + 1
        whole = whole and not broken[0][0] and last[0][0].hex() == now.hash
        whole = whole and (not first or first[0][0].hex() == backup.hash)
    if not whole:
        raise BackupError(
            f"the records do not lead from the backup ({backup}) to the shard's head ({now}): "
            "these are not the binlogs that its server wrote after it"
        )
    return now


def fence(url: str, deadline: Deadline) -> None:
    """Let nobody write to the shard: its slots are fenced, and its epoch moves on.

    Not into the binlog: where the shard's own begins, it is restored already.
    """
    ask(
        url,
        f"SET SESSION sql_log_bin=0; START TRANSACTION; UPDATE slots SET state={SLOT_FENCED};"  # noqa: S608
        " UPDATE head SET epoch=epoch+1 WHERE id=1; COMMIT",
        deadline,
    )


def admit(url: str, ledger_url: str, deadline_s: float) -> Head:
    """Let a restored shard serve again, if the ledger has nothing that it has not.

    Return its last record. Raise ``BackupError`` otherwise, and change nothing.
    """
    deadline = Deadline(deadline_s)
    ours = head(url, deadline)
    packet = f"SELECT seq,hash FROM cursors WHERE shard={literal(ours.shard)}"  # noqa: S608  # integer
    rows = ask(ledger_url, packet, deadline)[0]
    seq, hash_ = rows[0] if rows else (0, genesis_hash(ours.shard))
    if seq > ours.seq:
        raise BackupError(
            f"shard {ours.shard} ends at record {ours.seq}, the ledger has {seq}: "
            f"{seq - ours.seq} records are lost here, and what they moved. It stays fenced. "
            "Restore it again with the binlogs up to there"
        )
    if _hash_at(url, ours, seq, deadline) != hash_.hex():
        raise BackupError(
            f"shard {ours.shard} has not the ledger's record {seq} ({hash_.hex()[:16]}…), or keeps "
            "no record to compare it with. It stays fenced. See Rebuilding the ledger in "
            "docs/operations.md"
        )
    ask(url, f"UPDATE slots SET state={SLOT_ACTIVE} WHERE state={SLOT_FENCED}", deadline)  # noqa: S608
    return ours


def _hash_at(url: str, ours: Head, seq: int, deadline: Deadline) -> str | None:
    """Return the hash of a record, or of what is before the first; None: it is not kept."""
    if seq == ours.seq:
        return ours.hash
    following = ask(url, f"SELECT prev_hash FROM outbox WHERE seq={literal(seq + 1)}", deadline)[0]  # noqa: S608
    return following[0][0].hex() if following else None
