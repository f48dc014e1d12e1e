"""What the domain sees of a shard's record. Pure.

Postings are plain tuples: there are thousands of them in a commit, and a class for each would cost
more than the journal.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from walletkit.ids import NIL

VERSION = 1
"""The one format of records that this program knows."""

RETURN_LEG = 128
"""From this number on a leg is a return of the leg numbered 128 less."""

Posting = tuple[int, int, bytes, bytes, bytes, str, int, int, int, int, int]
"""n, number, tx_id, source, destination, currency, amount, then balance and version after of source
and of destination.

``n`` is the place of a transaction in its record, from 0; of a landed leg -1, -2, …, so that both
can be told apart.
"""


class Status(IntEnum):
    """Whether money may move through a wallet."""

    ACTIVE = 1
    FROZEN = 2
    CLOSED = 3


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
    """A wallet created or changed other than by a posting."""

    wallet_id: bytes
    version: int
    status: int
    created: bool
    account_id: str
    currency: str


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
