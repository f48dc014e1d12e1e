"""Make the partitions of `entries` ahead of their days. SQL only; ``migrate`` and ``serve`` run it.

A record of a day without a partition is refused whole, so two weeks are made ahead. A partition is
named after its day: ``d20454`` holds day 20454 since 1970, and the first one made also what is
older. Each ALTER waits a second at most for the table, because every writer of the table waits
behind it.
"""

import asyncio
import random
import time

import asyncmy
import structlog
from asyncmy.errors import MySQLError

from walletkit import clock
from walletkit.sql.session import LOCK_WAIT_TIMEOUT, error_number, open_session, run_packet

DAYS_AHEAD = 14
ALTER_LOCK_WAIT_S = 1
ALTER_TRIES = 20
ALTER_TIMEOUT_S = 30
RETRY_PAUSE_S = 0.5

_DUPLICATE_PARTITION = 1517
_RANGE_NOT_INCREASING = 1493
_RETRIED = frozenset({LOCK_WAIT_TIMEOUT, _DUPLICATE_PARTITION, _RANGE_NOT_INCREASING})
"""A busy table, or another process that made the same partition first: look again."""

_FOUND = """SELECT partition_description FROM information_schema.partitions
    WHERE table_schema=DATABASE() AND table_name='entries'"""

log = structlog.get_logger()


def today() -> int:
    """Return the number of this UTC day by this machine's clock.

    Two weeks of slack absorb its error.
    """
    return clock.day_of(time.time_ns() // 1_000)


async def extend(url: str) -> int:
    """Make the missing partitions and return the last day that has one.

    Idempotent, and safe beside writers and beside itself. Raise ``OSError``, ``MySQLError``,
    ``TimeoutError``.
    """
    for attempt in range(1, ALTER_TRIES + 1):
        try:
            async with asyncio.timeout(ALTER_TIMEOUT_S):
                return await _alter(url, today() + DAYS_AHEAD)
        except MySQLError as error:
            if error_number(error) not in _RETRIED or attempt == ALTER_TRIES:
                raise
        await asyncio.sleep(RETRY_PAUSE_S * random.uniform(1, 2))  # noqa: S311  # jitter
    raise AssertionError


async def last_day(connection: asyncmy.Connection) -> int:
    """Return the last day that has a partition; 0 while there is none."""
    return max(int(bound) for (bound,) in (await run_packet(connection, _FOUND))[0]) - 1


async def _alter(url: str, last: int) -> int:
    connection = await open_session(url, autocommit=True, durable=False)
    try:
        await run_packet(connection, f"SET SESSION lock_wait_timeout={ALTER_LOCK_WAIT_S:d}")
        newest = await last_day(connection)
        missing = range(max(newest + 1, today()), last + 1)
        if missing:
            parts = ",".join(
                f"PARTITION d{day:d} VALUES LESS THAN ({day + 1:d})" for day in missing
            )
            await run_packet(connection, f"ALTER TABLE entries ADD PARTITION ({parts})")
            log.info("partitions made", first_day=missing[0], last_day=missing[-1])
        return max(newest, last)
    finally:
        connection.close()
