"""Count calls in token buckets that all processes share: one script, one round trip.

A bucket is kept as one number: the time at which it will be full again (GCRA, which decides as a
bucket of ``burst`` tokens does that gets one each ``interval``). Taking tokens moves that time on;
it may not lie further ahead than all tokens take. The key expires at that very time, since a full
bucket needs no memory. The time is Redis's own: one clock for all processes.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from edge.counters.connection import Client, guarded
from edge.domain.limits import Limit, Route

TAKE_TIMEOUT_S = 0.5
"""Of one answer, all in all. Shorter than Envoy waits for ours (walletkit.front.edge), so that it
is always the setting that decides about calls which can't be counted."""

# KEYS one for each bucket. ARGV how many tokens, then interval and burst of each. All give, or none
# does. Returns, for each, µs until it would give, and µs until it is full.
TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local full, answer, refused = {}, {}, false
for i, name in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local was = math.max(now, tonumber(redis.call('GET', name) or '0'))
  full[i] = was + math.ceil(ARGV[1] * interval)
  local wait = full[i] - now - math.ceil(burst * interval)
  refused = refused or wait > 0
  answer[2 * i - 1], answer[2 * i] = math.max(wait, 0), was - now
end
if refused then return answer end
for i, name in ipairs(KEYS) do
  redis.call('SET', name, string.format('%.0f', full[i]),
    'PX', math.max(1, math.ceil((full[i] - now) / 1000)))
  answer[2 * i] = full[i] - now
end
return answer
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
class Level:
    """How full a bucket is after a call was counted, or refused."""

    wait_us: int
    """Until it would give what was asked; 0 where it did, or would have."""
    full_us: int
    """Until it is full."""

    def remaining(self, limit: Limit) -> int:
        """Return how many tokens are in it."""
        return max(0, int(limit.burst - self.full_us / limit.interval_us))


class Buckets:
    """Token buckets in Redis."""

    def __init__(self, redis: Client) -> None:
        self._take = redis.register_script(TAKE)

    async def take(self, buckets: Sequence[Bucket], tokens: int) -> list[Level]:
        """Take tokens out of all buckets, or of none. Raise ``CountersDownError``."""
        arguments: list[str | int] = [tokens]
        for bucket in buckets:
            arguments += [repr(bucket.limit.interval_us), bucket.limit.burst]
        with guarded():
            async with asyncio.timeout(TAKE_TIMEOUT_S):
                found = await self._take(keys=[bucket.name for bucket in buckets], args=arguments)
        return [Level(*found[at : at + 2]) for at in range(0, len(found), 2)]
