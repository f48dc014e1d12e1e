"""Read notify's settings from the environment into one frozen object; no other I/O.

A variable that begins with ``NOTIFY_`` and is not known, or is missing, or malformed, stops the
start by name.
"""

from typing import Annotated

from pydantic import Field

from walletkit import settings
from walletkit.auth.settings import AuthSettings
from walletkit.settings import Address, DatabaseUrl, LogLevel, TelemetrySettings, strict

PREFIX = "NOTIFY_"


class Settings(AuthSettings, TelemetrySettings):
    """What an operator decides about notify.

    Redis needs at most about ``kept_bytes`` for each shard, and 1 KiB for each queued delivery: so
    ``queue_limit`` KiB (and what one record adds) for each subscription whose endpoint does not
    answer. Redis must run with ``maxmemory-policy noeviction``.
    """

    model_config = strict(PREFIX)

    listen: Address
    """Where calls are answered."""
    # Both urls may hold a password, which no log may show. rediss:// means TLS.
    database_url: DatabaseUrl = Field(repr=False)
    """`mysql://user:password@host:port/database`."""
    redis_url: Annotated[str, Field(pattern=r"^(rediss?|unix)://")] = Field(repr=False)
    """`redis://`, `rediss://` (TLS) or `unix://`; with `maxmemory-policy noeviction`."""
    allow_private_targets: bool = False
    """Deliver to loopback and private addresses."""
    allow_weak_durability: bool = False
    """Serve from a database that may lose what it acknowledged."""
    log_level: LogLevel = "INFO"
    """What is logged at least."""

    kept_records: int = Field(default=100_000, ge=1, le=10_000_000)
    """Records of each shard that Redis keeps, for watches that resume and for replays."""
    kept_bytes: int = Field(default=256 * 2**20, ge=2**20, le=2**40)
    """Bytes of them, packed, at most."""
    ingest_window: int = Field(default=256, ge=1, le=10_000)
    """Records that a relay may send ahead of what is durable here."""

    max_subscriptions: int = Field(default=1_000, ge=1, le=10_000)
    """Beyond it SUBSCRIPTION_LIMIT."""
    max_watchers: int = Field(default=100, ge=1, le=10_000)
    """Watches at once."""
    heartbeat_s: float = Field(default=10, gt=0, le=300)
    """Longest silence of a watch."""

    queue_limit: int = Field(default=1_000, ge=1, le=100_000)
    """Deliveries queued for one subscription; the rest waits in what is kept, and is given up, with
    a dead letter that says so, when that is trimmed first."""
    replay_limit: int = Field(default=10_000, ge=1, le=100_000)
    """Events of one replay; beyond it REPLAY_TOO_LARGE."""
    deliveries_total: int = Field(default=512, ge=1, le=4_096)
    """Deliveries under way at once."""
    deliveries_per_subscription: int = Field(default=8, ge=1, le=256)
    """Those of one subscription."""
    delivery_timeout_s: float = Field(default=10, gt=0, le=60)
    """Of one try, all in all."""
    retry_base_s: float = Field(default=5, gt=0, le=3_600)
    """Ceiling of the wait before the second try; waits have full jitter."""
    retry_factor: float = Field(default=4, ge=1, le=10)
    """How the ceiling grows with each try."""
    retry_cap_s: float = Field(default=6 * 3_600, gt=0, le=7 * 86_400)
    """The highest ceiling."""
    retry_attempts: int = Field(default=12, ge=1, le=100)
    """Tries before a dead letter."""
    dead_letter_days: int = Field(default=30, ge=1, le=3_650)
    """How long a dead letter is kept."""
    key_days: int = Field(default=7, ge=7, le=3_650)
    """How long a key of CreateSubscription is kept."""


def load() -> Settings:
    """Read the environment. Raise ``SettingsError``."""
    return settings.load(Settings)
