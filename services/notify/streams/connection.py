"""The connection to Redis, with a deadline on every call.

Its faults reach callers as NOTIFY_UNAVAILABLE.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, RedisError, TimeoutError  # noqa: A004

from walletkit.errors import ServiceError
from walletkit.telemetry import redis_pool

CONNECT_TIMEOUT_S = 2
CALL_TIMEOUT_S = 3
MAX_CONNECTIONS = 64
IDLE_CHECK_S = 15

# The library types every reply as bytes or text, pipeline or not; ours are bytes.
Client = Any


def connect(url: str) -> Client:
    """Make a client; it connects when it is first used, and again after each fault."""
    pool: Any = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=CALL_TIMEOUT_S,
        socket_timeout=CALL_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        health_check_interval=IDLE_CHECK_S,
        # Once more at once, for a connection that has died while it was idle. Every script may run
        # twice.
        retry=Retry(NoBackoff(), 1),
    )
    redis_pool.follow(pool, "notify")
    return Redis.from_pool(pool)


@contextmanager
def guarded() -> Iterator[None]:
    """Turn faults of Redis into NOTIFY_UNAVAILABLE.

    An error that our scripts make is none of these.
    """
    try:
        yield
    except (ConnectionError, TimeoutError, BusyLoadingError, OSError) as error:
        raise _unavailable() from error
    except RedisError as error:
        # Out of memory, read-only replica, still loading: the server's state, not the call's fault.
        if str(error).startswith(("OOM", "READONLY", "LOADING", "MISCONF", "MASTERDOWN")):
            raise _unavailable() from error
        raise


def _unavailable() -> ServiceError:
    return ServiceError("NOTIFY_UNAVAILABLE", "notify's Redis does not answer; retry later")
