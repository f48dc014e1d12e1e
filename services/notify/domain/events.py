"""Expand a record to events: one for each new version of a customer's wallet. Pure.

Each customer side of a posting, each change of a wallet and each change of a hold makes one. Ids
and order follow from the record alone, so every process, delivery and replay gives the same. Within
a record a wallet's events ascend by its version; versions have no gaps, so neither have a wallet's
events.
"""

from dataclasses import dataclass, replace

from notify.domain.facts import Change, EventType, Facts, HoldChange, Leg, Posting, Transaction
from walletkit.ids import is_system
from walletkit.trace import Span

DEBIT = "d"
CREDIT = "c"
CHANGE = "w"
HOLD = "h"


@dataclass(frozen=True, slots=True)
class Movement:
    """One side of a posting, and the transaction or leg that it belongs to."""

    of: Transaction | Leg
    posting: Posting
    side: str


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to one wallet. ``wallet_sequence`` is the wallet's version after it."""

    event_id: str
    type: EventType
    time_us: int
    wallet_id: bytes
    wallet_sequence: int
    about: Movement | Change | HoldChange
    follower: Span | None = None
    """Who follows what made it."""


def expand(record: Facts) -> list[Event]:
    """Return the record's events in order; an event's index in it is part of cursors."""
    events: list[Event] = []
    n = 0
    sources: tuple[Transaction | Leg, ...] = (*record.transactions, *record.legs)
    for source in sources:
        for posting in source.postings:
            _add_sides(events, record, n, source, posting)
            n += 1
    changes = enumerate(record.changes)
    events.extend(_of_change(record, number, change) for number, change in changes)
    holds = enumerate(record.holds)
    events.extend(_of_hold(record, number, change) for number, change in holds)
    kinds = (record.transactions, record.legs, record.changes, record.holds)
    if sum(bool(kind) for kind in kinds) > 1:
        # The record lists each kind by itself; the versions tell in which order a wallet saw them.
        events.sort(key=lambda event: event.wallet_sequence)
    if record.followers:
        events = [replace(event, follower=_follower(record, event.about)) for event in events]
    return events


def _follower(record: Facts, about: Movement | Change | HoldChange) -> Span | None:
    if isinstance(about, Movement):
        return record.followers.get(about.of.transaction_id)
    if isinstance(about, HoldChange):
        captured = record.followers.get(about.transaction_id)
        return captured or record.followers.get(about.hold_id)
    return record.followers.get(about.wallet_id)


def _add_sides(
    events: list[Event], record: Facts, n: int, of: Transaction | Leg, posting: Posting
) -> None:
    returned = isinstance(of, Leg) and of.is_return
    kind = EventType.TRANSACTION_RETURNED if returned else EventType.TRANSACTION_POSTED
    for side, wallet_id, version in (
        (DEBIT, posting.source, posting.source_version),
        (CREDIT, posting.destination, posting.destination_version),
    ):
        if not is_system(wallet_id):
            about = Movement(of, posting, side)
            event_id = _event_id(record, n, side)
            events.append(Event(event_id, kind, record.time_us, wallet_id, version, about))


def _of_change(record: Facts, n: int, change: Change) -> Event:
    return Event(
        event_id=_event_id(record, n, CHANGE),
        type=change.type,
        time_us=record.time_us,
        wallet_id=change.wallet_id,
        wallet_sequence=change.version,
        about=change,
    )


def _of_hold(record: Facts, n: int, change: HoldChange) -> Event:
    return Event(
        event_id=_event_id(record, n, HOLD),
        type=change.type,
        time_us=record.time_us,
        wallet_id=change.wallet_id,
        wallet_sequence=change.wallet_version,
        about=change,
    )


def _event_id(record: Facts, n: int, side: str) -> str:
    return f"evt_{record.shard}_{record.seq}_{n}_{side}"
