"""Group commit: what waits for a shard becomes its next SQL transaction.

One queue, one loop, one writing connection. A lone command on an idle shard goes at once; under
load the loop waits to collect more, as long as more come and up to the window, because batches of a
few waste CPU on both sides. The loop owns the commands: a caller who goes away cancels nothing that
has begun.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog

from wallet.domain.batch import Batch
from wallet.domain.commands import Command
from wallet.engine.batch_run import BatchRun, ShardLostError
from wallet.engine.counterparties import Counterparties
from wallet.engine.meter import ShardMeter
from wallet.engine.queue import Answer, Item
from wallet.store.shard import Shard
from walletkit.errors import ServiceError

MAX_BATCH = 1000
MAX_BATCH_BYTES = 1024 * 1024
INTERNAL_QUEUE_FACTOR = 4
"""Legs, closings and expiries may queue to so many times the callers' limit, and beside it.

They only shrink what is open.
"""
BUSY_BATCH = 2
"""A batch of at least so many commands means load: the next one waits for company."""
SLICE_S = 0.003
"""A wait for company goes on while each slice of it brings some, until the window is over."""
PARK_S = 0.25
IDLE_PING_S = 15.0
PROBE_S = 0.3

log = structlog.get_logger()


class ShardLoop:
    """The queue and the loop of one shard."""

    def __init__(  # one call in wiring.py; each is a part of the loop
        self,
        shard: Shard,
        counterparties: Counterparties,
        on_commit: Callable[[Batch], None],
        on_up: Callable[[], None],
        *,
        window_s: float,
        queue_limit: int,
    ) -> None:
        """Make a loop that is not running.

        ``on_up`` is told when the shard's slots were read; while it raises, the shard stays down.
        """
        self.shard = shard
        self.up = False
        self._meter = ShardMeter(shard.number)
        self._run_batch = BatchRun(shard, counterparties, on_commit, self._park, self._meter)
        self._on_up = on_up
        self._window_s = window_s
        self._queue_limit = queue_limit
        self._queue: deque[Item] = deque()
        self._internal = 0
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._parked: set[Item] = set()
        self._last_size = 0
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._meter.queue_limit.set(queue_limit)
        self._meter.queue_depth.follow(lambda: len(self._queue))
        self._meter.up.follow(lambda: self.up)

    def start(self) -> None:
        """Start the loop; its task is kept here, because asyncio's own reference is weak."""
        self._task = asyncio.create_task(self._run(), name=f"shard-{self.shard.number}")

    @property
    def running(self) -> bool:
        """Whether the loop lives."""
        return self._task is not None and not self._task.done()

    def submit(self, command: Command, deadline: float) -> asyncio.Future[Answer]:
        """Queue a command.

        Raise ``ServiceError``, with nothing changed: SHARD_UNAVAILABLE, OVERLOADED, SHUTTING_DOWN.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        item = Item(command, future, deadline, self.shard.number)
        if not self.up:
            self._meter.refusals["SHARD_UNAVAILABLE"].add()
            raise self.unavailable()
        if self._closing and not item.internal:
            self._meter.refusals["SHUTTING_DOWN"].add()
            raise ServiceError("SHUTTING_DOWN", "the process is stopping; nothing was changed")
        limit, waiting = self._queue_limit, len(self._queue) - self._internal
        if item.internal:
            limit, waiting = limit * INTERNAL_QUEUE_FACTOR, self._internal
        if waiting >= limit:
            number = str(self.shard.number)
            message = f"{limit} commands wait for shard {number}; nothing was changed"
            self._meter.refusals["OVERLOADED"].add()
            raise ServiceError("OVERLOADED", message, {"shard": number})
        self._enqueue(item)
        return future

    def unavailable(self) -> ServiceError:
        """Say that the shard does not answer."""
        number = str(self.shard.number)
        message = f"shard {number} does not answer; nothing was changed"
        return ServiceError("SHARD_UNAVAILABLE", message, {"shard": number})

    async def settled(self) -> None:
        """Wait until the batch that runs now, if any, has ended."""
        await self._idle.wait()

    def close(self) -> None:
        """Take no more from callers; legs still come in."""
        self._closing = True

    @property
    def quiet(self) -> bool:
        """Whether there is nothing left that this loop could do now."""
        return not self.up or not (self._queue or self._parked or not self._idle.is_set())

    async def stop(self) -> None:
        """Stop the loop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._fail_queue()
        self.shard.close()

    async def _run(self) -> None:
        while True:
            items: list[Item] = []
            try:
                if not self.up:
                    await self._come_up()
                items = await self._collect()
                if items:
                    self._idle.clear()
                    self._meter.connections.add(1)
                    await self._run_batch.commit(items)
            except ShardLostError:
                self._go_down("lost")
            except Exception as error:
                # Whatever went wrong, the loop must not end: that would stop the shard in silence.
                log.exception("shard loop failed", shard=self.shard.number)
                for item in items:
                    item.answer(_broken(), 0)
                self._go_down(repr(error))
            finally:
                if items:
                    self._meter.connections.add(-1)
                self._idle.set()

    async def _come_up(self) -> None:
        """Open the shard, as often as it takes."""
        told = False
        while not self.up:
            try:
                await self.shard.open()
                self._on_up()
            except Exception as error:  # noqa: BLE001  # refused, unreachable, fenced: not now
                if not told:
                    log.warning("shard is down", shard=self.shard.number, error=repr(error))
                told = True
                self.shard.drop_writer()
                await asyncio.sleep(PROBE_S)
            else:
                self.up = True
                log.info("shard is up", shard=self.shard.number)

    def _go_down(self, why: str) -> None:
        """Answer everything that waits; the loop then tries to open the shard again."""
        log.error("shard went down", shard=self.shard.number, why=why)
        self.up = False
        self.shard.drop_writer()
        self._fail_queue()

    def _fail_queue(self) -> None:
        while self._queue:
            self._dequeue().unavailable("does not answer")

    def _enqueue(self, item: Item) -> None:
        self._queue.append(item)
        self._internal += item.internal
        self._bytes += item.size
        self._arrived.set()

    def _dequeue(self) -> Item:
        item = self._queue.popleft()
        self._internal -= item.internal
        self._bytes -= item.size
        return item

    def _park(self, item: Item) -> None:
        """Put a command aside for a moment: its wallet is locked by somebody else."""
        self._parked.add(item)
        asyncio.get_running_loop().call_later(PARK_S, self._unpark, item)

    def _unpark(self, item: Item) -> None:
        self._parked.discard(item)
        if self.up:
            self._enqueue(item)
        else:
            item.unavailable("does not answer")

    async def _collect(self) -> list[Item]:
        """Wait for commands, under load a little longer for more, and take what fits in a batch."""
        if not self._queue and not await self._wait_for_commands():
            await self.shard.ping()
            return []
        if self._last_size >= BUSY_BATCH:
            await self._wait_for_company()
        items: list[Item] = []
        size = 0
        now = time.monotonic()
        while self._queue and len(items) < MAX_BATCH and size < MAX_BATCH_BYTES:
            item = self._dequeue()
            if item.future.done():
                continue
            # Of one that was at its commit before, a rerun alone can say what became of it.
            if item.deadline < now and not item.maybe_committed:
                self._meter.refusals["DEADLINE_EXCEEDED"].add()
                item.answer(_too_late(), 0)
                continue
            items.append(item)
            size += item.size
        self._last_size = len(items)
        return items

    async def _wait_for_company(self) -> None:
        """Let the batch grow while commands keep coming; callers who wait for us send no more."""
        give_up = time.monotonic() + self._window_s
        came = True
        while came and len(self._queue) < MAX_BATCH and self._bytes < MAX_BATCH_BYTES:
            wait_s = min(SLICE_S, give_up - time.monotonic())
            if wait_s <= 0:
                return
            waiting = len(self._queue)
            await asyncio.sleep(wait_s)
            came = len(self._queue) > waiting

    async def _wait_for_commands(self) -> bool:
        self._arrived.clear()
        try:
            async with asyncio.timeout(IDLE_PING_S):
                await self._arrived.wait()
        except TimeoutError:
            return False
        return True


def _broken() -> ServiceError:
    message = "the batch broke off; retry with the same key to learn the outcome"
    return ServiceError("OUTCOME_UNKNOWN", message)


def _too_late() -> ServiceError:
    message = "the deadline passed before the command's batch began; nothing was changed"
    return ServiceError("DEADLINE_EXCEEDED", message)
