"""What callers and the suite itself can ask of a shard.

Plain values, fixed once: ids stay the same over every retry.

Commands are named tuples, not frozen dataclasses: making one is on the hot path and costs a fifth.
"""

from enum import IntEnum
from typing import NamedTuple

RETURN_LEG = 128
"""Legs from this number on bring money back: leg ``n`` returns as leg ``n + RETURN_LEG``."""

ANY_VERSION = -1
"""``expected_version`` of a caller who does not care."""


class TransactionType(IntEnum):
    """What a transaction is; numbers as in the protos and the tables."""

    DEPOSIT = 1
    WITHDRAWAL = 2
    TRANSFER = 3


class TransactionState(IntEnum):
    """How far a transaction has come; numbers as in the protos and the tables."""

    PROCESSING = 1
    COMPLETED = 2
    RETURNED = 3


class WalletStatus(IntEnum):
    """Whether money may move through a wallet; numbers as in the protos and the tables."""

    ACTIVE = 1
    FROZEN = 2
    CLOSED = 3


class WalletChangeKind(IntEnum):
    """What can happen to a wallet besides postings; numbers as in the protos."""

    CREATED = 1
    FROZEN = 2
    UNFROZEN = 3
    CLOSED = 4


class LegResult(IntEnum):
    """What became of a leg at its destination; numbers as in the protos and the tables."""

    CREDITED = 1
    RETURNED = 2
    SUSPENDED = 3


class Transfer(NamedTuple):
    """Move money.

    ``source`` is NIL for a deposit and ``destination`` for a withdrawal: the shard's `world`.
    """

    ref: bytes
    """Id of the transaction, fresh."""
    slot: int
    """Slot of its home: the debited wallet's, or the credited one's for a deposit."""
    type: TransactionType
    source: bytes
    destination: bytes
    currency: str
    amount: int
    reference: bytes
    opaque: bytes
    expected_version: int
    key_hash: bytes
    fingerprint: bytes


class CreateWallet(NamedTuple):
    """Create a wallet with a balance of zero."""

    ref: bytes
    """Id of the wallet, fresh."""
    slot: int
    account_id: str
    currency: str
    opaque: bytes
    key_hash: bytes
    fingerprint: bytes


class ChangeStatus(NamedTuple):
    """Freeze, unfreeze or close a wallet."""

    ref: bytes
    """A fresh id, for the key alone."""
    slot: int
    kind: WalletChangeKind
    wallet_id: bytes
    key_hash: bytes
    fingerprint: bytes


class Intent(NamedTuple):
    """A credit on its way from the shard of ``source`` to that of ``destination``.

    Can't be refused.
    """

    tx_id: bytes
    leg: int
    source: bytes
    destination: bytes
    currency: str
    amount: int


class LandLeg(NamedTuple):
    """Credit an intent's destination, once."""

    slot: int
    intent: Intent


class CloseIntent(NamedTuple):
    """Forget an intent whose leg is durable at its destination.

    ``state`` is what its transaction becomes.
    """

    slot: int
    tx_id: bytes
    leg: int
    state: TransactionState | None


KeyedCommand = Transfer | CreateWallet | ChangeStatus
Command = KeyedCommand | LandLeg | CloseIntent
