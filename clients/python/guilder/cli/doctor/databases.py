"""Look at a service's database as the service's own user: reach, clock, version, schema, settings.

Reads only, on one session; every statement has a deadline.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncmy
from alembic.script import ScriptDirectory
from asyncmy.errors import MySQLError

from edge.store.bootstrap import MIGRATIONS as EDGE_MIGRATIONS
from guilder.cli.doctor import clocks, durability
from guilder.cli.doctor.configuration import Configured
from guilder.cli.doctor.deadline import CALL_TIMEOUT_S, bounded
from guilder.cli.doctor.finding import Finding, fail, ok, warn
from guilder.cli.doctor.privileges import privileges
from ledger.store.bootstrap import MIGRATIONS as LEDGER_MIGRATIONS
from ledger.store.partitions import last_day
from notify.store.bootstrap import MIGRATIONS as NOTIFY_MIGRATIONS
from wallet.store.bootstrap import MIGRATIONS as WALLET_MIGRATIONS
from wallet.store.partitions import ends
from walletkit import clock
from walletkit.ids import SLOT_ACTIVE
from walletkit.sql.session import Rows, error_number, open_session, parse_url, run_packet

LEAST_MARIADB = (10, 6)
LEAST_MYSQL = (8, 0)
AHEAD_WARN = timedelta(days=7)
"""They are made for two weeks and more: so little is left when nobody makes them."""
AHEAD_FAIL = timedelta(days=1)

_NO_TABLE = 1146


@dataclass(frozen=True, slots=True)
class Database:
    """One database of a service."""

    part: str
    service: str
    url: str
    shard: int | None = None
    weak_allowed: bool = False
    """Whether the service serves it although it may lose commits."""


def databases(found: Configured) -> list[Database]:
    """List the databases that the settings name."""
    listed: list[Database] = []
    if (wallet := found.wallet) is not None:
        listed += [
            Database(f"shard {n}", "wallet", url, n, wallet.allow_weak_durability)
            for n, url in enumerate(wallet.shard_urls)
        ]
    for name, settings in (
        ("ledger", found.ledger),
        ("notify", found.notify),
        ("edge", found.edge),
    ):
        if settings is not None:
            url, weak = settings.database_url, settings.allow_weak_durability
            listed.append(Database(f"{name}'s database", name, url, weak_allowed=weak))
    return listed


async def look(database: Database) -> list[Finding]:
    """Look at a database, or say that it can't be reached."""
    return await bounded(database.part, "reach", _look(database))


async def _look(database: Database) -> list[Finding]:
    began = time.perf_counter()
    session = await open_session(database.url, autocommit=True, durable=False)
    try:
        address = parse_url(database.url)
        where = f"{address.host}:{address.port}/{address.database}"
        took_ms = (time.perf_counter() - began) * 1_000
        found = [ok(database.part, "reach", f"{where}, {took_ms:.0f} ms", "a session was opened")]
        for name, check in _CHECKS.items():
            found += await bounded(database.part, name, check(database, session), CALL_TIMEOUT_S)
        return found
    finally:
        session.close()


async def ask(session: asyncmy.Connection, sql: str) -> Rows:
    """Return the rows of one statement."""
    return (await run_packet(session, sql))[0]


async def _clock(database: Database, session: asyncmy.Connection) -> list[Finding]:
    sent = time.time()
    ((moment,),) = await ask(session, "SELECT UTC_TIMESTAMP(6)")
    back = time.time()
    there = moment.replace(tzinfo=UTC).timestamp()
    return [clocks.compare(database.part, there, sent, back)]


async def _version(database: Database, session: asyncmy.Connection) -> list[Finding]:
    ((text,),) = await ask(session, "SELECT VERSION()")
    mariadb = "MariaDB" in text
    kind, least = ("MariaDB", LEAST_MARIADB) if mariadb else ("MySQL", LEAST_MYSQL)
    numbers = tuple(int(part) for part in text.split("-")[0].split(".")[:2])
    wanted = ".".join(map(str, least))
    if numbers < least:
        means = f"{kind} before {wanted} lacks statements that the services send"
        return [fail(database.part, "version", text, means, f"upgrade to {kind} {wanted} or later")]
    return [ok(database.part, "version", f"{kind} {text}", f"{wanted} or later is needed")]


async def _primary(database: Database, session: asyncmy.Connection) -> list[Finding]:
    ((read_only,),) = await ask(session, "SELECT @@global.read_only")
    if read_only:
        means = "it is a replica, or was closed to writers: nothing can be committed here"
        mend = "point the url at the primary, or SET GLOBAL read_only=OFF"
        return [fail(database.part, "primary", "read_only is on", means, mend)]
    return [ok(database.part, "primary", "takes writes", "the primary of its data")]


async def _durability(database: Database, session: asyncmy.Connection) -> list[Finding]:
    names = ",".join(f"'{name}'" for name in durability.VARIABLES)
    rows = await ask(session, f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")
    return durability.judge(
        database.part, dict(rows), database.service, weak_allowed=database.weak_allowed
    )


_SCRIPTS: dict[str, Path] = {
    "wallet": WALLET_MIGRATIONS,
    "ledger": LEDGER_MIGRATIONS,
    "notify": NOTIFY_MIGRATIONS,
    "edge": EDGE_MIGRATIONS,
}


async def _schema(database: Database, session: asyncmy.Connection) -> list[Finding]:
    scripts = ScriptDirectory(str(_SCRIPTS[database.service]))
    known = [script.revision for script in scripts.walk_revisions()]
    wanted = known[0]
    try:
        rows = await ask(session, "SELECT version_num FROM alembic_version")
    except MySQLError as error:
        if error_number(error) != _NO_TABLE:
            raise
        rows = []
    there = rows[0][0] if rows else "none"
    part, mend = database.part, f"python -m {database.service} migrate"
    if there == wanted:
        return [ok(part, "schema", f"revision {there}", "the revision that this program expects")]
    if there in known or there == "none":
        means = f"this program expects {wanted}: its statements meet tables that are not there"
        return [fail(part, "schema", f"revision {there}", means, mend)]
    means = f"newer than this program, which knows {wanted}: right while an upgrade is under way"
    mend = "finish the upgrade: bring all processes to the version that migrated"
    return [warn(part, "schema", f"revision {there}", means, mend)]


async def _partitions(database: Database, session: asyncmy.Connection) -> list[Finding]:
    if database.service == "wallet":
        until = await ends(session)
        maker = "the relay"
    elif database.service == "ledger":
        day = await last_day(session)
        until = {"entries": clock.to_datetime((day + 1) * clock.DAY_US)}
        maker = "the ledger"
    else:
        return []
    now = datetime.now(UTC)
    table = min(until, key=lambda name: until[name])
    left = until[table] - now
    found = f"{table}: {max(left.days, 0)} days ahead"
    mend = f"python -m {database.service} migrate; then see why {maker} does not make them"
    if left < AHEAD_FAIL:
        means = "what has no partition can't be written: commits fail from then on"
        return [fail(database.part, "partitions", found, means, mend)]
    if left < AHEAD_WARN:
        means = f"{maker} makes them, two weeks ahead and more: it has not lately"
        return [warn(database.part, "partitions", found, means, mend)]
    return [ok(database.part, "partitions", found, f"made ahead by {maker}")]


async def _shard(database: Database, session: asyncmy.Connection) -> list[Finding]:
    """Look whether the url leads to the shard of its number, and whether it is fenced."""
    if database.shard is None:
        return []
    part = database.part
    ((number,),) = await ask(session, "SELECT shard FROM head WHERE id=1")
    if number != database.shard:
        means = "the urls are in another order than the databases: the start is refused"
        mend = "put each WALLET_SHARD_<n>_URL in its place"
        return [fail(part, "identity", f"the database says shard {number}", means, mend)]
    rows = await ask(session, "SELECT state,COUNT(*) FROM slots GROUP BY state")
    all_ = sum(count for _, count in rows)
    active = sum(count for state, count in rows if state == SLOT_ACTIVE)
    found = f"{active} of {all_} slots are active"
    if active < all_:
        means = "somebody has fenced it: its wallets can't be written to"
        mend = "find out why first: docs/operations.md, When"
        return [fail(part, "identity", found, means, mend)]
    if not all_:
        means = "no account is routed to it"
        return [warn(part, "identity", "no slots", means, "move slots to it, or leave it out")]
    return [ok(part, "identity", found, "the database is this shard's")]


async def _privileges(database: Database, session: asyncmy.Connection) -> list[Finding]:
    grants = [row[0] for row in await ask(session, "SHOW GRANTS")]
    own = parse_url(database.url).database
    return privileges(database.part, database.service, own, grants)


Check = Callable[[Database, asyncmy.Connection], Awaitable[list[Finding]]]

_CHECKS: dict[str, Check] = {
    "version": _version,
    "primary": _primary,
    "clock": _clock,
    "schema": _schema,
    "identity": _shard,
    "partitions": _partitions,
    "durability": _durability,
    "privileges": _privileges,
}


async def look_at_all(found: Configured) -> list[Finding]:
    """Look at all databases side by side."""
    looked = await asyncio.gather(*map(look, databases(found)))
    return [finding for findings in looked for finding in findings]
