"""Load all that a batch needs, in packets of set-based statements, whatever the batch's size.

Lock order, one everywhere: slots of accounts, then balances by ascending wallet id, then intents,
then limits by ascending owner. All else is read behind the lock that guards it, so that it holds
until the commit: holds, totals reversed, keys and facts behind their wallet's, accounts, aliases
and assets behind their slot's, the inbox behind its destination's.

One packet is the rule. Two come before and behind it for those who need them: which wallets an
account has must be known before they can be locked, and which limits a wallet has is told by its
balance.
"""

import asyncio
from collections.abc import KeysView
from datetime import datetime
from typing import Any

import asyncmy

from wallet.domain.batch import Balance, Batch, Kept
from wallet.domain.bound import Bound, account_owner, decode_limits, decode_usage
from wallet.domain.kinds import (
    ACCOUNT_LIMITED,
    LIMITED,
    MAX_ACCOUNT_WALLETS,
    RETURN_LEG,
    AccountFreeze,
    HoldState,
    LegResult,
    TransactionState,
    WalletStatus,
)
from wallet.domain.outcome import Hold, WalletFacts
from wallet.store.needs import ReadSet
from walletkit.clock import to_us
from walletkit.sql.literals import ascii_text, ascii_texts, id_list, literal
from walletkit.sql.session import Rows, run_packet

PACKET_TIMEOUT_S = 8
"""Longest wait for a packet.

Longer than the sessions' lock wait, so that the server gives up first.
"""

# FORCE INDEX: a scan, which the optimizer prefers for a small table, locks rows of others.
_BALANCES = (
    "SELECT wallet_id,currency,posted,held,overdraft_limit,status,version,flags FROM balances"
    " FORCE INDEX(PRIMARY) WHERE wallet_id IN ({}) ORDER BY wallet_id"
)
_CLOCK = "SELECT UTC_TIMESTAMP(6),clock_us,seq,shard,epoch FROM head WHERE id=1"
FACTS = "wallet_id,account_id,currency,created_at,opaque,alias"
HOLD = (
    "hold_id,wallet_id,currency,destination,state,authorized,captured,released,"
    "expires_at,created_at,reference,opaque"
)


class StaleEpochError(Exception):
    """Somebody else owns the shard's slots by now: this process must not write."""


async def load(
    connection: asyncmy.Connection, shard: int, epoch: int, needs: ReadSet, *, lock: bool = True
) -> Batch:
    """Lock and read: this opens the transaction. Without ``lock`` the same is read, and no more.

    Raise ``StaleEpochError`` or what the driver raises.
    After any error the session holds locks until it is rolled back or dropped.
    """
    async with asyncio.timeout(PACKET_TIMEOUT_S):
        if needs.whole_accounts:
            await _find_wallets(connection, needs, lock=lock)
        statements = _statements(needs, lock=lock)
        results = await run_packet(connection, "; ".join(statements.values()))
        found = dict(zip(statements, results, strict=True))
        ((now, clock_us, seq, *owner),) = found["clock"]
        if owner != [shard, epoch]:
            message = f"shard and epoch are {owner}, this process has {[shard, epoch]}"
            raise StaleEpochError(message)
        kept = await _load_kept(connection, found.get("keys", []))
        batch = _batch(shard, max(to_us(now), clock_us), seq, found, kept)
        batch.account_wallets = dict(needs.account_wallets)
        batch.account_sizes.update({a: len(ids) for a, ids in needs.account_wallets.items()})
        await _load_bounds(connection, needs, batch, lock=lock)
    return batch


async def _find_wallets(connection: asyncmy.Connection, needs: ReadSet, *, lock: bool) -> None:
    """Lock the slots, so that no account gets another wallet, and add all wallets to the needs."""
    packet = " UNION ALL ".join(
        [
            f"(SELECT account_id,wallet_id FROM wallets WHERE account_id={ascii_text(account_id)}"
            f" ORDER BY wallet_id LIMIT {MAX_ACCOUNT_WALLETS + 1})"
            for account_id in sorted(needs.whole_accounts)
        ]
    )
    if lock:
        packet = f"{_slots(needs)}; {packet}"
    wallets: dict[str, list[bytes]] = {account_id: [] for account_id in needs.whole_accounts}
    for account_id, wallet_id in (await run_packet(connection, packet))[-1]:
        wallets[account_id].append(wallet_id)
    for account_id, ids in wallets.items():
        needs.account_wallets[account_id] = tuple(sorted(ids))
        # One that is too large is refused, so none of its wallets needs to be locked.
        if len(ids) <= MAX_ACCOUNT_WALLETS:
            needs.wallets.update(ids)
            needs.facts.update(ids)


def _slots(needs: ReadSet) -> str:
    slots = ",".join([literal(slot) for slot in sorted(needs.slots)])
    return (
        "SELECT slot FROM slots FORCE INDEX(PRIMARY)"
        f" WHERE slot IN ({slots}) ORDER BY slot FOR UPDATE"
    )


def _statements(needs: ReadSet, *, lock: bool) -> dict[str, str]:
    """Name and write the statements, in lock order; those with nothing to look for are left out."""
    statements: dict[str, str] = {}
    locking = " FOR UPDATE" if lock else ""
    if needs.slots and lock and not needs.whole_accounts:
        statements["slots"] = _slots(needs)
    if needs.wallets:
        statements["balances"] = _BALANCES.format(id_list(needs.wallets)) + locking
    if needs.intents:
        ids = id_list({tx_id for tx_id, _ in needs.intents})
        statements["intents"] = (
            "SELECT tx_id,leg FROM intents FORCE INDEX(PRIMARY)"
            f" WHERE tx_id IN ({ids}) ORDER BY tx_id,leg{locking}"
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
            f"SELECT {FACTS} FROM wallets WHERE wallet_id IN ({id_list(needs.facts)})"
        )
    if needs.closing:
        # What only bounced off a wallet was never its own.
        statements["paying"] = (
            f"SELECT DISTINCT source FROM intents WHERE source IN ({id_list(needs.closing)})"
            f" AND leg<{literal(RETURN_LEG)}"
        )
    _add_movements(statements, needs)
    _add_accounts(statements, needs)
    statements["clock"] = _CLOCK
    return statements


def _add_movements(statements: dict[str, str], needs: ReadSet) -> None:
    if needs.holds:
        statements["holds"] = f"SELECT {HOLD} FROM holds WHERE hold_id IN ({id_list(needs.holds)})"
    if needs.reversed:
        statements["reversed"] = (
            f"SELECT tx_id,amount FROM reversed WHERE tx_id IN ({id_list(needs.reversed)})"
        )
    if needs.returning:
        # Of several postings one may come back and the others not: that one stays reversed.
        statements["returning"] = (
            "SELECT l.tx_id,l.parent,r.amount FROM links l JOIN reversed r ON r.tx_id=l.parent"
            f" WHERE l.tx_id IN ({id_list(needs.returning)})"
            " AND NOT EXISTS (SELECT 1 FROM tx_lines t WHERE t.tx_id=l.tx_id)"
        )
    if needs.states:
        statements["states"] = (
            f"SELECT tx_id,state FROM transactions WHERE tx_id IN ({id_list(needs.states)})"
        )


def _add_accounts(statements: dict[str, str], needs: ReadSet) -> None:
    if needs.aliases:
        # A list of pairs would be a scan; joined, each name is one probe of the primary key.
        names = " UNION ALL ".join(
            [
                f"SELECT {ascii_text(account_id)} COLLATE ascii_bin a,{literal(name.encode())} n"
                for account_id, name in sorted(needs.aliases)
            ]
        )
        statements["aliases"] = (
            f"SELECT x.account_id,x.name,x.wallet_id FROM ({names}) j STRAIGHT_JOIN aliases x"
            " FORCE INDEX(PRIMARY) ON x.account_id=j.a AND x.name=j.n"
        )
    if needs.accounts:
        statements["accounts"] = (
            "SELECT account_id,freeze FROM accounts"
            f" WHERE account_id IN ({ascii_texts(needs.accounts)})"
        )
    if growing := needs.accounts - needs.whole_accounts:
        # Only where one is: accounts that were never frozen or limited are not counted.
        statements["sizes"] = " UNION ALL ".join([_size(account_id) for account_id in growing])
    if needs.assets:
        statements["assets"] = (
            f"SELECT currency,exponent FROM assets WHERE currency IN ({ascii_texts(needs.assets)})"
        )
        statements["asset_count"] = "SELECT COUNT(*) FROM assets"


def _size(account_id: str) -> str:
    """Count an account's wallets, as far as it matters."""
    text = ascii_text(account_id)
    return (
        f"SELECT account_id,(SELECT COUNT(*) FROM (SELECT 1 FROM wallets WHERE account_id={text}"
        f" LIMIT {MAX_ACCOUNT_WALLETS + 1}) w) FROM accounts WHERE account_id={text}"
    )


async def _load_bounds(
    connection: asyncmy.Connection, needs: ReadSet, batch: Batch, *, lock: bool
) -> None:
    """Lock and read limits, where a wallet has any or a command is about them."""
    limited = {w: b for w, b in batch.balances.items() if b.flags & (LIMITED | ACCOUNT_LIMITED)}
    owners = needs.owners | {w for w, b in limited.items() if b.flags & LIMITED}
    of_accounts = {w: b.currency for w, b in limited.items() if b.flags & ACCOUNT_LIMITED}
    if of_accounts:
        accounts = await _accounts_of(connection, of_accounts.keys(), batch)
        batch.owners = {w: account_owner(accounts[w], code) for w, code in of_accounts.items()}
        owners = owners.union(batch.owners.values())
    if not owners:
        return
    locking = " FOR UPDATE" if lock else ""
    rows, ((now, clock_us, seq, *_),) = await run_packet(
        connection,
        "SELECT owner,slot,config,held,used FROM limits FORCE INDEX(PRIMARY)"
        f" WHERE owner IN ({id_list(owners)}) ORDER BY owner{locking}; {_CLOCK}",
    )
    batch.bounds = {
        owner: Bound(owner, slot, decode_limits(config), held, decode_usage(used))
        for owner, slot, config, held, used in rows
    }
    # Usage is counted by the time: what was read before these locks may be older than the last use.
    batch.now_us = max(batch.now_us, to_us(now), clock_us)
    batch.seq = seq


async def _accounts_of(
    connection: asyncmy.Connection, wallet_ids: KeysView[bytes], batch: Batch
) -> dict[bytes, str]:
    accounts = {w: facts.account_id for w, facts in batch.facts.items()}
    unknown = wallet_ids - accounts.keys()
    if unknown:
        packet = f"SELECT wallet_id,account_id FROM wallets WHERE wallet_id IN ({id_list(unknown)})"
        accounts.update((await run_packet(connection, packet))[0])
    return accounts


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
        wallet_id: Balance(currency, posted, held, limit, _STATUSES[status], version, flags)
        for wallet_id, currency, posted, held, limit, status, version, flags in found.get(
            "balances", []
        )
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
        holds={row[0]: hold_of(row) for row in found.get("holds", [])},
        reversed=dict(found.get("reversed", []))
        | {original: amount for _, original, amount in found.get("returning", [])},
        returning={tx_id: original for tx_id, original, _ in found.get("returning", [])},
        states={tx_id: TransactionState(state) for tx_id, state in found.get("states", [])},
        aliases={
            (account_id, name.decode()): wallet_id
            for account_id, name, wallet_id in found.get("aliases", [])
        },
        accounts={
            account_id: AccountFreeze(freeze) for account_id, freeze in found.get("accounts", [])
        },
        account_sizes=dict(found.get("sizes", [])),
        assets=dict(found.get("assets", [])),
        asset_count=found.get("asset_count", [(0,)])[0][0],
    )


_STATUSES = {status.value: status for status in WalletStatus}


def wallet_facts(columns: tuple[Any, ...]) -> WalletFacts:
    """Read a row of ``FACTS``."""
    wallet_id, account_id, currency, created_at, opaque, alias = columns
    moment: datetime = created_at
    return WalletFacts(wallet_id, account_id, currency, to_us(moment), opaque, alias.decode())


def hold_of(columns: tuple[Any, ...]) -> Hold:
    """Read a row of ``HOLD``."""
    hold_id, wallet_id, currency, destination, state = columns[:5]
    authorized, captured, released, expires_at, created_at, reference, opaque = columns[5:]
    return Hold(
        hold_id,
        wallet_id,
        currency,
        destination,
        HoldState(state),
        authorized,
        captured,
        released,
        to_us(expires_at),
        to_us(created_at),
        reference,
        opaque,
    )
