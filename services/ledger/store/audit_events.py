"""Read the log of admin actions, newest first. SQL only.

Every condition that has an index serves as the one that is walked, the narrowest first; what else
is asked for narrows a bounded number of events.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ledger.store.pool import Session
from walletkit.sql.literals import literal

MAX_SCANNED = 5_000
"""Events that one call looks through; what is left is for the next page."""

_PLACE = "time_us,shard,seq,n"
_NEWEST_FIRST = "time_us DESC,shard DESC,seq DESC,n DESC"


class Place(NamedTuple):
    """Where an event stands in the list."""

    time_us: int
    shard: int
    seq: int
    n: int


class AuditRow(NamedTuple):
    """An event as it is kept; names are the columns'."""

    time_us: int
    shard: int
    seq: int
    n: int
    action: int
    actor: bytes
    reason: bytes
    request_id: bytes
    account_id: bytes
    currency: bytes
    wallet_id: bytes
    tx_id: bytes
    original_id: bytes
    state_before: bytes
    state_after: bytes


class Filters(NamedTuple):
    """What an event must have; nothing given, anything goes."""

    start_us: int | None = None
    end_us: int | None = None
    actor: bytes = b""
    actions: frozenset[int] = frozenset()
    wallet_id: bytes = b""
    account_id: bytes = b""


class Page(NamedTuple):
    """Some events, and behind which place the next page goes on; None: there is no more."""

    rows: list[AuditRow]
    next_place: Place | None


async def page(session: Session, filters: Filters, behind: Place | None, size: int) -> Page:
    """Return the events that follow a place, at most ``size``."""
    index, walked, narrowing = _plan(filters)
    walked += _range(filters, behind)
    table = f"audit_events FORCE INDEX({index})"
    edge = None
    if narrowing:
        rows = await session.rows(
            f"SELECT {_PLACE} FROM {table} WHERE {_all(walked)} ORDER BY {_NEWEST_FIRST}"
            f" LIMIT {MAX_SCANNED - 1:d},1"
        )
        if rows:
            edge = Place(*rows[0])
            walked.append(_not_older(edge))
    rows = await session.rows(
        f"SELECT {','.join(AuditRow._fields)} FROM {table} WHERE {_all([*walked, *narrowing])}"
        f" ORDER BY {_NEWEST_FIRST} LIMIT {size + 1:d}"
    )
    found = [AuditRow(*row) for row in rows[:size]]
    return Page(found, Place(*found[-1][:4]) if len(rows) > size else edge)


def _plan(filters: Filters) -> tuple[str, list[str], list[str]]:
    """Return the index to walk, the condition on it, and all other conditions."""
    actions = sorted(filters.actions)
    conditions = {
        "by_wallet": filters.wallet_id and f"wallet_id={literal(filters.wallet_id)}",
        "by_account": filters.account_id and f"account_id={literal(filters.account_id)}",
        "by_actor": filters.actor and f"actor={literal(filters.actor)}",
        "by_action": actions and f"action IN ({','.join(map(literal, actions))})",
    }
    given = {index: str(text) for index, text in conditions.items() if text}
    # Several actions are several ranges, which are not in order of time.
    walkable = [index for index in given if index != "by_action" or len(actions) == 1]
    if not walkable:
        return "by_time", [], list(given.values())
    return walkable[0], [given.pop(walkable[0])], list(given.values())


def _range(filters: Filters, behind: Place | None) -> list[str]:
    conditions = []
    if filters.start_us is not None:
        conditions.append(f"time_us>={literal(filters.start_us)}")
    if filters.end_us is not None:
        conditions.append(f"time_us<{literal(filters.end_us)}")
    if behind is not None:
        conditions.append(_older(behind))
    return conditions


def _older(place: Place) -> str:
    """Say that an event follows a place; the first part gives the index its range."""
    time_us, *rest = map(literal, place)
    tie = ",".join(rest)
    return f"time_us<={time_us} AND (time_us<{time_us} OR (shard,seq,n)<({tie}))"


def _not_older(place: Place) -> str:
    """Say that an event is this one, or goes before it."""
    time_us, *rest = map(literal, place)
    tie = ",".join(rest)
    return f"time_us>={time_us} AND (time_us>{time_us} OR (shard,seq,n)>=({tie}))"


def _all(conditions: Iterable[str]) -> str:
    return " AND ".join(conditions) or "TRUE"
