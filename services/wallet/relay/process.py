"""Run the relays of all shards and sinks in one process, and the shards' daily upkeep."""

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from typing import Any

import structlog

from wallet.relay.feed import Feed
from wallet.relay.lag import Lag
from wallet.relay.outbox import Outbox
from wallet.relay.purge import Purge
from wallet.relay.replica import Replica
from wallet.relay.sinks import Sink
from wallet.relay.tail import Tail
from wallet.relay.upkeep import Retention, Upkeep

log = structlog.get_logger()


class Relay:
    """Every shard x sink: a tail for each shard, a feed for each pair, all independent."""

    def __init__(
        self,
        urls: Sequence[str],
        sinks: Sequence[Sink],
        *,
        durable: bool,
        kept: Retention,
        replica_urls: Sequence[str] = (),
    ) -> None:
        """Name shards, in the order of their numbers, sinks and replicas; nothing is opened yet.

        ``kept``: how long what grows stays at least.
        """
        self._urls = urls
        self._sinks = sinks
        self._durable = durable
        self._kept = kept
        self._replica_urls = replica_urls
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start everything; it keeps running until ``stop``, whatever is reachable."""
        tails = []
        for shard, url in enumerate(self._urls):
            lags = [Lag(shard, sink.name) for sink in self._sinks]
            tail = Tail(self._outbox(url, shard), [lag.behind for lag in lags])
            tails.append(tail)
            self._spawn(tail.run(), f"tail {shard}")
            self._spawn(Upkeep(self._urls, shard, self._kept).run(), f"upkeep {shard}")
            purge = Purge(self._outbox(url, shard), self._sinks, self._kept.outbox_hours)
            self._spawn(purge.run(), f"purge {shard}")
            for sink, lag in zip(self._sinks, lags, strict=True):
                feed = Feed(sink, tail, self._outbox(url, shard), lag)
                self._spawn(feed.run(), f"feed {shard} {sink.name}")
        for number, url in enumerate(self._replica_urls):
            self._spawn(Replica(url, tails).run(), f"replica {number}")

    async def stop(self) -> None:
        """Stop everything. Nothing is lost: the sinks say where to go on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sink in self._sinks:
            await sink.channel.close()

    def _outbox(self, url: str, shard: int) -> Outbox:
        return Outbox(url, shard, durable=self._durable)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        # asyncio holds tasks weakly: without the list they could vanish.
        self._tasks.append(asyncio.create_task(work, name=name))


async def run_relay(
    urls: Sequence[str],
    sinks: Sequence[Sink],
    *,
    durable: bool,
    kept: Retention,
    replica_urls: Sequence[str],
) -> None:
    """Relay until SIGTERM or SIGINT; ``durable`` as for ``Outbox``, ``kept`` as for ``Relay``."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    relay = Relay(urls, sinks, durable=durable, kept=kept, replica_urls=replica_urls)
    relay.start()
    log.info("relaying", shards=len(urls), sinks=[sink.name for sink in sinks])
    await stop.wait()
    log.info("stopping")
    await relay.stop()
    log.info("stopped")
