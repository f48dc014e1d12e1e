"""Look at the Redis of notify and edge: reach, clock, version, and what it may forget."""

import asyncio
import time
from collections import defaultdict
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from guilder.cli.doctor import clocks
from guilder.cli.doctor.configuration import Configured
from guilder.cli.doctor.deadline import CALL_TIMEOUT_S, bounded
from guilder.cli.doctor.finding import Finding, fail, ok, warn

LEAST = (6, 2)
FULL_SHARE = 0.8
"""Share of ``maxmemory`` from which on somebody has to look."""


async def look_at_all(found: Configured) -> list[Finding]:
    """Look at each Redis once, whoever shares it."""
    users: dict[str, list[str]] = defaultdict(list)
    if found.notify is not None:
        users[found.notify.redis_url].append("notify")
    if found.edge is not None:
        users[found.edge.redis_url].append("edge")
    looked = [look(f"Redis of {' and '.join(names)}", url) for url, names in users.items()]
    return [finding for findings in await asyncio.gather(*looked) for finding in findings]


async def look(part: str, url: str) -> list[Finding]:
    """Look at a Redis, or say that it can't be reached."""
    return await bounded(part, "reach", _look(part, url))


async def _look(part: str, url: str) -> list[Finding]:
    client: Any = Redis.from_url(
        url,
        socket_timeout=CALL_TIMEOUT_S,
        socket_connect_timeout=CALL_TIMEOUT_S,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        began = time.perf_counter()
        await client.ping()
        took_ms = (time.perf_counter() - began) * 1_000
        # On the open connection: to connect takes time that would look like a doubt of the clock.
        sent = time.time()
        seconds, microseconds = await client.time()
        back = time.time()
        there = seconds + microseconds / 1e6
        info = await client.info()
        found = [
            ok(part, "reach", f"{took_ms:.0f} ms", "it answered"),
            clocks.compare(part, there, sent, back),
        ]
        return found + judge(part, info, await _fsync(client))
    finally:
        await client.aclose()


async def _fsync(client: Any) -> str | None:  # noqa: ANN401  # the library types it loosely
    """Return how often the file is synced; None where that is not told, as by hosted ones."""
    try:
        told = await client.config_get("appendfsync")
    except RedisError:
        return None
    return str(told.get("appendfsync")) if told else None


def judge(part: str, info: dict[str, Any], fsync: str | None) -> list[Finding]:
    """Judge what INFO has told, and how often the append-only file is synced. Pure."""
    return [
        _version(part, str(info["redis_version"])),
        _role(part, str(info["role"])),
        _persistence(part, info, fsync),
        _memory(part, info),
    ]


def _version(part: str, text: str) -> Finding:
    numbers = tuple(int(number) for number in text.split(".")[:2])
    wanted = ".".join(map(str, LEAST))
    if numbers < LEAST:
        means = "commands of our scripts are not there"
        return fail(part, "version", text, means, f"upgrade to {wanted} or later")
    return ok(part, "version", text, f"{wanted} or later is needed")


def _role(part: str, role: str) -> Finding:
    if role != "master":
        means = "a replica takes no writes, and is behind: a nonce could be used twice"
        return fail(part, "primary", f"role {role}", means, "point the url at the primary")
    return ok(part, "primary", "takes writes", "the primary of its data")


def _persistence(part: str, info: dict[str, Any], fsync: str | None) -> Finding:
    if not info.get("aof_enabled"):
        means = (
            "a restart forgets streams, deliveries under way and nonces: webhooks are lost where"
            " the shard's outbox was purged, and a signed request could be replayed"
        )
        mend = "appendonly yes, appendfsync everysec"
        return warn(part, "persistence", "appendonly no", means, mend)
    if info.get("aof_last_write_status", "ok") != "ok":
        means = "what is new is not written to its file, and writes are refused"
        return fail(part, "persistence", "the last write failed", means, "look at its disk and log")
    if fsync == "no":
        means = "a crash of the machine may forget half a minute, more than the relay sends again"
        return warn(part, "persistence", "appendfsync no", means, "appendfsync everysec")
    text = "appendonly yes" + ("" if fsync is None else f", appendfsync {fsync}")
    return ok(part, "persistence", text, "a crash forgets a second or two, which is sent again")


def _memory(part: str, info: dict[str, Any]) -> Finding:
    policy = str(info.get("maxmemory_policy", "noeviction"))
    limit, used = int(info.get("maxmemory", 0)), int(info["used_memory"])
    if policy != "noeviction":
        means = "what is evicted is gone: events, deliveries, nonces that could be used again"
        judged = fail if limit else warn
        return judged(part, "memory", f"maxmemory-policy {policy}", means, "noeviction")
    if limit and used > FULL_SHARE * limit:
        means = "when it is full, no record is taken in and signed requests are refused"
        text = f"{100 * used // limit} % of maxmemory"
        return warn(part, "memory", text, means, "raise maxmemory, or lower NOTIFY_KEPT_BYTES")
    return ok(part, "memory", f"noeviction, {used // 2**20} MiB used", "nothing is evicted")
