"""Delete from one shard's outbox what every sink has for good and nobody may ask for again.

Where the sinks stand is asked anew each time: what they once acknowledged says nothing of one that
was restored since. Only what was there a while ago already counts, for notify may lose the last
moments of what it has acknowledged. So two relays do no harm: each knows for itself, and what the
other has deleted is gone. The last record always stays.
"""

import asyncio
import random
from collections.abc import Sequence

import structlog

from wallet.relay.outbox import Outbox, Standing
from wallet.relay.sinks import Sink, ask
from walletkit.telemetry.metrics.relay import OUTBOX_RECORDS

PERIOD_S = 60
SOON_S = 0.5
"""Between rounds while there is more to delete than one may take."""
SETTLE_S = 60
"""How long a sink has to have a record before it counts. Redis may lose its last second or two."""
CHUNK_RECORDS = 100
"""Of one DELETE. Of records of 120 KB each that takes 8 ms, and a batch beside it waits as long."""
MAX_CHUNKS = 50
"""Of one round, 5,000 records, so that what the sinks have said is not old."""
CHUNK_PAUSE_S = 0.01

_HOUR_US = 3_600 * 1_000_000

log = structlog.get_logger()


class UnsureError(Exception):
    """A sink stands where nothing may be deleted."""


class Purge:
    """One shard's outbox, kept short for ever."""

    def __init__(self, outbox: Outbox, sinks: Sequence[Sink], retention_hours: int) -> None:
        """Keep records for so long at least; 0: only until all ``sinks`` have them.

        ``outbox`` is a session of its own.
        """
        self._outbox = outbox
        self._kept = OUTBOX_RECORDS.of(str(outbox.shard))
        self._sinks = sinks
        self._retention_us = retention_hours * _HOUR_US
        self._settled = 0
        """All sinks had so many records ``SETTLE_S`` ago, and none was seen with fewer since."""
        self._settling: tuple[int, float] | None = None
        """What is to become ``_settled``: so many records, and since when."""

    async def run(self) -> None:
        """Delete for ever; whatever goes wrong is reported once until it changes."""
        reported, more = "", False
        await self._count_at_start()
        while True:
            pause = SOON_S if more else PERIOD_S
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311  # jitter
            more = False
            try:
                more = await self.round()
                reported = ""
            except Exception as error:  # noqa: BLE001  # a sink or a shard that is away: later
                # Nobody knows what a sink has lost that was away.
                self._settled, self._settling = 0, None
                if repr(error) != reported:
                    reported = repr(error)
                    log.warning("outbox is not purged", shard=self._outbox.shard, error=reported)
            finally:
                self._outbox.close()

    async def _count_at_start(self) -> None:
        """Count what is kept, for the first round is a minute away; it counts again."""
        try:
            await self._count(await self._outbox.oldest())
        except Exception as error:  # noqa: BLE001  # the shard is away: later
            log.warning("outbox is not counted", shard=self._outbox.shard, error=repr(error))
        finally:
            self._outbox.close()

    async def _count(self, oldest: int) -> None:
        self._kept.set((await self._outbox.head()).seq + 1 - oldest)

    async def round(self) -> bool:
        """Ask all sinks, then delete a bounded number of records. Tell whether more may follow.

        Raise ``UnsureError``, or what asking a sink or the shard raises: then nothing is deleted.
        """
        last = self._settle(await self._reached())
        first = begun = await self._outbox.oldest()
        for _ in range(MAX_CHUNKS):
            until = min(first + CHUNK_RECORDS - 1, last)
            if until < first or not await self._is_over(until):
                break
            await self._outbox.delete(first, until)
            first = until + 1
            await asyncio.sleep(CHUNK_PAUSE_S)
        await self._count(first)
        if first > begun:
            log.info("outbox purged", shard=self._outbox.shard, until=first - 1)
        return first - begun >= MAX_CHUNKS * CHUNK_RECORDS

    async def _is_over(self, seq: int) -> bool:
        """Tell whether a record's time is over. Another relay may just have deleted it: later."""
        age_us = await self._outbox.age_us(seq)
        return age_us is not None and age_us >= self._retention_us

    async def _reached(self) -> int:
        """Return the last record that all sinks have and that is not the shard's last one."""
        reached: list[int] = []
        for sink in self._sinks:
            position = await ask(sink, self._outbox.shard)
            standing, head = await self._outbox.compare(position)
            if standing is not Standing.IN_ORDER:
                raise UnsureError(f"{sink.name} is {standing.value} at {position.seq}")
            reached.append(min(position.seq, head.seq - 1))
        return min(reached, default=0)

    def _settle(self, reached: int) -> int:
        """Return what all sinks have had for a while; a sink that went back counts at once."""
        now = asyncio.get_running_loop().time()
        self._settled = min(self._settled, reached)
        if self._settling is None or reached < self._settling[0]:
            self._settling = reached, now
        elif now >= self._settling[1] + SETTLE_S:
            self._settled = self._settling[0]
            self._settling = reached, now
        return self._settled
