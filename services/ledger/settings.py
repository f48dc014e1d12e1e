"""Read the ledger's settings from the environment into one frozen object; no other I/O.

A variable that begins with ``LEDGER_`` and is not known, or is missing, or malformed, stops the
start by name.
"""

from pydantic import Field

from walletkit import settings
from walletkit.auth.settings import AuthSettings
from walletkit.settings import Address, DatabaseUrl, LogLevel, MetricsAddress, strict

PREFIX = "LEDGER_"


class Settings(AuthSettings):
    """What an operator decides about the ledger."""

    model_config = strict(PREFIX)

    listen: Address
    # The url holds a password, which no log may show.
    database_url: DatabaseUrl = Field(repr=False)
    wallet_address: Address
    log_level: LogLevel = "INFO"
    # Where Prometheus asks; nowhere unless it is set.
    metrics_address: MetricsAddress | None = None
    # Commits of one shard are so far apart unless one is full: fewer and larger ones cost less.
    commit_interval_ms: int = Field(default=50, ge=0, le=1_000)
    allow_weak_durability: bool = False


def load() -> Settings:
    """Read the environment. Raise ``SettingsError``."""
    return settings.load(Settings)
