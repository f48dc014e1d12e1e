"""Keep subscriptions, and the keys that created them."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from notify.domain.subscription import Filter, Subscription
from notify.store.tables import subscriptions as table
from walletkit.clock import DAY_US, to_datetime, to_us
from walletkit.errors import ServiceError
from walletkit.sql.database import Database
from walletkit.sql.session import DUPLICATE_KEY, error_number

_ID_LENGTH = 16
PURGE_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Created:
    """The subscription behind a key, and whether an earlier call had created it."""

    subscription: Subscription
    replayed: bool


class Subscriptions:
    """Reads and writes the table; every method is one transaction."""

    def __init__(self, database: Database, max_subscriptions: int) -> None:
        self._database = database
        self._max = max_subscriptions

    async def find(self, key_hash: bytes, fingerprint: bytes) -> Created | None:
        """Return what a key has created.

        Raise IDEMPOTENCY_KEY_REUSED when that was something else.
        """
        query = select(table).where(table.c.key_hash == key_hash)
        async with self._database.transaction() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        if row.fingerprint != fingerprint:
            message = "the idempotency key was used for another request"
            raise ServiceError("IDEMPOTENCY_KEY_REUSED", message)
        return Created(_to_subscription(row), replayed=True)

    async def create(self, new: Subscription, key_hash: bytes, fingerprint: bytes) -> Created:
        """Insert a subscription. Raise IDEMPOTENCY_KEY_REUSED, or SUBSCRIPTION_LIMIT."""
        found = await self.find(key_hash, fingerprint)
        if found is not None:
            return found
        try:
            await self._insert(new, key_hash, fingerprint)
        except IntegrityError as error:
            if error.orig is None or error_number(error.orig) != DUPLICATE_KEY:
                raise
            # Another call with the same key won the race.
            found = await self.find(key_hash, fingerprint)
            if found is None:
                raise
            return found
        return Created(new, replayed=False)

    async def all(self) -> list[Subscription]:
        """Return every subscription; their number is bounded by the setting."""
        query = select(table).where(table.c.deleted_at.is_(None)).limit(self._max + 1)
        async with self._database.transaction() as connection:
            return [_to_subscription(row) for row in await connection.execute(query)]

    async def page(self, after: bytes, limit: int) -> list[Subscription]:
        """Return subscriptions behind an id, oldest first."""
        query = (
            select(table)
            .where(table.c.deleted_at.is_(None), table.c.subscription_id > after)
            .order_by(table.c.subscription_id)
            .limit(limit)
        )
        async with self._database.transaction() as connection:
            return [_to_subscription(row) for row in await connection.execute(query)]

    async def get(self, subscription_id: bytes) -> Subscription:
        """Return a subscription. Raise SUBSCRIPTION_NOT_FOUND."""
        query = select(table).where(
            table.c.subscription_id == subscription_id, table.c.deleted_at.is_(None)
        )
        async with self._database.transaction() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise not_found()
        return _to_subscription(row)

    async def delete(self, subscription_id: bytes) -> None:
        """Delete a subscription. Raise SUBSCRIPTION_NOT_FOUND."""
        statement = (
            update(table)
            .where(table.c.subscription_id == subscription_id, table.c.deleted_at.is_(None))
            .values(deleted_at=func.utc_timestamp(6))
        )
        async with self._database.transaction() as connection:
            if (await connection.execute(statement)).rowcount == 0:
                raise not_found()

    async def purge(self, now_us: int, key_days: int) -> None:
        """Forget subscriptions that were deleted, once their keys need no answer any more."""
        limit = to_datetime(now_us - key_days * DAY_US).replace(tzinfo=None)
        statement = delete(table).where(table.c.deleted_at < limit, table.c.created_at < limit)
        async with self._database.transaction() as connection:
            await connection.execute(statement.with_dialect_options(mysql_limit=PURGE_ROWS))

    async def _insert(self, new: Subscription, key_hash: bytes, fingerprint: bytes) -> None:
        count = select(func.count()).select_from(table).where(table.c.deleted_at.is_(None))
        values = {
            "subscription_id": new.subscription_id,
            "url": new.url,
            "event_types": " ".join(sorted(new.filter.event_types)),
            "wallet_ids": b"".join(sorted(new.filter.wallet_ids)),
            "secret": new.secret,
            "starts": json.dumps({str(k): v for k, v in new.starts.items()}).encode(),
            "key_hash": key_hash,
            "fingerprint": fingerprint,
            "created_at": to_datetime(new.created_at_us).replace(tzinfo=None),
        }
        async with self._database.transaction() as connection:
            # Two at once may pass this check together: the bound protects memory, not a promise.
            if (await connection.execute(count)).scalar_one() >= self._max:
                metadata = {"limit": str(self._max)}
                message = f"there are {self._max} subscriptions already"
                raise ServiceError("SUBSCRIPTION_LIMIT", message, metadata)
            await connection.execute(insert(table).values(values))


def not_found() -> ServiceError:
    """Make the error for an unknown subscription."""
    return ServiceError("SUBSCRIPTION_NOT_FOUND", "no subscription has this id")


def _to_subscription(row: Row[Any]) -> Subscription:
    wallets = bytes(row.wallet_ids)
    starts = {int(shard): seq for shard, seq in json.loads(row.starts).items()}
    ids = range(0, len(wallets), _ID_LENGTH)
    return Subscription(
        subscription_id=row.subscription_id,
        url=row.url,
        filter=Filter(
            frozenset(row.event_types.split()),
            frozenset(wallets[at : at + _ID_LENGTH] for at in ids),
        ),
        secret=row.secret,
        starts=starts,
        created_at_us=to_us(row.created_at),
    )
