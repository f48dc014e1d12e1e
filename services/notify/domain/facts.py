"""What a record says, as plain values. Pure.

Names of types and states are those of the wallet API's JSON. Ids are 16 bytes, amounts minor units,
times microseconds since 1970.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from walletkit.record import RETURN_LEG
from walletkit.trace import Span


class EventType(StrEnum):
    """What an event can tell."""

    TRANSACTION_POSTED = "transaction.posted"
    TRANSACTION_RETURNED = "transaction.returned"
    HOLD_AUTHORIZED = "hold.authorized"
    HOLD_INCREMENTED = "hold.incremented"
    HOLD_EXTENDED = "hold.extended"
    HOLD_CAPTURED = "hold.captured"
    HOLD_VOIDED = "hold.voided"
    HOLD_EXPIRED = "hold.expired"
    WALLET_CREATED = "wallet.created"
    WALLET_UPDATED = "wallet.updated"
    WALLET_FROZEN = "wallet.frozen"
    WALLET_UNFROZEN = "wallet.unfrozen"
    WALLET_CLOSED = "wallet.closed"


EVENT_TYPES = frozenset(EventType)


@dataclass(frozen=True, slots=True)
class Posting:
    """One movement on the record's shard.

    A system wallet's balance and version are not known here. ``payee`` is the wallet that is meant:
    where ``destination`` is `transit`, the one on the other shard.
    """

    source: bytes
    destination: bytes
    payee: bytes
    currency_code: str
    amount_minor: int
    source_posted_after: int
    source_version: int
    destination_posted_after: int
    destination_version: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction in its home's record.

    ``opaque`` is JSON of what the caller said or empty: `d` description, `m` metadata, `r` reason,
    `a` actor. Parent and family are empty, the effective time is 0, where there is none.
    """

    transaction_id: bytes
    type: str
    state: str
    parent_id: bytes
    family_id: bytes
    effective_time_us: int
    reference: bytes
    opaque: bytes
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class Leg:
    """A leg of a transaction that landed here: a credit from another shard, or a return.

    The rest is in the home's record. ``state`` is the whole transaction's where this record says
    it, else empty: other legs may still be on their way.
    """

    transaction_id: bytes
    leg: int
    state: str
    postings: tuple[Posting, ...]

    @property
    def is_return(self) -> bool:
        """Whether it brought the amount back to its source."""
        return self.leg >= RETURN_LEG


@dataclass(frozen=True, slots=True)
class Change:
    """A wallet created or changed.

    Account, alias and currency only where it was created; ``opaque``, `{"m": metadata}` or empty,
    there and where its metadata were replaced. An account's freeze is empty where there is none.
    """

    type: EventType
    changed: str
    """What an update has set: `metadata` or `limits`; empty for the other types."""
    wallet_id: bytes
    version: int
    account_id: str
    alias: str
    currency_code: str
    opaque: bytes
    status: str
    previous_status: str
    account_freeze: str
    previous_account_freeze: str
    overdraft_limit_minor: int
    previous_overdraft_limit_minor: int


@dataclass(frozen=True, slots=True)
class HoldChange:
    """A hold made or changed; the amounts are those after it.

    Destination, reference and ``opaque``, as in a transaction, only where it was made; the
    transaction only where it was captured.
    """

    type: EventType
    hold_id: bytes
    wallet_id: bytes
    wallet_version: int
    state: str
    currency_code: str
    authorized_minor: int
    captured_minor: int
    released_minor: int
    held_after_minor: int
    expire_time_us: int
    destination: bytes
    transaction_id: bytes
    reference: bytes
    opaque: bytes

    @property
    def open_minor(self) -> int:
        """What it still reserves."""
        return self.authorized_minor - self.captured_minor - self.released_minor


@dataclass(frozen=True, slots=True)
class Facts:
    """A whole record, with its place in its shard's stream."""

    shard: int
    seq: int
    time_us: int
    transactions: tuple[Transaction, ...]
    legs: tuple[Leg, ...]
    changes: tuple[Change, ...]
    holds: tuple[HoldChange, ...]
    followers: Mapping[bytes, Span] = field(default_factory=dict)
    """Who follows it, by transaction, hold or wallet."""
