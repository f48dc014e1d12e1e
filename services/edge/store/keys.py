"""Keep API keys. A change and its event in the log are one transaction."""

from collections.abc import Callable, Mapping

from sqlalchemy import bindparam, func, insert, select, update

from edge.domain.key import Key
from edge.store.key_events import CREATED, Cause, append
from edge.store.rows import moment, to_key, to_row
from edge.store.tables import api_keys as table
from walletkit.errors import ServiceError
from walletkit.sql.database import Database


class Keys:
    """Reads and writes the tables; every method is one transaction."""

    def __init__(self, database: Database, max_keys: int) -> None:
        self._database = database
        self._max = max_keys

    async def create(self, key: Key, cause: Cause) -> None:
        """Insert a key. Raise KEY_LIMIT."""
        count = select(func.count()).select_from(table).where(table.c.revoked_at.is_(None))
        async with self._database.transaction() as connection:
            # Two at once may pass this check together: the bound is no promise.
            if (await connection.execute(count)).scalar_one() >= self._max:
                message = f"there are {self._max} keys already"
                raise ServiceError("KEY_LIMIT", message, {"limit": str(self._max)})
            await connection.execute(insert(table).values(to_row(key)))
            await append(connection, CREATED, None, key, cause)

    async def change(
        self, key_id: bytes, action: str, decide: Callable[[Key], Key], cause: Cause
    ) -> Key:
        """Lock a key and replace it by what ``decide`` makes of it. Raise KEY_NOT_FOUND.

        What it leaves as it was is neither written nor logged.
        """
        query = select(table).where(table.c.key_id == key_id).with_for_update()
        async with self._database.transaction() as connection:
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise ServiceError("KEY_NOT_FOUND", "no key has this id")
            before = to_key(row)
            after = decide(before)
            if after != before:
                statement = update(table).where(table.c.key_id == key_id).values(to_row(after))
                await connection.execute(statement)
                await append(connection, action, before, after, cause)
        return after

    async def find(self, key_id: bytes) -> Key | None:
        """Return a key, whatever its state."""
        query = select(table).where(table.c.key_id == key_id)
        async with self._database.transaction() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else to_key(row)

    async def page(self, client_id: str, after: bytes, limit: int) -> list[Key]:
        """Return keys behind an id, oldest first; of one client, or with "" of all."""
        query = select(table).where(table.c.key_id > after).order_by(table.c.key_id).limit(limit)
        if client_id:
            query = query.where(table.c.client_id == client_id)
        async with self._database.transaction() as connection:
            return [to_key(row) for row in await connection.execute(query)]

    async def note_uses(self, uses: Mapping[bytes, int]) -> None:
        """Write when keys were last used; an older time never replaces a newer one."""
        statement = (
            update(table)
            .where(table.c.key_id == bindparam("used_key"))
            .values(
                last_used_at=func.greatest(
                    func.coalesce(table.c.last_used_at, bindparam("used_at")), bindparam("used_at")
                )
            )
        )
        # In one order everywhere, so that two processes never wait for each other.
        rows = [{"used_key": key, "used_at": moment(uses[key])} for key in sorted(uses)]
        async with self._database.transaction() as connection:
            await connection.execute(statement, rows)
