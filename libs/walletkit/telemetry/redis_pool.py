"""Tell how many connections of a pool of redis-py are taken."""

from typing import Any

from walletkit.telemetry.metrics.process import REDIS_CONNECTIONS


def follow(pool: Any, service: str) -> None:  # noqa: ANN401  # the library types it loosely
    """Have a service's metric read from its pool, which tells of the idle ones first."""
    REDIS_CONNECTIONS.of(service).follow(lambda: int(pool.get_connection_count()[1][0]))
