"""Drop what a shard keeps of old keys: whole partitions, whose last row's time is over. SQL only.

The relay process runs it hourly, after it has made partitions ahead. A key is answered from two
rows: `idem`, by the day on which it was decided, names the row of `outcomes`, which lies by the id
that the command got when it came in. So `outcomes` goes a week later than `idem`: a command is
decided long before that, and no row that is left of `idem` ever names one that is gone.

A clock that is wrong must not cost a key: what counts is the earlier of the shard's and ours.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

import asyncmy
import structlog

from wallet.store import partitions
from walletkit import clock
from walletkit.sql.session import open_session, run_packet

LEAST_KEY_DAYS = 7
"""What every caller may rely on."""
PAUSE_S = 1.0
"""Between two drops: each holds the table's writers up for a tenth of a second."""

_BEHIND: Mapping[str, timedelta] = {"idem": timedelta(0), "outcomes": timedelta(days=7)}
"""The tables in the order in which they are shed, and how much longer each keeps its rows."""

log = structlog.get_logger()


async def shed(url: str, key_days: int) -> int:
    """Drop every partition whose keys are all older than ``key_days``; return how many.

    Idempotent, and safe beside writers and beside itself. Raise ``OSError``, ``MySQLError``,
    ``TimeoutError``.
    """
    assert key_days >= LEAST_KEY_DAYS, "settings see to it"
    dropped = 0
    connection = await open_session(url, autocommit=True, durable=False)
    try:
        await run_packet(
            connection, f"SET SESSION lock_wait_timeout={partitions.ALTER_LOCK_WAIT_S}"
        )
        for table, behind in _BEHIND.items():
            kept = timedelta(days=key_days) + behind
            step = partial(_drop_oldest, connection, table, kept)
            while await partitions.patiently(step):
                dropped += 1
                await asyncio.sleep(PAUSE_S)
    finally:
        connection.close()
    return dropped


def over(bounds: Mapping[str, datetime], now: datetime, kept: timedelta) -> list[str]:
    """Return the partitions whose every row is older than ``kept``, the oldest first. Pure.

    A bound is the first moment that its partition does not hold. The last partition always stays,
    and so does the one that has held nothing ever.
    """
    in_order = sorted(bounds, key=lambda name: bounds[name])
    return [
        name for name in in_order[:-1] if name != partitions.EMPTY and bounds[name] + kept <= now
    ]


async def earlier_clock(connection: asyncmy.Connection) -> datetime:
    """Return the shard's time or ours, whichever is earlier."""
    ((moment,),) = (await run_packet(connection, "SELECT UTC_TIMESTAMP(6)"))[0]
    return min(clock.to_datetime(clock.to_us(moment)), datetime.now(UTC))


async def _drop_oldest(connection: asyncmy.Connection, table: str, kept: timedelta) -> bool:
    """Drop one partition, so that writers get in between; tell whether there was one."""
    now = await earlier_clock(connection)
    old = over(await partitions.bounds_of(connection, table), now, kept)
    if not old:
        return False
    await run_packet(connection, f"ALTER TABLE {table} DROP PARTITION {old[0]}")
    log.info("partition dropped", table=table, partition=old[0])
    return True
