"""Measure how late the event loop is: the wait that every call has beside its own work."""

import asyncio
from typing import NoReturn

from walletkit.telemetry.metrics.process import LOOP_LAG

PERIOD_S = 0.25


async def measure() -> NoReturn:
    """Set timers for ever, and count how late each came."""
    loop = asyncio.get_running_loop()
    lag = LOOP_LAG.of()
    while True:
        due = loop.time() + PERIOD_S
        await asyncio.sleep(PERIOD_S)
        lag.observe(max(0.0, loop.time() - due))
