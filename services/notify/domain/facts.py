"""What a record says, as plain values. Pure.

Names of types and states are those of the wallet API's JSON. Ids are 16 bytes, amounts minor units,
times microseconds since 1970.
"""

from dataclasses import dataclass
from enum import StrEnum

RETURN_LEG = 128
"""From this number on a leg is a return: it brings the amount back to the source."""


class EventType(StrEnum):
    """What an event can tell."""

    TRANSACTION_POSTED = "transaction.posted"
    TRANSACTION_RETURNED = "transaction.returned"
    WALLET_CREATED = "wallet.created"
    WALLET_FROZEN = "wallet.frozen"
    WALLET_UNFROZEN = "wallet.unfrozen"
    WALLET_CLOSED = "wallet.closed"


EVENT_TYPES = frozenset(EventType)


@dataclass(frozen=True, slots=True)
class Posting:
    """One movement on the record's shard.

    A system wallet's balance and version are not known here.
    """

    source: bytes
    destination: bytes
    currency_code: str
    amount_minor: int
    source_posted_after: int
    source_version: int
    destination_posted_after: int
    destination_version: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction in its home's record.

    ``opaque`` is `{"d": description, "m": metadata}` or empty.
    """

    transaction_id: bytes
    type: str
    state: str
    source: bytes
    destination: bytes
    reference: bytes
    opaque: bytes
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class Leg:
    """A credit of another shard's transaction that landed here.

    The rest is in the home's record.
    """

    transaction_id: bytes
    leg: int
    postings: tuple[Posting, ...]

    @property
    def is_return(self) -> bool:
        """Whether it brought the amount back to its source."""
        return self.leg >= RETURN_LEG


@dataclass(frozen=True, slots=True)
class Change:
    """A wallet created or changed.

    Account, currency and ``opaque``, `{"m": metadata}` or empty, only where it was created.
    """

    type: EventType
    wallet_id: bytes
    version: int
    status: str
    account_id: str
    currency_code: str
    opaque: bytes


@dataclass(frozen=True, slots=True)
class Facts:
    """A whole record, with its place in its shard's stream."""

    shard: int
    seq: int
    time_us: int
    transactions: tuple[Transaction, ...]
    legs: tuple[Leg, ...]
    changes: tuple[Change, ...]
