"""The connection to Redis, with a short deadline on every call: callers wait for it.

Its faults are ``CountersDownError``: what follows is decided by who asked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from walletkit.telemetry import redis_pool

CONNECT_TIMEOUT_S = 0.5
CALL_TIMEOUT_S = 0.5
MAX_CONNECTIONS = 64
IDLE_CHECK_S = 15

# The library types every reply as bytes or text, pipeline or not; ours are bytes.
Client = Any


class CountersDownError(RuntimeError):
    """Redis does not answer, or can't write."""


def connect(url: str) -> Client:
    """Make a client; it connects when it is first used, and again after each fault."""
    pool: Any = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=CALL_TIMEOUT_S,
        socket_timeout=CALL_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        health_check_interval=IDLE_CHECK_S,
        # Once more at once, for a connection that has died while it was idle. A call counted twice
        # is one too many; a nonce set twice is refused.
        retry=Retry(NoBackoff(), 1),
    )
    redis_pool.follow(pool, "edge")
    return Redis.from_pool(pool)


@contextmanager
def guarded() -> Iterator[None]:
    """Turn faults of Redis into ``CountersDownError``."""
    try:
        yield
    except (RedisError, OSError) as error:
        # A deadline that is over says nothing.
        raise CountersDownError(str(error) or type(error).__name__) from error
