"""Load all that a batch needs, in one packet of set-based statements, whatever the batch's size.

Lock order, one everywhere: slots of accounts, then balances by ascending wallet id, then intents.
The keys, the inbox and the clock are read behind the locks, so that they hold until the commit.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncmy

from wallet.domain.batch import Balance, Batch, Kept
from wallet.domain.commands import (
    ChangeStatus,
    CloseIntent,
    Command,
    CreateWallet,
    LandLeg,
    Transfer,
)
from wallet.domain.kinds import (
    RETURN_LEG,
    LegResult,
    TransactionState,
    WalletChangeKind,
    WalletStatus,
)
from wallet.domain.outcome import WalletFacts
from walletkit.clock import to_us
from walletkit.ids import NIL, slot_of
from walletkit.sql.literals import id_list, literal
from walletkit.sql.session import Rows, run_packet

PACKET_TIMEOUT_S = 8
"""Longest wait for a packet.

Longer than the sessions' lock wait, so that the server gives up first.
"""

# FORCE INDEX: a scan, which the optimizer prefers for a small table, locks rows of others.
_BALANCES = (
    "SELECT wallet_id,currency,posted,held,overdraft_limit,status,version FROM balances"
    " FORCE INDEX(PRIMARY) WHERE wallet_id IN ({}) ORDER BY wallet_id FOR UPDATE"
)
_CLOCK = "SELECT UTC_TIMESTAMP(6),clock_us,seq,shard,epoch FROM head WHERE id=1"


class StaleEpochError(Exception):
    """Somebody else owns the shard's slots by now: this process must not write."""


@dataclass(slots=True)
class ReadSet:
    """What a batch of commands touches."""

    wallets: set[bytes] = field(default_factory=set)
    keys: set[bytes] = field(default_factory=set)
    slots: set[int] = field(default_factory=set)
    facts: set[bytes] = field(default_factory=set)
    closing: set[bytes] = field(default_factory=set)
    legs: set[tuple[bytes, int]] = field(default_factory=set)
    intents: set[tuple[bytes, int]] = field(default_factory=set)
    counterparties: set[bytes] = field(default_factory=set)
    """Wallets on other shards: not read here."""


def read_set(commands: Iterable[Command], local_slots: Sequence[bool]) -> ReadSet:
    """Gather what the commands touch.

    ``local_slots[slot]`` tells whether a slot is on this shard.
    """
    needs = ReadSet()
    for command in commands:
        if isinstance(command, Transfer):
            needs.keys.add(command.key_hash)
            if command.source != NIL:
                needs.wallets.add(command.source)
            if command.destination != NIL:
                here = local_slots[slot_of(command.destination)]
                (needs.wallets if here else needs.counterparties).add(command.destination)
        elif isinstance(command, LandLeg):
            intent = command.intent
            needs.wallets.add(intent.destination)
            needs.legs.add((intent.tx_id, intent.leg))
            if intent.leg >= RETURN_LEG:
                needs.intents.add((intent.tx_id, intent.leg - RETURN_LEG))
        elif isinstance(command, CloseIntent):
            needs.intents.add((command.tx_id, command.leg))
        else:
            _add_wallet_change(needs, command)
    return needs


def _add_wallet_change(needs: ReadSet, command: CreateWallet | ChangeStatus) -> None:
    needs.keys.add(command.key_hash)
    if isinstance(command, CreateWallet):
        needs.slots.add(command.slot)
        return
    needs.wallets.add(command.wallet_id)
    needs.facts.add(command.wallet_id)
    if command.kind == WalletChangeKind.CLOSED:
        needs.closing.add(command.wallet_id)


async def load(connection: asyncmy.Connection, shard: int, epoch: int, needs: ReadSet) -> Batch:
    """Lock and read: this opens the transaction.

    Raise ``StaleEpochError`` or what the driver raises.
    After any error the session holds locks until it is rolled back or dropped.
    """
    statements = _statements(needs)
    async with asyncio.timeout(PACKET_TIMEOUT_S):
        results = await run_packet(connection, "; ".join(statements.values()))
        found = dict(zip(statements, results, strict=True))
        ((now, clock_us, seq, *owner),) = found["clock"]
        if owner != [shard, epoch]:
            message = f"shard and epoch are {owner}, this process has {[shard, epoch]}"
            raise StaleEpochError(message)
        kept = await _load_kept(connection, found.get("keys", []))
    return _batch(shard, max(to_us(now), clock_us), seq, found, kept)


def _statements(needs: ReadSet) -> dict[str, str]:
    """Name and write the statements, in lock order; those with nothing to look for are left out."""
    statements: dict[str, str] = {}
    if needs.slots:
        slots = ",".join([literal(slot) for slot in sorted(needs.slots)])
        statements["slots"] = (
            "SELECT slot FROM slots FORCE INDEX(PRIMARY)"
            f" WHERE slot IN ({slots}) ORDER BY slot FOR UPDATE"
        )
    if needs.wallets:
        statements["balances"] = _BALANCES.format(id_list(needs.wallets))
    if needs.intents:
        ids = id_list({tx_id for tx_id, _ in needs.intents})
        statements["intents"] = (
            "SELECT tx_id,leg FROM intents FORCE INDEX(PRIMARY)"
            f" WHERE tx_id IN ({ids}) ORDER BY tx_id,leg FOR UPDATE"
        )
    if needs.keys:
        statements["keys"] = (
            f"SELECT key_hash,ref FROM idem WHERE key_hash IN ({id_list(needs.keys)})"
        )
    if needs.legs:
        ids = id_list({tx_id for tx_id, _ in needs.legs})
        statements["legs"] = f"SELECT tx_id,leg,result FROM inbox WHERE tx_id IN ({ids})"
    if needs.facts:
        statements["facts"] = (
            "SELECT wallet_id,account_id,currency,created_at,opaque FROM wallets"
            f" WHERE wallet_id IN ({id_list(needs.facts)})"
        )
    if needs.closing:
        # What only bounced off a wallet was never its own.
        statements["paying"] = (
            f"SELECT DISTINCT source FROM intents WHERE source IN ({id_list(needs.closing)})"
            f" AND leg<{literal(RETURN_LEG)}"
        )
    statements["clock"] = _CLOCK
    return statements


async def _load_kept(connection: asyncmy.Connection, hits: Rows) -> dict[bytes, Kept]:
    """Read what is kept of the keys that were used before: replays only, so rarely."""
    if not hits:
        return {}
    refs = {ref for _, ref in hits}
    packet = (
        f"SELECT ref,fingerprint,outcome FROM outcomes WHERE ref IN ({id_list(refs)});"
        f" SELECT tx_id,state FROM transactions WHERE tx_id IN ({id_list(refs)})"
    )
    outcomes, transactions = await run_packet(connection, packet)
    states = {tx_id: TransactionState(state) for tx_id, state in transactions}
    kept = {
        ref: Kept(ref, fingerprint, outcome, states.get(ref))
        for ref, fingerprint, outcome in outcomes
    }
    return {key_hash: kept[ref] for key_hash, ref in hits}


def _batch(
    shard: int, now_us: int, seq: int, found: dict[str, Rows], kept: dict[bytes, Kept]
) -> Batch:
    balances = {
        wallet_id: Balance(currency, posted, held, limit, _STATUSES[status], version)
        for wallet_id, currency, posted, held, limit, status, version in found.get("balances", [])
    }
    return Batch(
        shard=shard,
        now_us=now_us,
        seq=seq,
        balances=balances,
        kept=kept,
        facts={row[0]: wallet_facts(row) for row in found.get("facts", [])},
        landed={(tx_id, leg): LegResult(result) for tx_id, leg, result in found.get("legs", [])},
        open_intents={(tx_id, leg) for tx_id, leg in found.get("intents", [])},
        paying={source for (source,) in found.get("paying", [])},
    )


_STATUSES = {status.value: status for status in WalletStatus}


def wallet_facts(columns: tuple[Any, ...]) -> WalletFacts:
    """Read a row of wallet_id, account_id, currency, created_at, opaque."""
    wallet_id, account_id, currency, created_at, opaque = columns
    moment: datetime = created_at
    return WalletFacts(wallet_id, account_id, currency, to_us(moment), opaque)
