"""Keep the log of what was done to keys: append, and read. Nothing here changes or deletes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from edge.domain.key import Key
from edge.store.rows import moment, public_facts
from edge.store.tables import key_events as table
from walletkit.clock import to_us
from walletkit.ids import new_id
from walletkit.sql.database import Database

CREATED, ROTATED, REVOKED = "created", "rotated", "revoked"
LATEST = b"\xff" * 16
"""Behind every event's id."""

Facts = Mapping[str, Any]
"""What is public of a key, as ``rows.public_facts`` writes it."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Who changes a key, and why."""

    actor: str
    reason: str
    request_id: str
    time_us: int


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """One change; a key that was made has no ``before``."""

    event_id: bytes
    key_id: bytes
    action: str
    cause: Cause
    before: Facts | None
    after: Facts


class KeyEvents:
    """Reads the log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, key_id: bytes, before: bytes, limit: int) -> list[KeyEvent]:
        """Return events before an id, newest first; of one key, or with b"" of all."""
        query = select(table).where(table.c.event_id < before)
        query = query.order_by(table.c.event_id.desc()).limit(limit)
        if key_id:
            query = query.where(table.c.key_id == key_id)
        async with self._database.transaction() as connection:
            return [_event(row) for row in await connection.execute(query)]


async def append(
    connection: AsyncConnection, action: str, before: Key | None, after: Key, cause: Cause
) -> None:
    """Log a change in the transaction that makes it."""
    await connection.execute(
        insert(table).values(
            event_id=new_id(0),
            key_id=after.key_id,
            action=action,
            actor=cause.actor,
            reason=cause.reason,
            request_id=cause.request_id,
            before_state=None if before is None else json.dumps(public_facts(before)).encode(),
            after_state=json.dumps(public_facts(after)).encode(),
            created_at=moment(cause.time_us),
        )
    )


def _event(row: Row[Any]) -> KeyEvent:
    return KeyEvent(
        event_id=row.event_id,
        key_id=row.key_id,
        action=row.action,
        cause=Cause(row.actor, row.reason, row.request_id, to_us(row.created_at)),
        before=json.loads(row.before_state) if row.before_state else None,
        after=json.loads(row.after_state),
    )
