"""Run the work behind the calls: signs of life, and last uses. A fault delays a loop, no more."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from edge.access.uses import Uses
from walletkit.errors import ServiceError
from walletkit.sql.database import Database
from walletkit.telemetry.metrics.edge import LOOP_FAULTS

PING_S = 1.0
STALE_S = 4.0
USES_S = 60.0
FAULT_S = 0.5
STOP_S = 1.0

log = structlog.get_logger()


class Loops:
    """Owns the background tasks of one process."""

    def __init__(self, database: Database, uses: Uses) -> None:
        self._database = database
        self._uses = uses
        self._tasks: list[asyncio.Task[None]] = []
        self._alive_at: float | None = None
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Start all loops."""
        steps = {"ping": self._ping, "uses": self._write_uses}
        self._tasks = [asyncio.create_task(self._repeat(n, s), name=n) for n, s in steps.items()]

    def is_ready(self) -> bool:
        """Tell whether all loops run, and the database has answered lately.

        Redis is not asked for: without it keys are still checked.
        """
        if not self._tasks or any(task.done() for task in self._tasks):
            return False
        now = asyncio.get_running_loop().time()
        return self._alive_at is not None and now - self._alive_at < STALE_S

    async def stop(self) -> None:
        """End the loops, and write what was noted; the database may be away by now."""
        self._stopping.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ping(self) -> None:
        await self._database.ping()
        self._alive_at = asyncio.get_running_loop().time()
        await self._pause(PING_S)

    async def _write_uses(self) -> None:
        await self._pause(USES_S)
        await self._uses.write()

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
            except Exception as error:
                if not isinstance(error, ServiceError):
                    log.exception("loop failed", loop=name)
                elif not failing:
                    log.warning("loop waits", loop=name, reason=error.reason)
                failing = True
                faults.add()
                await self._pause(FAULT_S)
            else:
                if failing:
                    log.info("loop works again", loop=name)
                failing = False
