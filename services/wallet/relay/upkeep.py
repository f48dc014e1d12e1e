"""Look after one shard's tables, hourly: partitions ahead, keys and transactions that are over."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from wallet.store import forgetting, partitions, retention

PERIOD_S = 3_600
"""Far longer than any command lives: see ``forgetting``."""
RETRY_S = 600

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what grows is kept at least."""

    outbox_hours: int
    """Of a record; 0: only until all sinks have it."""
    key_days: int
    """Of an idempotency key and its outcome."""
    transaction_days: int = 0
    """Of a transaction, and of what hangs on it; 0: for good."""


class Upkeep:
    """One shard's upkeep, for ever."""

    def __init__(self, urls: Sequence[str], shard: int, kept: Retention) -> None:
        """Look after the shard of this number; the others are asked what they still have."""
        self._urls = urls
        self._shard = shard
        self._kept = kept
        self._line: bytes | None = None
        """Below it no shard had anything a round ago."""

    async def run(self) -> None:
        """Work once an hour; what fails is tried again soon, and reported until it works."""
        while True:
            pause = RETRY_S
            try:
                await self.round()
                pause = PERIOD_S
            except Exception:
                log.exception("tables were not looked after", shard=self._shard)
            await asyncio.sleep(pause)

    async def round(self) -> None:
        """Do all of it once. Raise what a shard raises that does not answer."""
        url = self._urls[self._shard]
        partitions.check(await partitions.extend(url), self._shard)
        await retention.shed(url, self._kept.key_days)
        days = self._kept.transaction_days
        if not days:
            return
        await forgetting.drop_months(url, days)
        before, self._line = self._line, None
        line = await forgetting.line_of(self._urls, days)
        # The lower of two that are an hour apart. A leg that was turned back while the shards were
        # asked, one after the other, may hide from one look, but not from the next.
        if before is not None:
            await forgetting.delete_below(url, min(before, line))
        self._line = line
