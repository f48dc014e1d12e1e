"""Write all that a batch changes, its outbox record and COMMIT, in one packet.

Every list is sorted by its primary key, and the tables come in one fixed order; `head` is last, so
that its lock, which orders the commits of a shard, is held for the shortest time. A writer whose
epoch is stale collides with the one row of `fence`, and COMMIT is never reached.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Sequence

import asyncmy

from wallet.domain.batch import Balance, Batch, Changes
from wallet.domain.commands import Intent
from wallet.domain.kinds import HoldState, WalletChangeKind
from wallet.store.load import PACKET_TIMEOUT_S
from wallet.store.record import encode_record
from wallet.store.rows import (
    Values,
    balance_selects,
    created_at,
    created_rows,
    hold_row,
    idem_rows,
    inbox_rows,
    intent_rows,
    limits_row,
    line_rows,
    outcome_rows,
    transaction_rows,
)
from walletkit.clock import DAY_US
from walletkit.payload import pack
from walletkit.sql.literals import literal, row, rows
from walletkit.sql.session import run_packet

_TRANSACTION = (
    "tx_id,slot,type,state,source,destination,currency,amount,created_at,reference,opaque"
)
_INTENT = "tx_id,leg,slot,source,destination,currency,amount"
_INSERTS = {
    "wallets": "wallets(wallet_id,slot,account_id,currency,created_at,opaque,alias)",
    "balances": (
        "balances(wallet_id,slot,currency,posted,held,overdraft_limit,status,version,flags)"
    ),
    "transactions": f"transactions({_TRANSACTION})",
    "idem": "idem(key_hash,day,slot,ref)",
    "outcomes": "outcomes(ref,slot,fingerprint,outcome)",
    "intents": f"intents({_INTENT})",
    # Of several legs, or of a transaction that counts at another time: others take the defaults.
    "intents in full": f"intents({_INTENT},legs,effective_us)",
    "inbox": "inbox(tx_id,leg,slot,result)",
    "links": "links(tx_id,slot,parent,family)",
    "tx_lines": "tx_lines(tx_id,n,slot,source,destination,currency,amount)",
    "holds": (
        "holds(hold_id,slot,wallet_id,currency,destination,state,authorized,captured,released,"
        "expires_at,open_until,created_at,reference,opaque)"
    ),
    "aliases": "aliases(account_id,name,slot,wallet_id)",
    "assets": "assets(currency,exponent,slot)",
}
_UPSERTS = {
    "reversed": ("reversed(tx_id,slot,amount)", ("amount",)),
    "limits": ("limits(owner,slot,config,held,used)", ("config", "held", "used")),
    "accounts": ("accounts(account_id,slot,freeze)", ("freeze",)),
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
    payload = pack(encode_record(batch))
    statements = [
        *_inserts(batch),
        *_intent_updates(batch.changes),
        *_balance_updates(batch.changes),
        *_other_updates(batch.changes),
        *_upserts(batch.changes),
        *_chain(epoch, batch.now_us, payload),
        "COMMIT",
    ]
    return "; ".join(statements)


def _inserts(batch: Batch) -> Iterable[str]:
    changes = batch.changes
    now = created_at(batch.now_us)
    day = batch.now_us // DAY_US
    opened = list(_opened(changes))
    written = {
        "transactions": transaction_rows(changes, now),
        "idem": idem_rows(changes, day),
        "outcomes": outcome_rows(changes),
        "intents": intent_rows([one for one in opened if _is_plain(one)], full=False),
        "intents in full": intent_rows([one for one in opened if not _is_plain(one)], full=True),
        "inbox": inbox_rows(changes.legs),
    }
    tables: dict[str, list[Values]] = {
        "links": [
            (new.command.ref, new.command.slot, new.command.parent, new.command.family)
            for new in changes.transactions
            if new.command.parent
        ],
        "tx_lines": [values for new in changes.transactions for values in line_rows(new)],
        "holds": [hold_row(changes.holds[hold_id]) for hold_id in changes.new_holds],
        "assets": [(new.currency.encode(), new.exponent, new.slot) for new in changes.assets],
    }
    tables.update(created_rows(batch, now))
    for table, values in tables.items():
        written[table] = [row(one) for one in sorted(values)]
    for table, into in _INSERTS.items():
        if listed := written[table]:
            yield f"INSERT INTO {into} VALUES {','.join(listed)}"


def _opened(changes: Changes) -> Iterable[Intent]:
    for new in changes.transactions:
        yield from new.intents
    for leg in changes.legs:
        if leg.returned is not None:
            yield leg.returned


def _is_plain(intent: Intent) -> bool:
    return intent.legs == 1 and not intent.effective_us


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
    touched = changes.touched
    if changes.settings:
        yield _settings_update({w: touched[w] for w in changes.settings})
        touched = {w: b for w, b in touched.items() if w not in changes.settings}
    if touched:
        selects = " UNION ALL ".join(balance_selects(touched))
        yield (
            f"UPDATE ({selects}) j STRAIGHT_JOIN balances w"
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


def _settings_update(balances: dict[bytes, Balance]) -> str:
    """Write all of these rows at once: between two steps a credit line might not hold."""
    table = sorted(
        (wallet_id, b.posted, b.held, b.overdraft_limit, int(b.status), b.version, b.flags)
        for wallet_id, b in balances.items()
    )
    return (
        f"UPDATE ({_union(('a', 'p', 'h', 'o', 's', 'v', 'f'), table)}) j"
        " STRAIGHT_JOIN balances w FORCE INDEX(PRIMARY) ON j.a=w.wallet_id"
        " SET w.posted=j.p,w.held=j.h,w.overdraft_limit=j.o,w.status=j.s,w.version=j.v,w.flags=j.f"
    )


def _other_updates(changes: Changes) -> Iterable[str]:
    """Write what wallets' facts and holds have become, and take limits away that are no more."""
    updated = {
        c.facts.wallet_id: c.facts.opaque
        for c in changes.wallets
        if c.kind == WalletChangeKind.UPDATED
    }
    if updated:
        yield (
            f"UPDATE ({_union(('a', 'o'), sorted(updated.items()))}) j STRAIGHT_JOIN wallets w"
            " FORCE INDEX(PRIMARY) ON j.a=w.wallet_id SET w.opaque=j.o"
        )
    changed = sorted(
        (
            h.hold_id,
            int(h.state),
            h.authorized,
            h.captured,
            h.released,
            created_at(h.expire_time_us),
        )
        for hold_id, h in changes.holds.items()
        # A new one that has ended already was inserted as open.
        if hold_id not in changes.new_holds or h.state != HoldState.AUTHORIZED
    )
    if changed:
        yield (
            f"UPDATE ({_union(('a', 's', 'z', 'c', 'r', 'e'), changed)}) j STRAIGHT_JOIN holds h"
            " FORCE INDEX(PRIMARY) ON j.a=h.hold_id SET h.state=j.s,h.authorized=j.z,"
            "h.captured=j.c,h.released=j.r,h.expires_at=j.e,"
            f"h.open_until=IF(j.s={literal(HoldState.AUTHORIZED.value)},j.e,NULL)"
        )
    unreversed = sorted((tx_id,) for tx_id, (_, left) in changes.reversed.items() if not left)
    if unreversed:
        yield (
            f"DELETE r FROM ({_union(('t',), unreversed)}) j STRAIGHT_JOIN reversed r"
            " FORCE INDEX(PRIMARY) ON j.t=r.tx_id"
        )
    gone = sorted((owner,) for owner, bound in changes.bounds.items() if bound is None)
    if gone:
        yield (
            f"DELETE l FROM ({_union(('o',), gone)}) j STRAIGHT_JOIN limits l"
            " FORCE INDEX(PRIMARY) ON j.o=l.owner"
        )


def _upserts(changes: Changes) -> Iterable[str]:
    frozen = {c.account_id: (c.slot, int(c.freeze)) for c in changes.accounts}
    tables: dict[str, list[Values]] = {
        "reversed": [(tx_id, *total) for tx_id, total in changes.reversed.items() if total[1]],
        "limits": [limits_row(bound) for bound in changes.bounds.values() if bound is not None],
        "accounts": [(account_id.encode(), *row) for account_id, row in frozen.items()],
    }
    for table, values in tables.items():
        if values:
            into, changing = _UPSERTS[table]
            values.sort()
            update = ",".join([f"{column}=VALUES({column})" for column in changing])
            yield f"INSERT INTO {into} VALUES {rows(values)} ON DUPLICATE KEY UPDATE {update}"


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
