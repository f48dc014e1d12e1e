"""Look at replicas: whether they follow, and how far behind they are."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncmy
import asyncmy.cursors
from asyncmy.errors import MySQLError

from guilder.cli.doctor.configuration import Configured
from guilder.cli.doctor.deadline import CALL_TIMEOUT_S, bounded
from guilder.cli.doctor.finding import Finding, fail, ok, warn
from walletkit.sql.session import Rows, error_number, open_session, parse_url, run_packet

LAG_WARN_S = 10
LAG_FAIL_S = 300

CATCH_UP_TRIES = 10
CATCH_UP_PAUSE_S = 0.3
"""How long a replica whose user may only read `head` has to get the shard's last record."""

_DENIED = 1227
_HEAD = "SELECT shard,seq FROM head WHERE id=1"
_STATEMENTS = ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS")
"""Of MySQL and of newer MariaDB; of all others."""


async def look_at_all(found: Configured, named: Sequence[str]) -> list[Finding]:
    """Look at each replica that the wallet's settings or the command line name."""
    configured = () if found.wallet is None else found.wallet.replica_urls
    shards = () if found.wallet is None else found.wallet.shard_urls
    urls = dict.fromkeys((*configured, *named))
    looked = await asyncio.gather(*(look(url, shards) for url in urls))
    return [finding for findings in looked for finding in findings]


async def look(url: str, shards: Sequence[str] = ()) -> list[Finding]:
    """Look at a replica, or say that it can't be asked; ``shards`` are the urls of primaries."""
    address = parse_url(url)
    part = f"replica {address.host}:{address.port}"
    return await bounded(part, "replica lag", _look(part, url, shards))


async def _look(part: str, url: str, shards: Sequence[str]) -> list[Finding]:
    session = await open_session(url, autocommit=True, durable=False)
    try:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                rows = await _status(session)
        except MySQLError as error:
            if error_number(error) != _DENIED:
                raise
            return [await _by_records(part, session, shards)]
        return [judge(part, rows)]
    finally:
        session.close()


async def _by_records(part: str, session: asyncmy.Connection, shards: Sequence[str]) -> Finding:
    """See whether it gets the shard's last record in time: its user may not ask for more."""
    async with asyncio.timeout(CALL_TIMEOUT_S):
        ((shard, seq),) = await _ask(session, _HEAD)
    if shard >= len(shards):
        means = "whose replica it is, and whether it follows, is not known"
        mend = "GRANT SLAVE MONITOR ON *.* TO its user (MySQL: REPLICATION CLIENT)"
        return warn(part, "replica lag", f"at record {seq} of shard {shard}", means, mend)
    primary = await open_session(shards[shard], autocommit=True, durable=False)
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            ((_, wanted),) = await _ask(primary, _HEAD)
    finally:
        primary.close()
    for _ in range(CATCH_UP_TRIES):
        if seq >= wanted:
            return ok(part, "replica lag", f"has record {wanted} of shard {shard}", "it follows")
        await asyncio.sleep(CATCH_UP_PAUSE_S)
        async with asyncio.timeout(CALL_TIMEOUT_S):
            ((_, seq),) = await _ask(session, _HEAD)
    means = "it follows slowly, or not at all; which, its user may not ask"
    mend = "SHOW SLAVE STATUS there says why"
    return warn(part, "replica lag", f"{wanted - seq} records behind", means, mend)


async def _ask(session: asyncmy.Connection, sql: str) -> Rows:
    return (await run_packet(session, sql))[0]


async def _status(session: asyncmy.Connection) -> list[dict[str, Any]]:
    for statement in _STATEMENTS:
        try:
            async with session.cursor(asyncmy.cursors.DictCursor) as cursor:
                await cursor.execute(statement)
                return list(await cursor.fetchall())
        except MySQLError:
            if statement == _STATEMENTS[-1]:
                raise
    raise AssertionError


def judge(part: str, rows: list[dict[str, Any]]) -> Finding:
    """Judge what a server says of what it follows. Pure."""
    if not rows:
        means = "it follows nobody: what it has is as old as its copy"
        mend = "CHANGE MASTER TO …, START SLAVE"
        return fail(part, "replica lag", "no replication is set up", means, mend)
    row = {
        name.replace("Replica", "Slave").replace("Source", "Master"): value
        for name, value in rows[0].items()
    }
    lag = row["Seconds_Behind_Master"]
    stopped = [name for name in ("IO", "SQL") if row[f"Slave_{name}_Running"] != "Yes"]
    if stopped or lag is None:
        error = row.get("Last_SQL_Error") or row.get("Last_IO_Error") or "stopped"
        text = f"{' and '.join(stopped) or 'it'} does not run: {error}"
        means = "it gets older; a failover to it loses what was committed since"
        return fail(part, "replica lag", text, means, "mend what its error says, START SLAVE")
    text = f"{lag} s behind"
    means = "reads there are as old, and a failover waits for it, or loses it"
    mend = "see what holds its SQL thread up: a long transaction, its disk, parallel threads"
    if lag >= LAG_FAIL_S:
        return fail(part, "replica lag", text, means, mend)
    if lag >= LAG_WARN_S:
        return warn(part, "replica lag", text, means, mend)
    return ok(part, "replica lag", text, "it follows")
