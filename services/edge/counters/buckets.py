"""Count calls in token buckets that all processes share: one script, one round trip.

A bucket is kept as one number: the time at which it will be full again (GCRA, which decides as a
bucket of ``burst`` tokens does that gets one each ``interval``). Taking tokens moves that time on;
it may not lie further ahead than all tokens take. The key expires at that very time, since a full
bucket needs no memory. The time is Redis's own: one clock for all processes.

Tokens are taken for calls to come, by several who ask: so nobody gets more than half of what is
there, and near the limit they go one by one.
"""

import asyncio
import hashlib
from dataclasses import dataclass

from edge.counters.connection import Client, guarded
from edge.domain.limits import Limit, Route

TAKE_TIMEOUT_S = 0.5
"""Of one answer, all in all. Shorter than Envoy waits for ours (walletkit/front/leases.lua), so
that it is always the setting that decides about calls which can't be counted."""

# KEYS the bucket. ARGV how many tokens are wanted, interval and burst. Returns how many were taken,
# µs until there is one where none was, and µs until the bucket is full.
TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
local full = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
local ahead = burst * interval - (full - now)
local there = math.floor(ahead / interval)
if there < 1 then return {0, math.max(1, math.ceil(interval - ahead)), full - now} end
local taken = math.min(tonumber(ARGV[1]), math.max(1, math.floor(there / 2)))
full = full + math.ceil(taken * interval)
redis.call('SET', KEYS[1], string.format('%.0f', full),
  'PX', math.max(1, math.ceil((full - now) / 1000)))
return {taken, 0, full - now}
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Whose calls of which kind are counted, and their limit."""

    client: str
    route: Route
    limit: Limit

    @property
    def name(self) -> str:
        """The key in Redis: hashed, so that no client makes it long.

        The braces keep a client's buckets on one node of a cluster.
        """
        client = hashlib.blake2b(self.client.encode(), digest_size=16).hexdigest()
        return f"edge:calls:{{{client}}}:{self.route}"


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken out of a bucket, and how full it is after that."""

    tokens: int
    wait_us: int
    """Until there is a token; 0 where some were taken."""
    full_us: int
    """Until it is full."""

    def remaining(self, limit: Limit) -> int:
        """Return how many tokens are in it."""
        return max(0, int(limit.burst - self.full_us / limit.interval_us))


class Buckets:
    """Token buckets in Redis."""

    def __init__(self, redis: Client) -> None:
        self._take = redis.register_script(TAKE)

    async def take(self, bucket: Bucket, tokens: int) -> Taken:
        """Take tokens, as many of these as there are to give. Raise ``CountersDownError``."""
        arguments = [tokens, repr(bucket.limit.interval_us), bucket.limit.burst]
        with guarded():
            async with asyncio.timeout(TAKE_TIMEOUT_S):
                found = await self._take(keys=[bucket.name], args=arguments)
        return Taken(*found)
