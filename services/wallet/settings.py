"""Read the wallet service's settings from the environment into one frozen object; no other I/O.

A variable that begins with ``WALLET_`` and is not known, or is missing, or malformed, stops the
start by name: a misspelled shard would otherwise be a shard less.
"""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from walletkit.auth.settings import AuthSettings
from walletkit.settings import Address, DatabaseUrl, LogLevel, MetricsAddress, SettingsError, strict

PREFIX = "WALLET_"
MAX_SHARDS = 1_024

_SHARD = re.compile(r"WALLET_SHARD_(0|[1-9][0-9]{0,3})_URL")


class Settings(AuthSettings):
    """What an operator decides about the wallet service."""

    model_config = strict(PREFIX)

    listen: Address
    ledger_address: Address
    notify_address: Address
    shard_urls: Annotated[tuple[DatabaseUrl, ...], Field(min_length=1, max_length=MAX_SHARDS)] = (
        Field(
            # Urls hold passwords, which no log may show.
            repr=False
        )
    )
    workers: int = Field(default=1, ge=1, le=64)
    log_level: LogLevel = "INFO"
    # Where Prometheus asks; nowhere unless it is set.
    metrics_address: MetricsAddress | None = None
    queue_limit: int = Field(default=10_000, ge=1, le=1_000_000)
    batch_window_ms: int = Field(default=20, ge=0, le=1_000)
    leg_wait_ms: int = Field(default=1_000, ge=0, le=60_000)
    outbox_retention_hours: int = Field(default=168, ge=1, le=876_000)
    allow_weak_durability: bool = False

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
        lines = [f"{_variable(e['loc'])}: {_rule(e['type'], e['msg'])}" for e in error.errors()]
        raise SettingsError("\n".join(lines)) from None


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


def _variable(location: tuple[int | str, ...]) -> str:
    """Return the variable behind a field's place in the model."""
    name = str(location[0])
    if name == "shard_urls":
        return f"{PREFIX}SHARD_{location[1] if len(location) > 1 else 0}_URL"
    return name if name.startswith(PREFIX) else f"{PREFIX}{name.upper()}"


def _rule(kind: str, message: str) -> str:
    return {"missing": "missing", "extra_forbidden": "unknown"}.get(kind, message)
