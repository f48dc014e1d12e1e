"""Read the ledger's settings from the environment into one frozen object; no other I/O.

A variable that begins with ``LEDGER_`` and is not known, or is missing, or malformed, stops the
start by name.
"""

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from walletkit.sql.session import parse_url

PREFIX = "LEDGER_"


class SettingsError(RuntimeError):
    """The environment does not describe a ledger; the message names each variable that is wrong."""


def _check_url(url: str) -> str:
    parse_url(url)
    return url


Address = Annotated[str, Field(pattern=r"^[^\s]+:[0-9]{1,5}$")]


class Settings(BaseSettings):
    """What an operator decides about the ledger."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    listen: Address
    # The url holds a password, which no log may show.
    database_url: Annotated[str, AfterValidator(_check_url)] = Field(repr=False)
    wallet_address: Address
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    # Commits of one shard are so far apart unless one is full: fewer and larger ones cost less.
    commit_interval_ms: int = Field(default=20, ge=0, le=1_000)
    allow_weak_durability: bool = False


def load() -> Settings:
    """Read the environment. Raise ``SettingsError``."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    unknown = {name for name in os.environ if name.startswith(PREFIX)} - known
    problems = [f"{name}: unknown" for name in sorted(unknown)]
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
        raise SettingsError("\n".join(problems)) from None
    if problems:
        raise SettingsError("\n".join(problems))
    return settings
