"""Run a relay in a test, and wait for what it does to shards and sinks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from tests.wallet.ingest_sink import IngestSink
from tests.wallet.shard_sql import query
from wallet.relay.process import Relay
from wallet.relay.upkeep import Retention

SOON_S = 10
KEEPS_ALL_HOURS = 876_000
KEEPS_ALL_DAYS = 3_650


@asynccontextmanager
async def relaying(
    urls: tuple[str, ...],
    *sinks: IngestSink,
    may_fence: bool = True,
    retention_hours: int = KEEPS_ALL_HOURS,
    replica_urls: tuple[str, ...] = (),
    key_days: int = KEEPS_ALL_DAYS,
) -> AsyncIterator[Relay]:
    """Run a relay for the time of the block."""
    clients = [
        replace(sink.client(), name=f"sink-{n}", may_fence=may_fence)
        for n, sink in enumerate(sinks)
    ]
    kept = Retention(retention_hours, key_days)
    relay = Relay(urls, clients, durable=True, kept=kept, replica_urls=replica_urls)
    relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something holds; fail when it does not soon."""
    async with asyncio.timeout(SOON_S):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.02)


def has(sink: IngestSink, shard: int, count: int) -> Callable[[], bool]:
    """Tell whether a sink has so many records of a shard."""
    return lambda: len(sink.taken(shard)) == count


async def is_fenced(url: str) -> bool:
    """Tell whether a shard's slots are all fenced."""
    return await query(url, "SELECT DISTINCT state FROM slots") == [(2,)]
