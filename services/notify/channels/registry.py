"""The subscriptions in memory, as of one generation, indexed by wallet.

Loaded anew when the generation moves.
"""

from collections import defaultdict
from collections.abc import Iterable

from notify.domain.events import Event
from notify.domain.subscription import MAX_SOUGHT, Subscription
from notify.store.subscriptions import Subscriptions
from notify.streams.queues import Queues
from notify.streams.tail import Tail


class Index:
    """Who wants an event. Never changed once made."""

    def __init__(self, generation: int, subscriptions: Iterable[Subscription]) -> None:
        self.generation = generation
        self.by_id = {item.subscription_id.hex(): item for item in subscriptions}
        self._of_all: list[Subscription] = []
        self._of_wallet: dict[bytes, list[Subscription]] = defaultdict(list)
        for item in self.by_id.values():
            for wallet_id in item.filter.wallet_ids:
                self._of_wallet[wallet_id].append(item)
            if not item.filter.wallet_ids:
                self._of_all.append(item)

    def start(self, shard: int) -> int:
        """Return the last record of a shard that no subscription is told of."""
        return min((item.start(shard) for item in self.by_id.values()), default=0)

    def may_match(self, content: bytes) -> bool:
        """Tell, by its bytes alone, whether anybody can want an event of a record."""
        if self._of_all or len(self._of_wallet) > MAX_SOUGHT:
            return True
        return any(wallet in content for wallet in self._of_wallet)

    def matches(self, event: Event) -> list[Subscription]:
        """Return the subscriptions that an event passes."""
        candidates = self._of_all
        # A plain look-up: a defaultdict would keep an entry for each wallet it was asked about.
        if (own := self._of_wallet.get(event.wallet_id)) is not None:
            candidates = [*candidates, *own]
        return [item for item in candidates if item.filter.takes(event)]


class Registry:
    """Gives the index, and loads it when some process has changed the subscriptions."""

    def __init__(self, store: Subscriptions, queues: Queues, tail: Tail) -> None:
        self._store = store
        self._queues = queues
        self._tail = tail
        self.index = Index(-1, ())

    async def refresh(self) -> Index:
        """Return the index of the present generation. Raise NOTIFY_UNAVAILABLE."""
        if self.index.generation < 0:
            # Whoever died between a row and its announcement left this to the next start.
            await self._queues.activate("", {})
        # Read before the rows: what changes after it moves it again.
        generation = await self._queues.generation()
        if generation != self.index.generation:
            self.index = Index(generation, await self._store.all())
        return self.index

    async def drop(self, subscription: str) -> None:
        """Forget what Redis holds for a subscription."""
        await self._queues.drop(subscription, self._tail.heads)
