"""Read without locks, for callers who only look.

The driver binds the values; lists of them are written as literals, which cost a tenth of that.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from wallet.domain.batch import Balance, Counterparty
from wallet.domain.bound import Usage, decode_limits, decode_usage
from wallet.domain.commands import Intent, Limits, Line
from wallet.domain.kinds import (
    HoldState,
    TransactionState,
    TransactionType,
    WalletStatus,
)
from wallet.domain.outcome import Hold, WalletFacts
from wallet.store.load import FACTS, HOLD, hold_of, wallet_facts
from wallet.store.shard import Shard
from walletkit.clock import to_us
from walletkit.ids import NIL
from walletkit.sql.literals import ascii_text, ascii_texts, id_list, literal

Counterparties = dict[bytes, Counterparty]
_BALANCE = "wallet_id,currency,posted,held,overdraft_limit,status,version,flags"
_WALLET = ",".join(f"w.{column}" for column in FACTS.split(",")) + ",b.status,b.flags"
_TRANSACTION = (
    "t.tx_id,type,state,source,destination,currency,amount,created_at,reference,parent,family"
)
_TRANSACTIONS = "transactions t LEFT JOIN links l ON l.tx_id=t.tx_id"
LINES_OF = 100
"""Transactions whose postings are read by one query: each may have a hundred."""
_LAST_ID = b"\xff" * len(NIL)


class StoredWallet(NamedTuple):
    """A wallet as it is now."""

    facts: WalletFacts
    status: WalletStatus
    flags: int = 0
    """How far its account is frozen, and whether it or its account is limited."""


class StoredTransaction(NamedTuple):
    """A transaction as it is now."""

    tx_id: bytes
    type: TransactionType
    state: TransactionState
    source: bytes
    destination: bytes
    currency: str
    amount: int
    create_time_us: int
    reference: bytes
    opaque: bytes
    """Empty where only what never changes was asked for."""
    parent: bytes = b""
    """Hold of a capture, original of a reversal."""
    family: bytes = b""
    """Where its family begins; empty where it has no parent."""
    lines: tuple[Line, ...] = ()
    """All of several postings; empty where there is only one."""


class HoldFacts(NamedTuple):
    """What of a hold never changes, and says where its commands go."""

    wallet_id: bytes
    currency: str
    destination: bytes
    """NIL where its captures may choose."""
    reference: bytes


async def counterparties(shard: Shard, wallet_ids: Sequence[bytes]) -> Counterparties:
    """Return currency, status and flags of those wallets that the shard has."""
    # On the way of every transfer between shards.
    ids = id_list(wallet_ids)
    rows: list[Any] = await shard.look_up(
        f"SELECT wallet_id,currency,status,flags FROM balances WHERE wallet_id IN ({ids})"
    )
    return {
        wallet_id: Counterparty(currency, WalletStatus(status), flags)
        for wallet_id, currency, status, flags in rows
    }


async def balance(shard: Shard, wallet_id: bytes) -> Balance | None:
    """Return a wallet's balance from the primary."""
    return await shard.find(_balances, wallet_id)


async def _balances(shard: Shard, wallet_ids: Collection[bytes]) -> dict[bytes, Balance]:
    rows: list[Any] = await shard.query(
        f"SELECT {_BALANCE} FROM balances WHERE wallet_id IN ({id_list(wallet_ids)})"
    )
    return {row[0]: _balance(row) for row in rows}


async def wallet(shard: Shard, wallet_id: bytes) -> StoredWallet | None:
    """Return a wallet."""
    return await shard.find(_wallets, wallet_id)


async def _wallets(shard: Shard, wallet_ids: Collection[bytes]) -> dict[bytes, StoredWallet]:
    rows: list[Any] = await shard.query(
        f"SELECT {_WALLET} FROM wallets w JOIN balances b USING(wallet_id)"
        f" WHERE w.wallet_id IN ({id_list(wallet_ids)})"
    )
    return {row[0]: _wallet(row) for row in rows}


async def wallets_of(shard: Shard, account_id: str, after: bytes, limit: int) -> list[StoredWallet]:
    """Return an account's wallets with ids behind ``after``, ascending."""
    rows: list[Any] = await shard.query(
        f"SELECT {_WALLET} FROM wallets w JOIN balances b USING(wallet_id)"
        " WHERE w.account_id=%s AND w.wallet_id>%s ORDER BY w.wallet_id LIMIT %s",
        (account_id, after, limit),
    )
    return [_wallet(row) for row in rows]


async def transaction(shard: Shard, tx_id: bytes) -> StoredTransaction | None:
    """Return a transaction, in the state that its home knows."""
    return await shard.find(_whole_transactions, tx_id)


async def _whole_transactions(
    shard: Shard, tx_ids: Collection[bytes]
) -> dict[bytes, StoredTransaction]:
    rows: list[Any] = await shard.query(
        f"SELECT {_TRANSACTION},opaque FROM {_TRANSACTIONS} WHERE t.tx_id IN ({id_list(tx_ids)})"
    )
    return await _transactions(shard, rows)


async def originals(shard: Shard, tx_ids: Collection[bytes]) -> dict[bytes, StoredTransaction]:
    """Return those transactions that the shard has, by id, for what never changes of them."""
    rows: list[Any] = await shard.query(
        f"SELECT {_TRANSACTION},'' FROM {_TRANSACTIONS} WHERE t.tx_id IN ({id_list(tx_ids)})"
    )
    return await _transactions(shard, rows)


async def _transactions(
    shard: Shard, rows: Sequence[tuple[Any, ...]]
) -> dict[bytes, StoredTransaction]:
    several = (TransactionType.POSTING, TransactionType.REVERSAL)
    lines = await _lines(shard, [row[0] for row in rows if row[1] in several])
    found = {}
    for tx_id, kind, state, source, destination, currency, amount, created_at, *told in rows:
        reference, parent, family, opaque = told
        found[tx_id] = StoredTransaction(
            tx_id,
            TransactionType(kind),
            TransactionState(state),
            source,
            destination,
            currency,
            amount,
            to_us(created_at),
            reference,
            opaque or b"",
            parent or b"",
            family or b"",
            tuple(lines.get(tx_id, ())),
        )
    return found


async def _lines(shard: Shard, tx_ids: Sequence[bytes]) -> dict[bytes, list[Line]]:
    lines: dict[bytes, list[Line]] = {}
    for start in range(0, len(tx_ids), LINES_OF):
        ids = id_list(tx_ids[start : start + LINES_OF])
        rows: list[Any] = await shard.query(
            "SELECT tx_id,source,destination,currency,amount FROM tx_lines"
            f" WHERE tx_id IN ({ids}) ORDER BY tx_id,n"
        )
        for tx_id, *line in rows:
            lines.setdefault(tx_id, []).append(Line(*line))
    return lines


async def hold(shard: Shard, hold_id: bytes) -> Hold | None:
    """Return a hold as it is now."""
    return await shard.find(_holds, hold_id)


async def _holds(shard: Shard, hold_ids: Collection[bytes]) -> dict[bytes, Hold]:
    rows: list[Any] = await shard.query(
        f"SELECT {HOLD} FROM holds WHERE hold_id IN ({id_list(hold_ids)})"
    )
    return {row[0]: hold_of(row) for row in rows}


async def hold_facts_of(shard: Shard, hold_ids: Collection[bytes]) -> dict[bytes, HoldFacts]:
    """Return what commands about holds need to know before they are decided, by hold."""
    rows: list[Any] = await shard.query(
        "SELECT hold_id,wallet_id,currency,destination,reference FROM holds"
        f" WHERE hold_id IN ({id_list(hold_ids)})"
    )
    return {hold_id: HoldFacts(*facts) for hold_id, *facts in rows}


async def holds_of(
    shard: Shard, wallet_id: bytes, state: HoldState | None, before_id: bytes, limit: int
) -> list[Hold]:
    """Return a wallet's holds with ids below ``before_id``, newest first; an empty one is none."""
    chosen, args = ("", ()) if state is None else (" AND state=%s", (int(state),))
    rows: list[Any] = await shard.query(
        f"SELECT {HOLD} FROM holds FORCE INDEX(holds_by_wallet)"
        f" WHERE wallet_id=%s AND hold_id<%s{chosen} ORDER BY hold_id DESC LIMIT %s",
        (wallet_id, before_id or _LAST_ID, *args, limit),
    )
    return [hold_of(row) for row in rows]


async def overdue_holds(
    shard: Shard, after: tuple[datetime, bytes], limit: int
) -> list[tuple[bytes, bytes, datetime]]:
    """Return hold, wallet and end of open holds whose time is over, behind ``after``."""
    since, hold_id = after
    rows: list[Any] = await shard.query(
        "SELECT hold_id,wallet_id,open_until FROM holds FORCE INDEX(holds_open)"
        " WHERE open_until<=UTC_TIMESTAMP(6) AND open_until>=%s AND (open_until>%s OR hold_id>%s)"
        " ORDER BY open_until,hold_id LIMIT %s",
        (since, since, hold_id, limit),
    )
    return rows


async def owned(shard: Shard, account_id: str, wallet_ids: Collection[bytes]) -> set[bytes]:
    """Return those wallets that are an account's."""
    owner = ascii_text(account_id)
    rows: list[Any] = await shard.query(
        f"SELECT wallet_id FROM wallets FORCE INDEX(PRIMARY) WHERE account_id={owner}"
        f" AND wallet_id IN ({id_list(wallet_ids)})"
    )
    return {row[0] for row in rows}


async def aliases(shard: Shard, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
    """Return the wallets that accounts call so, by account and name."""
    names = ",".join(
        [f"({ascii_text(account)},{literal(name.encode())})" for account, name in sorted(pairs)]
    )
    rows: list[Any] = await shard.query(
        "SELECT account_id,name,wallet_id FROM aliases FORCE INDEX(PRIMARY)"
        f" WHERE (account_id,name) IN ({names})"
    )
    return {(account, name.decode()): wallet_id for account, name, wallet_id in rows}


async def limits(shard: Shard, owner: bytes) -> tuple[Limits, Usage, int] | None:
    """Return limits, what is used of them, and what is held, which is kept for accounts alone.

    ``owner``: a wallet, or of an account ``account_owner``.
    """
    rows: list[Any] = await shard.query(
        "SELECT config,used,held FROM limits WHERE owner=%s", (owner,)
    )
    if not rows:
        return None
    config, used, held = rows[0]
    return decode_limits(config), decode_usage(used), held


async def assets(shard: Shard) -> dict[str, int]:
    """Return the exponents of the assets that are registered on a shard."""
    rows: list[Any] = await shard.query("SELECT currency,exponent FROM assets")
    return dict(rows)


async def assets_of(shard: Shard, codes: Collection[str]) -> dict[str, int]:
    """Return the exponents of those codes that are registered on a shard."""
    chosen = ascii_texts(codes)
    rows: list[Any] = await shard.query(
        f"SELECT currency,exponent FROM assets WHERE currency IN ({chosen})"
    )
    return dict(rows)


async def leg_result(shard: Shard, tx_id: bytes, leg: int) -> int | None:
    """Return what became of a leg at its destination, or None while it has not landed."""
    rows: list[Any] = await shard.query(
        "SELECT result FROM inbox WHERE tx_id=%s AND leg=%s", (tx_id, leg)
    )
    return int(rows[0][0]) if rows else None


async def open_intents(shard: Shard, after: tuple[bytes, int], limit: int) -> list[Intent]:
    """Return a shard's intents behind ``after``, by id and leg."""
    tx_id, leg = after
    rows: list[Any] = await shard.query(
        "SELECT tx_id,leg,source,destination,currency,amount,legs,effective_us FROM intents"
        " WHERE tx_id>%s OR (tx_id=%s AND leg>%s) ORDER BY tx_id,leg LIMIT %s",
        (tx_id, tx_id, leg, limit),
    )
    return [Intent(*row) for row in rows]


def _balance(row: tuple[Any, ...]) -> Balance:
    _, currency, posted, held, overdraft_limit, status, version, flags = row
    return Balance(currency, posted, held, overdraft_limit, WalletStatus(status), version, flags)


def _wallet(row: tuple[Any, ...]) -> StoredWallet:
    *facts, status, flags = row
    return StoredWallet(wallet_facts(tuple(facts)), WalletStatus(status), flags)
