"""Write one commit of the journal as SQL packets. The one typed builder of this room's hot path.

Every value goes through ``%d``, which refuses text, or is the ``.hex()`` of bytes: nothing to quote
and nothing to escape. There is a template for each table, which costs a quarter of f-strings; a
transfer has two entries and two accounts to write. Rows are sorted by primary
key: of two writers none waits for the other in a circle, and inserts touch each page once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from ledger.domain.account import Account
from ledger.domain.auditing import AuditRow
from ledger.domain.holding import Hold
from ledger.domain.journal import EffectiveEntry, Entry
from ledger.domain.record import HoldChange, Label, Leg, Side
from walletkit.sql.literals import id_list, row

PACKET_BYTES = 4 * 1024 * 1024
"""A packet that has reached this is sent: servers refuse one above ``max_allowed_packet``, 16 MiB
by default."""

STATEMENT_ROWS = 5_000
"""Rows of one INSERT, so that no single statement outgrows a packet."""


class Position(NamedTuple):
    """How far a shard's stream has come: the last record's seq and hash."""

    seq: int
    hash: bytes


class Kept(NamedTuple):
    """A record as it is kept."""

    seq: int
    prev_hash: bytes
    hash: bytes
    time_us: int
    payload: bytes


@dataclass(slots=True)
class Commit:
    """All that one commit writes for one shard."""

    records: list[Kept] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    accounts: dict[bytes, Account] = field(default_factory=dict)
    legs: list[tuple[int, Leg]] = field(default_factory=list)
    """Legs with the seq of their record."""
    states: dict[bytes, int] = field(default_factory=dict)
    holds: dict[bytes, Hold] = field(default_factory=dict)
    hold_changes: list[tuple[int, HoldChange]] = field(default_factory=list)
    """Changes of holds with the seq of their record."""
    effective: list[EffectiveEntry] = field(default_factory=list)
    labels: list[tuple[int, int, Label]] = field(default_factory=list)
    """Labels with seq and time of their record."""
    assets: dict[str, int] = field(default_factory=dict)
    audit_events: list[AuditRow] = field(default_factory=list)


def packets(shard: int, commit: Commit) -> Iterator[str]:
    """Return the packets that write a commit and end it.

    The caller has locked the shard's cursor.
    """
    last = commit.records[-1]
    # Entries of one wallet are in order already, and a sort leaves them so.
    entries = sorted(commit.entries, key=_WALLET_OF)
    statements = [
        *_insert("records", _record_rows(shard, commit.records)),
        *_insert("entries", _entry_rows(shard, entries)),
        *_insert("accounts", _account_rows(commit.accounts), _ACCOUNTS_UPDATED),
        *_insert("holds", _hold_rows(commit.holds), _HOLDS_UPDATED),
        *_insert("hold_changes", _hold_change_rows(shard, commit.hold_changes)),
        *_insert("effective_entries", _effective_rows(shard, sorted(commit.effective))),
        *_insert("labels", _label_rows(shard, commit.labels)),
        *_insert("transit_legs", _leg_rows(shard, commit.legs)),
        *_intents(shard, commit.legs),
        *_insert("transaction_states", _state_rows(commit.states), _STATES_UPDATED),
        *_insert("assets", _asset_rows(commit.assets), _ASSETS_UPDATED),
        *_insert("audit_events", _audit_rows(shard, commit.audit_events)),
        f"UPDATE cursors SET seq={last.seq:d},hash=x'{last.hash.hex()}' WHERE shard={shard:d}",
        "COMMIT",
    ]
    packet: list[str] = []
    size = 0
    for statement in statements:
        packet.append(statement)
        size += len(statement)
        if size >= PACKET_BYTES:
            yield ";".join(packet)
            packet, size = [], 0
    if packet:
        yield ";".join(packet)


_ACCOUNTS_UPDATED = (
    " ON DUPLICATE KEY UPDATE status=VALUES(status),posted=VALUES(posted),version=VALUES(version),"
    "debit=VALUES(debit),credit=VALUES(credit),time_us=VALUES(time_us),held=VALUES(held),"
    "overdraft_limit=VALUES(overdraft_limit),account_freeze=VALUES(account_freeze)"
)
_HOLDS_UPDATED = (
    " ON DUPLICATE KEY UPDATE state=VALUES(state),authorized=VALUES(authorized),"
    "captured=VALUES(captured),released=VALUES(released),expire_time_us=VALUES(expire_time_us)"
)
# Each shard registers an asset for itself; the first to say it here has said it for all.
_ASSETS_UPDATED = " ON DUPLICATE KEY UPDATE exponent=exponent"
_STATES_UPDATED = " ON DUPLICATE KEY UPDATE state=VALUES(state)"


def _insert(table: str, rows: Iterable[str], ending: str = "") -> list[str]:
    listed = list(rows)
    return [
        f"INSERT INTO {table} VALUES {','.join(listed[start : start + STATEMENT_ROWS])}{ending}"
        for start in range(0, len(listed), STATEMENT_ROWS)
    ]


_WALLET_OF = itemgetter(0)

_RECORD = "(%d,%d,x'%s',x'%s',%d,x'%s')"
_ENTRY = "(x'%s',%d,%d,%d,%d,%d,%d,x'%s',x'%s',%d,%d,%d,%d)"
_ACCOUNT = "(x'%s',%d,x'%s',x'%s',%d,%d,%d,%d,%d,%d,%d,%d,%d)"
_HOLD = "(x'%s',%d,x'%s',x'%s',%d,%d,%d,%d,%d)"
_HOLD_CHANGE = "(x'%s',%d,%d,%d,%d,%d,%d,%d,%d,%d)"
_EFFECTIVE = "(x'%s',%d,%d,%d,%d,%d,%d)"
_LABEL = "(x'%s',%d,%d,%d,x'%s',%d)"
_ASSET = "(x'%s',%d)"
_LEG = "(x'%s',%d,%d,%d,%d,%d,x'%s',%d,x'%s',%d)"
_INTENT = "(%d,x'%s',%d,x'%s',%d,x'%s')"
_STATE = "(x'%s',%d)"


def _record_rows(shard: int, records: Iterable[Kept]) -> list[str]:
    return [
        _RECORD % (shard, seq, prev_hash.hex(), hash_.hex(), time_us, payload.hex())
        for seq, prev_hash, hash_, time_us, payload in records
    ]


def _entry_rows(shard: int, entries: Iterable[Entry]) -> list[str]:
    return [
        _ENTRY
        % (
            id_.hex(),
            version,
            day,
            shard,
            seq,
            n,
            k,
            tx_id.hex(),
            other.hex(),
            delta,
            after,
            at,
            type_,
        )
        for id_, version, day, seq, n, k, tx_id, other, delta, after, at, type_ in entries
    ]


def _account_rows(accounts: Mapping[bytes, Account]) -> list[str]:
    return [
        _ACCOUNT
        % (
            *(wallet_id.hex(), shard, currency.encode().hex(), owner.encode().hex()),
            *moving,
        )
        for wallet_id, (shard, currency, owner, *moving) in sorted(accounts.items(), key=_WALLET_OF)
    ]


def _hold_rows(holds: Mapping[bytes, Hold]) -> list[str]:
    return [
        _HOLD % (hold_id.hex(), shard, wallet_id.hex(), currency.encode().hex(), *rest)
        for hold_id, (shard, wallet_id, currency, *rest) in sorted(holds.items())
    ]


def _hold_change_rows(shard: int, changes: Iterable[tuple[int, HoldChange]]) -> list[str]:
    return [
        _HOLD_CHANGE
        % (
            *(change.hold_id.hex(), change.version, shard, seq, change.kind, change.state),
            *(change.authorized, change.captured, change.released, change.expire_time_us),
        )
        for seq, change in sorted(changes, key=_hold_change_key)
    ]


def _hold_change_key(placed: tuple[int, HoldChange]) -> tuple[bytes, int]:
    return (placed[1].hold_id, placed[1].version)


def _effective_rows(shard: int, entries: Iterable[EffectiveEntry]) -> list[str]:
    return [
        _EFFECTIVE % (wallet_id.hex(), effective_us, version, delta, time_us, shard, seq)
        for wallet_id, effective_us, version, delta, time_us, seq in entries
    ]


def _label_rows(shard: int, labels: Iterable[tuple[int, int, Label]]) -> list[str]:
    rows = sorted((label, seq, n, tx_id, at) for seq, at, (label, n, tx_id) in labels)
    return [
        _LABEL % (label.hex(), shard, seq, n, tx_id.hex(), time_us)
        for label, seq, n, tx_id, time_us in rows
    ]


def _asset_rows(assets: Mapping[str, int]) -> list[str]:
    return [_ASSET % (code.encode().hex(), exponent) for code, exponent in sorted(assets.items())]


def _audit_rows(shard: int, events: Iterable[AuditRow]) -> list[str]:
    return [row((shard, *event)) for event in events]


def _leg_rows(shard: int, legs: Iterable[tuple[int, Leg]]) -> list[str]:
    # What ties is ordered by the leg itself, whose next field is the key's last, n.
    rows = sorted([(leg[0], leg[1], leg[2], seq, leg) for seq, leg in legs])
    return [
        _LEG
        % (
            *(tx_id.hex(), number, side, shard, seq, leg[3]),
            *(leg[4].encode().hex(), leg[5], leg[6].hex(), leg[7]),
        )
        for tx_id, number, side, seq, leg in rows
    ]


def _intents(shard: int, legs: Iterable[tuple[int, Leg]]) -> list[str]:
    """Insert what was sent, delete what was closed; what was both within the commit is neither."""
    opened: dict[tuple[int, bytes], Leg] = {}
    closed: dict[int, list[bytes]] = {}
    for _, leg in legs:
        if leg.side == Side.SENT:
            opened[leg.leg, leg.tx_id] = leg
    for _, leg in legs:
        if leg.side == Side.CLOSED and opened.pop((leg.leg, leg.tx_id), None) is None:
            closed.setdefault(leg.leg, []).append(leg.tx_id)
    rows = [
        _INTENT
        % (
            *(shard, tx_id.hex(), number),
            *(leg.currency.encode().hex(), leg.amount, leg.destination.hex()),
        )
        for (number, tx_id), leg in sorted(opened.items())
    ]
    # By the key: of a small table the optimizer would rather look through all of it, and so wait
    # for the rows of other shards, whose writers wait for ours.
    deletes = [
        f"DELETE o FROM open_intents o FORCE INDEX (PRIMARY) WHERE o.shard={shard:d}"
        f" AND o.leg={number:d} AND o.tx_id IN ({id_list(ids)})"
        for number, ids in sorted(closed.items())
    ]
    return [*_insert("open_intents", rows), *deletes]


def _state_rows(states: Mapping[bytes, int]) -> list[str]:
    return [_STATE % (tx_id.hex(), state) for tx_id, state in sorted(states.items())]
