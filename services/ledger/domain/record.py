"""What the domain sees of a shard's record. Pure.

Postings are plain tuples: there are thousands of them in a commit, and a class for each would cost
more than the journal.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from walletkit.ids import NIL
from walletkit.trace import Span

Posting = tuple[int, int, bytes, bytes, bytes, str, int, int, int, int, int, int]
"""n, number, tx_id, source, destination, currency, amount, then balance and version after of source
and of destination, then the transaction's type, 0 for a landed leg.

``n`` is the place of a transaction in its record, from 0; of a landed leg -1, -2, …, so that both
can be told apart.
"""


class Status(IntEnum):
    """Whether money may move through a wallet."""

    ACTIVE = 1
    FROZEN = 2
    CLOSED = 3
    DEBITS_FROZEN = 4


class Freeze(IntEnum):
    """How far all wallets of an account are frozen."""

    NONE = 0
    DEBITS = 1
    ALL = 2


class ChangeKind(IntEnum):
    """What can happen to a wallet besides a posting or a hold."""

    CREATED = 1
    FROZEN = 2
    UNFROZEN = 3
    CLOSED = 4
    UPDATED = 5
    LIMITED = 6


class HoldKind(IntEnum):
    """What can happen to a hold."""

    AUTHORIZED = 1
    INCREMENTED = 2
    EXTENDED = 3
    CAPTURED = 4
    VOIDED = 5
    EXPIRED = 6


class HoldState(IntEnum):
    """How far a hold has come."""

    AUTHORIZED = 1
    CAPTURED = 2
    VOIDED = 3
    EXPIRED = 4


CAPTURE = 4
"""Type of the transaction that a capture makes."""

REVERSAL = 5
"""Type of the transaction that a reversal makes."""


class Side(IntEnum):
    """What a record says of a leg."""

    SENT = 1
    LANDED = 2
    CLOSED = 3


class Result(IntEnum):
    """What became of a leg where it landed."""

    NONE = 0
    CREDITED = 1
    RETURNED = 2
    SUSPENDED = 3


class Change(NamedTuple):
    """A wallet created or changed other than by a posting or a hold; ``previous`` is before it."""

    kind: int
    wallet_id: bytes
    version: int
    status: int
    account_id: str
    currency: str
    account_freeze: int
    overdraft_limit: int
    previous_status: int
    previous_freeze: int
    previous_limit: int

    @property
    def created(self) -> bool:
        """Whether the wallet begins with it."""
        return self.kind == ChangeKind.CREATED


class HoldChange(NamedTuple):
    """A hold made or changed, as it is after; a change of its wallet as well."""

    kind: int
    hold_id: bytes
    wallet_id: bytes
    version: int
    held_after: int
    currency: str
    state: int
    authorized: int
    captured: int
    released: int
    expire_time_us: int
    tx_id: bytes
    """Transaction of a capture; empty for every other kind."""


class AuditAction(IntEnum):
    """What an admin action does."""

    FREEZE_WALLET = 1
    UNFREEZE_WALLET = 2
    CLOSE_WALLET = 3
    SET_WALLET_LIMITS = 4
    FREEZE_ACCOUNT = 5
    UNFREEZE_ACCOUNT = 6
    SET_ACCOUNT_LIMITS = 7
    REGISTER_ASSET = 8
    REVERSE_TRANSACTION = 9


class AuditEvent(NamedTuple):
    """An admin action, as the record tells it. Ids are empty where it is about none."""

    n: int
    """Place in the record, from 0."""
    action: int
    """One that this program does not know is kept as it is."""
    actor: str
    reason: str
    request_id: str
    before: bytes
    """What it may change, as it was: canonical JSON, see ``ledger.domain.auditing``."""
    after: bytes
    wallet_id: bytes = b""
    account_id: str = ""
    """Of an action on an account; that of a wallet the journal knows."""
    currency: str = ""
    """Likewise."""
    tx_id: bytes = b""
    original: bytes = b""


class Label(NamedTuple):
    """What a transaction of the record can be found by."""

    label: bytes
    n: int
    tx_id: bytes


class Leg(NamedTuple):
    """One event of a leg: sent, landed, or closed by its sender.

    Amount and destination are empty for a closing.
    """

    tx_id: bytes
    leg: int
    side: int
    n: int
    """Place of what holds it: of the transaction or landed leg as in ``Posting``; of a closing from
    0."""
    currency: str = ""
    amount: int = 0
    destination: bytes = NIL
    result: int = Result.NONE


@dataclass(frozen=True, slots=True)
class Record:
    """One committed batch of a shard."""

    shard: int
    time_us: int
    transactions: int
    postings: list[Posting]
    changes: list[Change]
    legs: list[Leg]
    states: list[tuple[bytes, int]]
    """Transactions that take another state here, with that state."""
    holds: list[HoldChange]
    captures: dict[bytes, bytes]
    """Transactions that are captures, with what they follow."""
    effective: dict[int, int]
    """By the place of a transaction or landed leg, as in ``Posting``, that counts at another time
    than the record's: that time."""
    labels: list[Label]
    assets: list[tuple[str, int]]
    """Assets registered, with their exponents."""
    audit_events: list[AuditEvent] = field(default_factory=list)
    followers: tuple[Span, ...] = ()
    """Spans that asked for something in it and are followed."""
