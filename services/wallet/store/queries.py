"""Read without locks, for callers who only look.

The driver binds the values, but for the counterparties' ids.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from wallet.domain.batch import Balance, Counterparty
from wallet.domain.commands import Intent
from wallet.domain.kinds import TransactionState, TransactionType, WalletStatus
from wallet.domain.outcome import WalletFacts
from wallet.store.load import wallet_facts
from wallet.store.shard import Shard
from walletkit.clock import to_us
from walletkit.sql.literals import id_list

Counterparties = dict[bytes, Counterparty]
_BALANCE = "currency,posted,held,overdraft_limit,status,version"
_FACTS = "w.wallet_id,w.account_id,w.currency,w.created_at,w.opaque"


class StoredWallet(NamedTuple):
    """A wallet as it is now."""

    facts: WalletFacts
    status: WalletStatus


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


async def counterparties(shard: Shard, wallet_ids: Sequence[bytes]) -> Counterparties:
    """Return currency and status of those wallets that the shard has."""
    # On the way of every transfer between shards: literals cost a tenth of the driver's binding.
    ids = id_list(wallet_ids)
    rows: list[Any] = await shard.look_up(
        f"SELECT wallet_id,currency,status FROM balances WHERE wallet_id IN ({ids})"
    )
    return {
        wallet_id: Counterparty(currency, WalletStatus(status))
        for wallet_id, currency, status in rows
    }


async def balance(shard: Shard, wallet_id: bytes) -> Balance | None:
    """Return a wallet's balance from the primary."""
    rows: list[Any] = await shard.query(
        f"SELECT {_BALANCE} FROM balances WHERE wallet_id=%s",  # our own columns
        (wallet_id,),
    )
    return _balance(rows[0]) if rows else None


async def wallet(shard: Shard, wallet_id: bytes) -> StoredWallet | None:
    """Return a wallet."""
    rows: list[Any] = await shard.query(
        f"SELECT {_FACTS},b.status FROM wallets w JOIN balances b USING(wallet_id)"
        " WHERE w.wallet_id=%s",
        (wallet_id,),
    )
    return _wallet(rows[0]) if rows else None


async def wallets_of(shard: Shard, account_id: str, after: bytes, limit: int) -> list[StoredWallet]:
    """Return an account's wallets with ids behind ``after``, ascending."""
    rows: list[Any] = await shard.query(
        f"SELECT {_FACTS},b.status FROM wallets w JOIN balances b USING(wallet_id)"
        " WHERE w.account_id=%s AND w.wallet_id>%s ORDER BY w.wallet_id LIMIT %s",
        (account_id, after, limit),
    )
    return [_wallet(row) for row in rows]


async def transaction(shard: Shard, tx_id: bytes) -> StoredTransaction | None:
    """Return a transaction, in the state that its home knows."""
    rows: list[Any] = await shard.query(
        "SELECT tx_id,type,state,source,destination,currency,amount,created_at,reference,opaque"
        " FROM transactions WHERE tx_id=%s",
        (tx_id,),
    )
    if not rows:
        return None
    tx_id, kind, state, source, destination, currency, amount, created_at, ref, opaque = rows[0]
    return StoredTransaction(
        tx_id,
        TransactionType(kind),
        TransactionState(state),
        source,
        destination,
        currency,
        amount,
        to_us(created_at),
        ref,
        opaque,
    )


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
        "SELECT tx_id,leg,source,destination,currency,amount FROM intents"
        " WHERE tx_id>%s OR (tx_id=%s AND leg>%s) ORDER BY tx_id,leg LIMIT %s",
        (tx_id, tx_id, leg, limit),
    )
    return [Intent(*row) for row in rows]


def _balance(row: tuple[Any, ...]) -> Balance:
    currency, posted, held, overdraft_limit, status, version = row
    return Balance(currency, posted, held, overdraft_limit, WalletStatus(status), version)


def _wallet(row: tuple[Any, ...]) -> StoredWallet:
    return StoredWallet(wallet_facts(row[:5]), WalletStatus(row[5]))
