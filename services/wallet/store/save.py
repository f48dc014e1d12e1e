"""Write all that a batch changes, its outbox record and COMMIT, in one packet.

Every list is sorted by its primary key, and the tables come in one fixed order; `head` is last, so
that its lock, which orders the commits of a shard, is held for the shortest time. A writer whose
epoch is stale collides with the one row of `fence`, and COMMIT is never reached.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Sequence

import asyncmy

from wallet.domain.batch import Batch, Changes, NewLeg, NewTransaction
from wallet.domain.commands import Intent
from wallet.domain.kinds import WalletChangeKind
from wallet.store.load import PACKET_TIMEOUT_S
from wallet.store.record import encode_record
from walletkit.clock import DAY_US, to_datetime
from walletkit.ids import slot_of
from walletkit.sql.literals import literal, row, rows
from walletkit.sql.session import run_packet

Values = tuple[int | bytes, ...]

_COLUMNS = {
    "wallets": "wallet_id,slot,account_id,currency,created_at,opaque",
    "balances": "wallet_id,slot,currency,posted,held,overdraft_limit,status,version",
    "transactions": (
        "tx_id,slot,type,state,source,destination,currency,amount,created_at,reference,opaque"
    ),
    "idem": "key_hash,day,slot,ref",
    "outcomes": "ref,slot,fingerprint,outcome",
    "intents": "tx_id,leg,slot,source,destination,currency,amount",
    "inbox": "tx_id,leg,slot,result",
}


async def save(connection: asyncmy.Connection, epoch: int, batch: Batch) -> int:
    """Write and commit. Return the seq of the batch's record. Raise what the driver raises.

    After an error of the connection nobody knows whether it was committed: run the same batch
    again.
    """
    packet = save_packet(epoch, batch)
    async with asyncio.timeout(PACKET_TIMEOUT_S):
        results = await run_packet(connection, packet)
    ((seq,),) = results[-1]
    return int(seq)


def save_packet(epoch: int, batch: Batch) -> str:
    """Return the text of the packet."""
    payload = encode_record(batch)
    statements = [
        *_inserts(batch),
        *_intent_updates(batch.changes),
        *_balance_updates(batch.changes),
        *_chain(epoch, batch.now_us, payload),
        "COMMIT",
    ]
    return "; ".join(statements)


def _inserts(batch: Batch) -> Iterable[str]:
    changes = batch.changes
    now = created_at(batch.now_us)
    created = [c for c in changes.wallets if c.kind == WalletChangeKind.CREATED]
    day = batch.now_us // DAY_US
    tables: dict[str, list[Values]] = {
        "wallets": [
            (
                change.facts.wallet_id,
                change.slot,
                change.facts.account_id.encode(),
                change.facts.currency.encode(),
                now,
                change.facts.opaque,
            )
            for change in created
        ],
        "balances": [
            (
                c.facts.wallet_id,
                c.slot,
                c.facts.currency.encode(),
                0,
                0,
                0,
                int(c.status),
                c.version,
            )
            for c in created
        ],
        "transactions": [_transaction(new, now) for new in changes.transactions],
        "idem": [(c.key_hash, day, c.slot, c.ref) for c, _ in changes.keys],
        "outcomes": [
            (command.ref, command.slot, command.fingerprint, outcome)
            for command, outcome in changes.keys
        ],
        "intents": [_intent(intent) for intent in _opened(changes)],
        "inbox": [_inbox(leg) for leg in changes.legs],
    }
    for table, values in tables.items():
        if values:
            values.sort()
            yield f"INSERT INTO {table}({_COLUMNS[table]}) VALUES {rows(values)}"


def _transaction(new: NewTransaction, now: bytes) -> Values:
    command = new.command
    return (
        command.ref,
        command.slot,
        int(command.type),
        int(new.state),
        new.source,
        new.destination,
        command.currency.encode(),
        command.amount,
        now,
        command.reference,
        command.opaque,
    )


def _opened(changes: Changes) -> Iterable[Intent]:
    for new in changes.transactions:
        yield from new.intents
    for leg in changes.legs:
        if leg.returned is not None:
            yield leg.returned


def _intent(intent: Intent) -> Values:
    return (
        intent.tx_id,
        intent.leg,
        slot_of(intent.source),
        intent.source,
        intent.destination,
        intent.currency.encode(),
        intent.amount,
    )


def _inbox(leg: NewLeg) -> Values:
    return (leg.intent.tx_id, leg.intent.leg, leg.slot, int(leg.result))


def _intent_updates(changes: Changes) -> Iterable[str]:
    """Delete closed intents, and move their transactions on, each by one statement."""
    if not changes.closed:
        return
    closed = sorted({(closed.tx_id, closed.leg) for closed in changes.closed})
    yield (
        f"DELETE i FROM ({_union(('t', 'l'), closed)}) j STRAIGHT_JOIN intents i"
        " FORCE INDEX(PRIMARY) ON j.t=i.tx_id AND j.l=i.leg"
    )
    moved = sorted({(c.tx_id, int(c.state)) for c in changes.closed if c.state is not None})
    if moved:
        yield (
            f"UPDATE ({_union(('t', 's'), moved)}) j STRAIGHT_JOIN transactions t"
            " FORCE INDEX(PRIMARY) ON j.t=t.tx_id SET t.state=j.s"
        )


def _balance_updates(changes: Changes) -> Iterable[str]:
    if changes.touched:
        table = sorted(
            (wallet_id, b.posted, b.held, int(b.status), b.version)
            for wallet_id, b in changes.touched.items()
        )
        yield (
            f"UPDATE ({_union(('a', 'p', 'h', 's', 'v'), table)}) j STRAIGHT_JOIN balances w"
            " FORCE INDEX(PRIMARY) ON j.a=w.wallet_id"
            " SET w.posted=j.p,w.held=j.h,w.status=j.s,w.version=j.v"
        )
    if changes.system:
        deltas = sorted(
            (int(kind), currency.encode(), delta)
            for (kind, currency), delta in changes.system.items()
        )
        yield (
            f"INSERT INTO system_wallets(kind,currency,posted) VALUES {rows(deltas)}"
            " ON DUPLICATE KEY UPDATE posted=posted+VALUES(posted)"
        )


def _union(names: tuple[str, ...], table: Sequence[tuple[bytes | int, ...]]) -> str:
    """Write rows as a derived table: level with every other bulk form on MariaDB (measured).

    It is read first, by STRAIGHT_JOIN, and joined by the primary key: left to itself the optimizer
    scans a small table, and waits for locks of rows that the batch does not touch.
    """
    first, *others = table
    head = ",".join([f"{literal(value)} {name}" for name, value in zip(names, first, strict=True)])
    return " UNION ALL ".join([f"SELECT {head}", *[f"SELECT {row(o)[1:-1]}" for o in others]])


def _chain(epoch: int, now_us: int, payload: bytes) -> Iterable[str]:
    """Advance the head, collide if the epoch is stale, and append the record.

    In SQL, under head's lock.
    """
    digest = hashlib.sha256(payload).digest()
    yield (
        "UPDATE head SET prev_hash=hash,"
        f"hash=UNHEX(SHA2(CONCAT(hash,{literal(digest)}),256)),"
        f"seq=seq+1,clock_us=GREATEST(clock_us,{literal(now_us)}) WHERE id=1"
    )
    yield f"INSERT INTO fence SELECT 1 FROM head WHERE id=1 AND epoch<>{literal(epoch)}"
    yield (
        "INSERT INTO outbox(seq,prev_hash,hash,payload)"
        f" SELECT seq,prev_hash,hash,{literal(payload)} FROM head WHERE id=1"
    )
    yield "SELECT seq FROM head WHERE id=1"


def created_at(time_us: int) -> bytes:
    """Write a time as the bytes of a DATETIME(6)."""
    return to_datetime(time_us).strftime("%Y-%m-%d %H:%M:%S.%f").encode()
