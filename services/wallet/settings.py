"""Read the wallet service's settings from the environment into one frozen object; no other I/O.

A variable that begins with ``WALLET_`` and is not known, or is missing, or malformed, stops the
start by name: a misspelled shard would otherwise be a shard less.
"""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from walletkit.auth.settings import AuthSettings
from walletkit.settings import (
    Address,
    DatabaseUrl,
    LogLevel,
    SettingsError,
    TelemetrySettings,
    rule_of,
    say_unknown,
    strict,
)

PREFIX = "WALLET_"
MAX_SHARDS = 1_024
MAX_REPLICAS = 64
DAYS_BEYOND_KEYS = 21
"""Transactions outlive the keys that are answered from them: keys go by the week."""

_SHARD = re.compile(r"WALLET_SHARD_(0|[1-9][0-9]{0,3})_URL")


def _split(value: object) -> object:
    """Read `url,url`; a comma in a password is %2C."""
    return tuple(filter(None, value.split(","))) if isinstance(value, str) else value


class Settings(AuthSettings, TelemetrySettings):
    """What an operator decides about the wallet service."""

    model_config = strict(PREFIX)

    listen: Address
    """Where calls are answered."""
    ledger_address: Address
    """The ledger's."""
    notify_address: Address
    """Notify's: where the relay brings records."""
    shard_urls: Annotated[tuple[DatabaseUrl, ...], Field(min_length=1, max_length=MAX_SHARDS)] = (
        Field(
            # Urls hold passwords, which no log may show.
            repr=False
        )
    )
    """The shards, numbered from 0 without gaps: `mysql://user:password@host:port/database`."""
    replica_urls: Annotated[
        tuple[DatabaseUrl, ...], BeforeValidator(_split), Field(max_length=MAX_REPLICAS)
    ] = Field(default=(), repr=False)
    """Replicas of the shards, in any order, whose lag the relay measures: it reads the last
    record's number there. Nothing else is ever read from them."""
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that share the port; one that dies is replaced."""
    log_level: LogLevel = "INFO"
    """What is logged at least."""
    queue_limit: int = Field(default=10_000, ge=1, le=1_000_000)
    """Commands that may wait for a shard; beyond it OVERLOADED."""
    batch_window_ms: int = Field(default=20, ge=0, le=1_000)
    """How long a busy loop waits for company at most, while it comes."""
    leg_wait_ms: int = Field(default=1_000, ge=0, le=60_000)
    """How long a transfer between shards waits for its landing before it answers PROCESSING."""
    outbox_retention_hours: int = Field(default=168, ge=1, le=876_000)
    """How long a record stays in its shard's outbox at least (relay), until every sink has it: 1,
    so that a Redis which was restored and crashes again finds all of it, to 876000, which keeps
    all."""
    key_days: int = Field(default=7, ge=7, le=3_650)
    """How long an idempotency key and its outcome are kept at least (relay): they are dropped by
    the week, so up to a week longer. After it the same key is a new request."""
    transaction_days: int = Field(default=0, ge=0, le=36_500)
    """How long a transaction is kept on its shard at least (relay), by the month; 0: for good.
    After it GetTransaction and ReverseTransaction don't find it; the ledger has it for good. At
    least 21 days more than WALLET_KEY_DAYS."""
    allow_weak_durability: bool = False
    """Serve shards that may lose what they acknowledged."""

    @field_validator("transaction_days")
    @classmethod
    def _check_transactions(cls, days: int, info: ValidationInfo) -> int:
        least = info.data.get("key_days", 0) + DAYS_BEYOND_KEYS
        if days and days < least:
            raise ValueError(
                f"must be 0, or at least {least}: KEY_DAYS and {DAYS_BEYOND_KEYS} more"
            )
        return days

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # part of the signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments first, then our own reading of the environment."""
        return (init_settings, _Environment(settings_cls))


def load() -> Settings:
    """Read the environment. Raise ``SettingsError``."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(map(_line, error.errors()))) from None


class _Environment(PydanticBaseSettingsSource):
    """Every variable with our prefix, the shards' urls gathered in one tuple."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return nothing: all fields are read at once."""
        raise NotImplementedError(field, field_name)

    def __call__(self) -> dict[str, Any]:
        """Return values by field; an unknown variable keeps its name, and is refused by it."""
        values: dict[str, Any] = {}
        shards: dict[int, str] = {}
        for name, value in os.environ.items():
            if (shard := _SHARD.fullmatch(name)) is not None:
                shards[int(shard[1])] = value
            elif name.startswith(PREFIX):
                values[_field(name)] = value
        if shards:
            values["shard_urls"] = _without_gaps(shards)
        return values


def _field(variable: str) -> str:
    """Return the field of a variable; ``shard_urls`` is none, for it has no variable of its own."""
    field = variable.removeprefix(PREFIX).lower()
    known = field in Settings.model_fields and field != "shard_urls" and variable.isupper()
    return field if known else variable


def _without_gaps(shards: Mapping[int, str]) -> tuple[str, ...]:
    missing = set(range(max(shards) + 1)) - shards.keys()
    if missing:
        raise SettingsError(
            f"{PREFIX}SHARD_{min(missing)}_URL: missing; shards are numbered from 0 without gaps"
        )
    return tuple(shards[number] for number in sorted(shards))


def _line(error: ErrorDetails) -> str:
    """Say what is wrong with a variable."""
    name = _variable(error["loc"])
    if error["type"] == "extra_forbidden":
        known = [
            f"{PREFIX}{field.upper()}" for field in Settings.model_fields.keys() - {"shard_urls"}
        ]
        return say_unknown(name, [*known, f"{PREFIX}SHARD_0_URL"])
    return f"{name}: {rule_of(error, Settings.model_fields)}"


def _variable(location: tuple[int | str, ...]) -> str:
    """Return the variable behind a field's place in the model."""
    name = str(location[0])
    if name == "shard_urls":
        return f"{PREFIX}SHARD_{location[1] if len(location) > 1 else 0}_URL"
    return name if name.startswith(PREFIX) else f"{PREFIX}{name.upper()}"
