"""What the settings of all services share: read from the environment, strictly, by name."""

import os
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError
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

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

_Settings = TypeVar("_Settings", bound=BaseSettings)


def strict(prefix: str) -> SettingsConfigDict:
    """Return the configuration of frozen settings, read from variables with a prefix."""
    return SettingsConfigDict(
        env_prefix=prefix, frozen=True, extra="forbid", hide_input_in_errors=True
    )


def load(kind: type[_Settings]) -> _Settings:
    """Read the environment.

    A variable with the prefix that is not known, is missing or malformed raises ``SettingsError``:
    a misspelled one would otherwise be ignored.
    """
    prefix = kind.model_config["env_prefix"]
    known = {f"{prefix}{name.upper()}" for name in kind.model_fields}
    unknown = {name for name in os.environ if name.startswith(prefix)} - known
    problems = [f"{name}: unknown" for name in sorted(unknown)]
    try:
        settings = kind()
    except ValidationError as error:
        problems += [f"{prefix}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
        raise SettingsError("\n".join(problems)) from None
    if problems:
        raise SettingsError("\n".join(problems))
    return settings
