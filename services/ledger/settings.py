"""Read the ledger's settings from the environment into one frozen object; no other I/O.

A variable that begins with ``LEDGER_`` and is not known, or is missing, or malformed, stops the
start by name.
"""

from pydantic import Field

from walletkit import settings
from walletkit.auth.settings import AuthSettings
from walletkit.settings import Address, DatabaseUrl, LogLevel, TelemetrySettings, strict

PREFIX = "LEDGER_"


class Settings(AuthSettings, TelemetrySettings):
    """What an operator decides about the ledger."""

    model_config = strict(PREFIX)

    listen: Address
    """Where calls are answered."""
    # The url holds a password, which no log may show.
    database_url: DatabaseUrl = Field(repr=False)
    """`mysql://user:password@host:port/database`."""
    wallet_address: Address
    """The wallet's, for reconciliation."""
    log_level: LogLevel = "INFO"
    """What is logged at least."""
    commit_interval_ms: int = Field(default=50, ge=0, le=1_000)
    """Least time between two commits of a shard's records: more of them share one, and cost
    less."""
    allow_weak_durability: bool = False
    """Serve from a database that may lose what it acknowledged."""


def load() -> Settings:
    """Read the environment. Raise ``SettingsError``."""
    return settings.load(Settings)
