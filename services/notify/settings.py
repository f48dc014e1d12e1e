"""Read notify's settings from the environment into one frozen object; no other I/O.

A variable that begins with ``NOTIFY_`` and is not known, or is missing, or malformed, stops the
start by name.
"""

from typing import Annotated

from pydantic import Field

from walletkit import settings
from walletkit.auth.settings import AuthSettings
from walletkit.settings import Address, DatabaseUrl, LogLevel, MetricsAddress, strict

PREFIX = "NOTIFY_"


class Settings(AuthSettings):
    """What an operator decides about notify.

    Redis needs at most about ``kept_bytes`` for each shard, and 1 KiB for each queued delivery: so
    ``queue_limit`` KiB (and what one record adds) for each subscription whose endpoint does not
    answer. Redis must run with ``maxmemory-policy noeviction``.
    """

    model_config = strict(PREFIX)

    listen: Address
    # Both urls may hold a password, which no log may show. rediss:// means TLS.
    database_url: DatabaseUrl = Field(repr=False)
    redis_url: Annotated[str, Field(pattern=r"^(rediss?|unix)://")] = Field(repr=False)
    allow_private_targets: bool = False
    allow_weak_durability: bool = False
    log_level: LogLevel = "INFO"
    # Where Prometheus asks; nowhere unless it is set.
    metrics_address: MetricsAddress | None = None

    # What is kept of each shard's stream, for watchers that resume and for replays.
    kept_records: int = Field(default=100_000, ge=1, le=10_000_000)
    kept_bytes: int = Field(default=256 * 2**20, ge=2**20, le=2**40)
    ingest_window: int = Field(default=256, ge=1, le=10_000)

    max_subscriptions: int = Field(default=1_000, ge=1, le=10_000)
    max_watchers: int = Field(default=100, ge=1, le=10_000)
    heartbeat_s: float = Field(default=10, gt=0, le=300)

    queue_limit: int = Field(default=1_000, ge=1, le=100_000)
    replay_limit: int = Field(default=10_000, ge=1, le=100_000)
    deliveries_total: int = Field(default=512, ge=1, le=4_096)
    deliveries_per_subscription: int = Field(default=8, ge=1, le=256)
    delivery_timeout_s: float = Field(default=10, gt=0, le=60)
    retry_base_s: float = Field(default=5, gt=0, le=3_600)
    retry_factor: float = Field(default=4, ge=1, le=10)
    retry_cap_s: float = Field(default=6 * 3_600, gt=0, le=7 * 86_400)
    retry_attempts: int = Field(default=12, ge=1, le=100)
    dead_letter_days: int = Field(default=30, ge=1, le=3_650)
    key_days: int = Field(default=7, ge=7, le=3_650)


def load() -> Settings:
    """Read the environment. Raise ``SettingsError``."""
    return settings.load(Settings)
