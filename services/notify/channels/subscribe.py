"""Create and delete subscriptions.

Every process follows at once, and none misses an event.
"""

import time
from dataclasses import dataclass

from notify.channels.registry import Registry
from notify.channels.webhook import new_secret
from notify.domain.subscription import Filter, Subscription, fingerprint
from notify.store.subscriptions import Created, Subscriptions
from notify.streams.queues import Queues
from notify.streams.records import Records
from walletkit.ids import new_id


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asks for, checked."""

    url: str
    filter: Filter
    key_hash: bytes
    """Of its idempotency key, in its caller's scope."""


class Subscribing:
    """Writes the row first: it is the truth, and Redis follows."""

    def __init__(
        self, store: Subscriptions, records: Records, queues: Queues, registry: Registry
    ) -> None:
        self._store = store
        self._records = records
        self._queues = queues
        self._registry = registry

    async def create(self, wish: Wish) -> Created:
        """Subscribe from now on. Errors as those of the store, and NOTIFY_UNAVAILABLE.

        After a crash behind the row the same key finds it and goes on.
        """
        found = fingerprint(wish.url, wish.filter)
        new = Subscription(
            subscription_id=new_id(0),
            url=wish.url,
            filter=wish.filter,
            secret=new_secret(),
            starts=await self._records.heads(),
            created_at_us=time.time_ns() // 1_000,
        )
        created = await self._store.create(new, wish.key_hash, found)
        subscription = created.subscription
        name = subscription.subscription_id.hex()
        if created.replayed:
            await self._registry.refresh()
        if not created.replayed or name not in self._registry.index.by_id:
            await self._queues.activate(name, subscription.starts)
            await self._registry.refresh()
        return created

    async def delete(self, subscription_id: bytes) -> None:
        """End a subscription; what was not delivered is dropped. Raise SUBSCRIPTION_NOT_FOUND."""
        await self._store.delete(subscription_id)
        await self._registry.drop(subscription_id.hex())
        await self._registry.refresh()
