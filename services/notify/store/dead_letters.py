"""Keep deliveries that were given up, for the setting's days."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, select
from sqlalchemy.dialects.mysql import insert

from notify.store.tables import dead_letters as table
from walletkit.clock import DAY_US, to_datetime, to_us
from walletkit.ids import new_id
from walletkit.sql.database import Database

PURGE_ROWS = 1_000
LATEST = b"\xff" * 16


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that was given up; ``body`` is what would have been posted."""

    dead_letter_id: bytes
    event_id: str
    event_time_us: int
    body: bytes
    attempts: int
    last_error: str
    created_at_us: int


@dataclass(frozen=True, slots=True)
class Span:
    """Events created at or after ``start_us`` and before ``end_us``."""

    start_us: int
    end_us: int


class DeadLetters:
    """Reads and writes the table; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, subscription_id: bytes, letter: DeadLetter) -> None:
        """Keep a letter.

        One of the same event is replaced, so that it can be done again after a crash.
        """
        values = {
            "subscription_id": subscription_id,
            "dead_letter_id": letter.dead_letter_id,
            "event_id": letter.event_id,
            "event_time_us": letter.event_time_us,
            "body": letter.body,
            "attempts": letter.attempts,
            "last_error": letter.last_error,
            "created_at": to_datetime(letter.created_at_us).replace(tzinfo=None),
        }
        statement = insert(table).values(values)
        changed = ("dead_letter_id", "attempts", "last_error", "created_at")
        again = statement.on_duplicate_key_update({name: values[name] for name in changed})
        async with self._database.transaction() as connection:
            await connection.execute(again)

    async def page(self, subscription_id: bytes, before: bytes, limit: int) -> list[DeadLetter]:
        """Return letters older than an id, newest first; ``LATEST`` begins."""
        query = (
            select(table)
            .where(table.c.subscription_id == subscription_id, table.c.dead_letter_id < before)
            .order_by(table.c.dead_letter_id.desc())
            .limit(limit)
        )
        async with self._database.transaction() as connection:
            return [_to_letter(row) for row in await connection.execute(query)]

    async def within(self, subscription_id: bytes, span: Span, limit: int) -> list[DeadLetter]:
        """Return letters of events of a time range, oldest first."""
        query = (
            select(table)
            .where(
                table.c.subscription_id == subscription_id,
                table.c.event_time_us >= span.start_us,
                table.c.event_time_us < span.end_us,
            )
            .order_by(table.c.event_time_us, table.c.event_id)
            .limit(limit)
        )
        async with self._database.transaction() as connection:
            return [_to_letter(row) for row in await connection.execute(query)]

    async def remove(self, subscription_id: bytes, ids: Sequence[bytes]) -> None:
        """Remove letters that are queued again, those that are still there."""
        if not ids:
            return
        statement = delete(table).where(
            table.c.subscription_id == subscription_id, table.c.dead_letter_id.in_(ids)
        )
        async with self._database.transaction() as connection:
            await connection.execute(statement)

    async def purge(self, now_us: int, days: int) -> None:
        """Delete the oldest letters that are over their days, at most 1,000."""
        limit = to_datetime(now_us - days * DAY_US).replace(tzinfo=None)
        statement = delete(table).where(table.c.created_at < limit)
        async with self._database.transaction() as connection:
            await connection.execute(statement.with_dialect_options(mysql_limit=PURGE_ROWS))


def new_letter_id() -> bytes:
    """Make an id; ids sort by time, and so do the pages."""
    return new_id(0)


def _to_letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        dead_letter_id=row.dead_letter_id,
        event_id=row.event_id,
        event_time_us=row.event_time_us,
        body=bytes(row.body),
        attempts=row.attempts,
        last_error=row.last_error,
        created_at_us=to_us(row.created_at),
    )
