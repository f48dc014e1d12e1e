"""Run the work behind the calls: dispatch, catch-up, deliveries, housekeeping.

A fault delays a loop, never ends it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from notify.channels.courier import Courier
from notify.channels.dispatch import Dispatch, Found
from notify.store.dead_letters import DeadLetters
from notify.store.subscriptions import Subscriptions
from notify.streams.tail import Tail
from walletkit.errors import ServiceError
from walletkit.sql.database import Database
from walletkit.telemetry.metrics.notify import LOOP_FAULTS

STOP_S = 0.5
"""How long the loops may take to end their steps, and then the deliveries that run to end.

What is cut off after that loses nothing: it comes up again.
"""
POLL_S = 0.25
IDLE_S = 0.25
UNASKED_S = 0.25
CATCH_UP_S = 0.5
PING_S = 1.0
STALE_S = 4.0
HOUSEKEEPING_S = 600.0
LENGTHS_S = 5.0
FAULT_S = 0.5

log = structlog.get_logger()


class Loops:
    """Owns the background tasks of one process."""

    def __init__(
        self,
        *,
        tail: Tail,
        dispatch: Dispatch,
        courier: Courier,
        database: Database,
        purge: Callable[[], Awaitable[None]],
    ) -> None:
        self._tail = tail
        self._dispatch = dispatch
        self._courier = courier
        self._database = database
        self._purge = purge
        self._tasks: list[asyncio.Task[None]] = []
        self._database_at: float | None = None
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Start all loops."""
        steps = {
            "tail": self._tail_step,
            "dispatch": self._dispatch_step,
            "catch-up": self._catch_up_step,
            "courier": self._courier.step,
            "ping": self._ping_step,
            "housekeeping": self._housekeeping_step,
            "lengths": self._lengths_step,
        }
        self._tasks = [asyncio.create_task(self._repeat(n, s), name=n) for n, s in steps.items()]

    def is_ready(self) -> bool:
        """Tell whether all loops run, and Redis and database have answered lately."""
        if not self._tasks or any(task.done() for task in self._tasks):
            return False
        now = asyncio.get_running_loop().time()
        fresh = self._database_at is not None and now - self._database_at < STALE_S
        return fresh and self._tail.is_fresh()

    async def stop(self) -> None:
        """Start nothing more, give what runs a moment to end, and drop the rest."""
        self._stopping.set()
        self._tail.wake()
        self._courier.wake()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._courier.stop(STOP_S)

    async def _tail_step(self) -> None:
        await self._tail.poll()
        await self._pause(POLL_S)

    async def _dispatch_step(self) -> None:
        seen = dict(self._tail.heads)
        found = await self._dispatch.advance()
        if found is Found.RECORDS:
            self._courier.wake()
        elif found is Found.NOBODY:
            # Records may come by the hundred a second, and nobody asks for them.
            await self._pause(UNASKED_S)
        else:
            await self._tail.wait(seen, IDLE_S)

    async def _catch_up_step(self) -> None:
        if await self._dispatch.catch_up():
            self._courier.wake()
        else:
            await self._pause(CATCH_UP_S)

    async def _ping_step(self) -> None:
        await self._database.ping()
        self._database_at = asyncio.get_running_loop().time()
        await self._pause(PING_S)

    async def _housekeeping_step(self) -> None:
        await self._purge()
        await self._pause(HOUSEKEEPING_S)

    async def _lengths_step(self) -> None:
        await self._tail.count()
        await self._pause(LENGTHS_S)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not into a stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _repeat(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step until the stop; say when it begins to fail and when it works again."""
        failing, faults = False, LOOP_FAULTS.of(name)
        while not self._stopping.is_set():
            try:
                await step()
            except ServiceError as error:
                if not failing:
                    cause = str(error.__cause__ or error.message)
                    log.warning("loop waits", loop=name, reason=error.reason, error=cause)
                failing = True
                faults.add()
                await self._pause(FAULT_S)
            except Exception:
                log.exception("loop failed", loop=name)
                failing = True
                faults.add()
                await self._pause(FAULT_S)
            else:
                if failing:
                    log.info("loop works again", loop=name)
                failing = False


def purge_of(
    subscriptions: Subscriptions, letters: DeadLetters, key_days: int, letter_days: int
) -> Callable[[], Awaitable[None]]:
    """Return the housekeeping: forget what is over its days, by small deletes."""

    async def purge() -> None:
        now_us = time.time_ns() // 1_000
        await subscriptions.purge(now_us, key_days)
        await letters.purge(now_us, letter_days)

    return purge
