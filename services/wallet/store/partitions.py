"""Make a shard's partitions ahead of time. SQL only; ``migrate`` and the relay process run it.

An insert without a partition fails its whole batch, so the next ones are made months before. A
partition is named after its bound: ``to20261201`` holds what came before 1 December 2026, UTC, back
to the bound of the one before. Each ALTER waits a second at most for its table, because every
writer of the table waits behind it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import asyncmy
import structlog
from asyncmy.errors import MySQLError

from walletkit import clock
from walletkit.sql.literals import literal
from walletkit.sql.session import LOCK_WAIT_TIMEOUT, error_number, open_session, run_packet

WEEKS_AHEAD = 9
MONTHS_AHEAD = 4
ALARM_AHEAD = timedelta(days=14)
"""Fewer than this left is logged as an error: somebody has two weeks to look."""

ALTER_LOCK_WAIT_S = 1
ALTER_TRIES = 20
ALTER_TIMEOUT_S = 30
RETRY_PAUSE_S = 0.5

_DUPLICATE_PARTITION = 1517
_RANGE_NOT_INCREASING = 1493
_NO_SUCH_PARTITION = 1507
_RETRIED = frozenset(
    {LOCK_WAIT_TIMEOUT, _DUPLICATE_PARTITION, _RANGE_NOT_INCREASING, _NO_SUCH_PARTITION}
)
"""A busy table, or another process that made or dropped the same partition first: look again."""

EMPTY = "p0"
"""The partition that each table began with: it ends before everything, and holds nothing."""

_WEEK = timedelta(days=7)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = "to%Y%m%d"
_NAMES = """SELECT partition_name FROM information_schema.partitions
    WHERE table_schema=DATABASE() AND table_name='{table}'"""

log = structlog.get_logger()

Bounds = Callable[[datetime], Iterable[datetime]]
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Table:
    """How one table is cut: which bounds it needs from a moment on, and how a bound is written."""

    name: str
    bounds: Bounds
    write: Callable[[datetime], str]


async def extend(url: str) -> timedelta:
    """Make the partitions that are missing, and return for how long the shortest table lasts.

    Idempotent, and safe beside writers and beside itself. Raise ``OSError``, ``MySQLError``,
    ``TimeoutError``.
    """
    connection = await open_session(url, autocommit=True, durable=False)
    try:
        await run_packet(connection, f"SET SESSION lock_wait_timeout={ALTER_LOCK_WAIT_S}")
        return min([await patiently(partial(_alter, connection, table)) for table in _TABLES])
    finally:
        connection.close()


async def ends(connection: asyncmy.Connection) -> dict[str, datetime]:
    """Return until when each table that is cut has partitions, by its name."""
    return {
        table.name: max((await bounds_of(connection, table.name)).values()) for table in _TABLES
    }


async def bounds_of(connection: asyncmy.Connection, table: str) -> dict[str, datetime]:
    """Return the bound of each partition of a table, by its name."""
    (rows,) = await run_packet(connection, _NAMES.format(table=table))
    return {name: _bound_of(name) for (name,) in rows}


async def patiently(alter: Callable[[], Awaitable[_Result]]) -> _Result:
    """Change a table's partitions; again where it is busy, or another process was first."""
    for attempt in range(1, ALTER_TRIES + 1):
        try:
            async with asyncio.timeout(ALTER_TIMEOUT_S):
                return await alter()
        except MySQLError as error:
            if error_number(error) not in _RETRIED or attempt == ALTER_TRIES:
                raise
        await asyncio.sleep(RETRY_PAUSE_S * random.uniform(1, 2))  # noqa: S311  # jitter
    raise AssertionError


def check(left: timedelta, shard: int) -> None:
    """Log an error when too little is left ahead."""
    if left < ALARM_AHEAD:
        log.error("partitions run out", shard=shard, days_left=left.days)


def _weeks(now: datetime) -> list[datetime]:
    """Return the bounds of this week and those ahead; a week begins on Thursday, as 1970 did."""
    this_week = _EPOCH + (now - _EPOCH) // _WEEK * _WEEK
    return [this_week + (n + 1) * _WEEK for n in range(WEEKS_AHEAD + 1)]


def _months(now: datetime) -> list[datetime]:
    """Return the bounds of this month and those ahead."""
    first = now.year * 12 + now.month
    return [
        datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
        for month in range(first, first + MONTHS_AHEAD + 1)
    ]


def first_id(moment: datetime) -> bytes:
    """Return the lowest id of a moment's millisecond."""
    milliseconds = clock.to_us(moment) // 1_000
    return milliseconds.to_bytes(6, "big") + bytes(10)


def _as_id(bound: datetime) -> str:
    return literal(first_id(bound))


def _as_day(bound: datetime) -> str:
    return literal(clock.day_of(clock.to_us(bound)))


_TABLES = (
    _Table("transactions", _months, _as_id),
    _Table("outcomes", _weeks, _as_id),
    _Table("idem", _weeks, _as_day),
)


async def _alter(connection: asyncmy.Connection, table: _Table) -> timedelta:
    """Add all missing partitions of a table in one ALTER."""
    ((moment,),) = (await run_packet(connection, "SELECT UTC_TIMESTAMP(6)"))[0]
    now = clock.to_datetime(clock.to_us(moment))
    last = max((await bounds_of(connection, table.name)).values())
    missing = [bound for bound in table.bounds(now) if bound > last]
    if missing:
        parts = ",".join(
            f"PARTITION {bound.strftime(_NAME)} VALUES LESS THAN ({table.write(bound)})"
            for bound in missing
        )
        await run_packet(connection, f"ALTER TABLE {table.name} ADD PARTITION ({parts})")
        log.info("partitions made", table=table.name, until=missing[-1].date().isoformat())
    return max([last, *missing]) - now


def _bound_of(name: str) -> datetime:
    """Return the bound that a partition's name tells."""
    return _EPOCH if name == EMPTY else datetime.strptime(name, _NAME).replace(tzinfo=UTC)
