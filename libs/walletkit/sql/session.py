"""Open sessions on a MySQL-speaking database, with the settings that the money depends on.

A session that does not have them is refused, and so is a server that may lose what it acknowledged
(design: READ COMMITTED, strict mode, durable log and binlog). Works with MariaDB 10.6+ and MySQL
8+.
"""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncmy
from asyncmy.errors import MySQLError

CONNECT_TIMEOUT_S = 3
LOCK_WAIT_TIMEOUT_S = 2
LEAST_PACKET_BYTES = 16 * 1024 * 1024
"""``max_allowed_packet`` that a full batch fits in; MariaDB's default."""
IDLE_TIMEOUT_S = 60
"""``wait_timeout`` of a session.

The server drops one that is silent for longer. Loops ping well within it.
"""

DUPLICATE_KEY = 1062
LOCK_WAIT_TIMEOUT = 1205
DEADLOCK = 1213
_DEFAULT_PORT = 3306

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is."""

    host: str
    port: int
    user: str
    password: str
    database: str


class UnsafeServerError(RuntimeError):
    """The server's settings could lose or garble money; the message says which."""


def parse_url(url: str) -> Address:
    """Read ``mysql://user:password@host:port/database``. Raise ``ValueError`` for anything else."""
    parts = urlsplit(url)
    database = parts.path.lstrip("/")
    if parts.scheme != "mysql" or not parts.hostname or not database.replace("_", "").isalnum():
        message = "a database url is mysql://user:password@host:port/database"
        raise ValueError(message)
    return Address(
        host=parts.hostname,
        port=parts.port or _DEFAULT_PORT,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
        database=database,
    )


async def open_session(url: str, *, autocommit: bool, durable: bool = True) -> asyncmy.Connection:
    """Connect, set the session up and check it.

    Raise ``OSError``, ``MySQLError`` or ``UnsafeServerError``.

    ``durable=False`` accepts a server that may lose acknowledged commits when it crashes.
    """
    address = parse_url(url)
    connection = await _connect(address, address.database, autocommit=autocommit)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await _prepare(connection)
            if durable:
                await _check_durable(connection)
    except BaseException:
        connection.close()
        raise
    return connection


async def create_database(url: str) -> None:
    """Create the url's database where it is missing."""
    address = parse_url(url)
    connection = await _connect(address, None, autocommit=True)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await run_packet(connection, f"CREATE DATABASE IF NOT EXISTS `{address.database}`")
    finally:
        connection.close()


async def run_packet(connection: asyncmy.Connection, sql: str) -> list[Rows]:
    """Send statements as one packet and return the rows of each that has any, in order.

    The caller sets the deadline. After ANY error the session must be rolled back or dropped before
    it is used again.
    """
    results: list[Rows] = []
    async with connection.cursor() as cursor:
        await cursor.execute(sql)
        while True:
            if cursor.description is not None:
                results.append(list(await cursor.fetchall()))
            if not await cursor.nextset():
                return results


def error_number(error: BaseException) -> int:
    """Return the server's or client's error number, or 0."""
    if isinstance(error, MySQLError) and error.args and isinstance(error.args[0], int):
        return error.args[0]
    return 0


async def _connect(
    address: Address, database: str | None, *, autocommit: bool
) -> asyncmy.Connection:
    task = asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"
    cancels = task.cancelling()
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        connection: asyncmy.Connection = await asyncmy.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            database=database,
            autocommit=autocommit,
            connect_timeout=CONNECT_TIMEOUT_S,
            binary_prefix=True,
        )
        if task.cancelling() > cancels:
            # The driver connects by `asyncio.wait_for`, which in Python 3.11 swallows a
            # cancellation that comes together with its result: the task would never end.
            connection.close()
            raise asyncio.CancelledError
    return connection


async def _prepare(connection: asyncmy.Connection) -> None:
    ((version,),) = (await run_packet(connection, "SELECT VERSION()"))[0]
    settings = [
        "SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "sql_mode='STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
        "time_zone='+00:00'",
        f"innodb_lock_wait_timeout={LOCK_WAIT_TIMEOUT_S}",
        f"wait_timeout={IDLE_TIMEOUT_S}",
        "eq_range_index_dive_limit=1",
    ]
    if "MariaDB" in version:
        # At its default of 1000 a long IN list becomes a join, which locks in list order and
        # deadlocks.
        settings.append("in_predicate_conversion_threshold=0")
    await run_packet(connection, "; ".join(f"SET {setting}" for setting in settings))
    isolation = "@@tx_isolation" if "MariaDB" in version else "@@transaction_isolation"
    checks = f"SELECT {isolation}, @@sql_mode, @@innodb_lock_wait_timeout, @@max_allowed_packet"
    ((level, mode, lock_wait, packet_bytes),) = (await run_packet(connection, checks))[0]
    if (
        level != "READ-COMMITTED"
        or "STRICT_ALL_TABLES" not in mode
        or lock_wait != LOCK_WAIT_TIMEOUT_S
    ):
        message = f"session settings did not take: {level}, {mode}, {lock_wait}"
        raise UnsafeServerError(message)
    if packet_bytes < LEAST_PACKET_BYTES:
        message = f"max_allowed_packet={packet_bytes} (needs {LEAST_PACKET_BYTES})"
        raise UnsafeServerError(message)


async def _check_durable(connection: asyncmy.Connection) -> None:
    checks = "SELECT @@innodb_flush_log_at_trx_commit, @@sync_binlog, @@log_bin, @@binlog_format"
    ((flush, sync, binlog, binlog_format),) = (await run_packet(connection, checks))[0]
    weak = {
        "innodb_flush_log_at_trx_commit": (flush, 1),
        "sync_binlog": (sync, 1),
        "log_bin": (binlog, 1),
        "binlog_format": (binlog_format, "ROW"),
    }
    wrong = [
        f"{name}={found} (needs {needed})"
        for name, (found, needed) in weak.items()
        if found != needed
    ]
    if wrong:
        message = f"the server may lose what it acknowledged: {', '.join(wrong)}"
        raise UnsafeServerError(message)
