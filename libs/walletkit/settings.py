"""What the settings of all services share: read from the environment, strictly, by name."""

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from walletkit.sql.session import parse_url


class SettingsError(RuntimeError):
    """The environment is not right; the message names each variable that is wrong."""


def _check_url(url: str) -> str:
    parse_url(url)
    return url


Address = Annotated[str, Field(pattern=r"^[^\s]+:[0-9]{1,5}$")]
"""``host:port``."""

MetricsAddress = Annotated[str, Field(pattern=r"^(unix:@[!-~]{1,100}|[^\s]+:[0-9]{1,5})$")]
"""``host:port``, or ``unix:@name`` for an abstract Unix socket."""

DatabaseUrl = Annotated[str, AfterValidator(_check_url)]
"""``mysql://user:password@host:port/database``. It may hold a password: give it ``repr=False``."""

TraceEndpoint = Annotated[str, Field(pattern=r"^https?://[^/\s]+:[0-9]{1,5}$")]
"""``http://host:port`` or ``https://host:port``, of OTLP over gRPC."""

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

MAX_SHOWN = 100
"""Characters of a wrong value that are told."""

_Settings = TypeVar("_Settings", bound=BaseSettings)


class TelemetrySettings(BaseSettings):
    """Whom a process tells how it fares: the same variables in every service."""

    model_config = SettingsConfigDict(use_attribute_docstrings=True)

    metrics_address: MetricsAddress | None = None
    """Where Prometheus asks; nowhere unless it is set."""
    trace_endpoint: TraceEndpoint | None = None
    """Collector of spans (OTLP over gRPC); nobody is told unless it is set."""
    trace_ratio: float = Field(default=0, ge=0, le=1)
    """Share that is followed of the calls without a `traceparent`; one with it decides itself."""


def strict(prefix: str) -> SettingsConfigDict:
    """Return the configuration of frozen settings, read from variables with a prefix.

    The docstring under a field is its meaning in docs/configuration.md.
    """
    return SettingsConfigDict(
        env_prefix=prefix,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


def load(kind: type[_Settings]) -> _Settings:
    """Read the environment.

    A variable with the prefix that is not known, is missing or malformed raises ``SettingsError``:
    a misspelled one would otherwise be ignored.
    """
    prefix = kind.model_config["env_prefix"]
    known = {f"{prefix}{name.upper()}" for name in kind.model_fields}
    unknown = {name for name in os.environ if name.startswith(prefix)} - known
    problems = [say_unknown(name, known) for name in sorted(unknown)]
    try:
        settings = kind()
    except ValidationError as error:
        problems += [
            f"{prefix}{str((*e['loc'], '*')[0]).upper()}: {rule_of(e, kind.model_fields)}"
            for e in error.errors()
        ]
        raise SettingsError("\n".join(problems)) from None
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def say_unknown(name: str, known: Iterable[str]) -> str:
    """Say that a variable is not known, and which it may be meant to be."""
    near = get_close_matches(name, sorted(known), n=1)
    return f"{name}: unknown" + (f"; did you mean {near[0]}?" if near else "")


def rule_of(error: ErrorDetails, fields: Mapping[str, FieldInfo]) -> str:
    """Return the rule that a value breaks, and the value unless it may hold a secret."""
    if error["type"] == "missing":
        return "missing"
    field = fields.get(str((*error["loc"], "")[0]))
    given = error["input"]
    if field is None or not field.repr or not isinstance(given, str):
        return error["msg"]
    return f"{error['msg']}, not {given[:MAX_SHOWN]!r}"
