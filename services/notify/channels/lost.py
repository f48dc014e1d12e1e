"""Say so when records were trimmed before a subscription was told of them.

It is said by a dead letter, which nobody can replay.
"""

import json
import time
from collections.abc import Iterable

import structlog

from notify.domain.render import format_time
from notify.domain.subscription import Subscription
from notify.store.dead_letters import DeadLetter, DeadLetters, new_letter_id
from walletkit.telemetry.metrics.notify import DEAD_LETTERS

LOST_TYPE = "notify.events_lost"
LOST_PREFIX = "lost_"

log = structlog.get_logger()


class Losses:
    """Notes gaps."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters
        self._lost = DEAD_LETTERS.of("lost")

    async def note(
        self, subscriptions: Iterable[Subscription], shard: int, first: int, last: int
    ) -> None:
        """Keep a dead letter for each subscription.

        Events of these records can't be delivered any more.
        """
        now_us = time.time_ns() // 1_000
        event_id = f"{LOST_PREFIX}{shard}_{first}_{last}"
        places = {"shard": shard, "firstSeq": str(first), "lastSeq": str(last)}
        moment = format_time(now_us)
        content = {"type": LOST_TYPE, "timestamp": moment, "eventId": event_id, "data": places}
        for item in subscriptions:
            name = item.subscription_id.hex()
            log.error("events lost", subscription=name, shard=shard, first=first, last=last)
            letter = DeadLetter(
                dead_letter_id=new_letter_id(),
                event_id=event_id,
                event_time_us=now_us,
                body=json.dumps(content).encode(),
                attempts=0,
                last_error="the records were trimmed before their events could be queued",
                created_at_us=now_us,
            )
            await self._letters.add(item.subscription_id, letter)
            self._lost.add()
