"""Read edge's settings from the environment into one frozen object; no I/O but its files.

A variable that begins with ``EDGE_`` and is not known, or is missing, or malformed, stops the
start by name; so does a file that can't be read.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edge.domain.limits import Limits
from walletkit import settings
from walletkit.auth.settings import AuthSettings
from walletkit.settings import Address, DatabaseUrl, LogLevel, MetricsAddress, strict

PREFIX = "EDGE_"


def read_limits(path: Path) -> Limits:
    """Read the file of limits. Raise ``ValueError`` that names what is wrong in it."""
    try:
        return Limits.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None


def _check_limits(path: Path) -> Path:
    read_limits(path)
    return path


def _check_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


SecretFile = Annotated[Path, AfterValidator(_check_file)]


class Settings(AuthSettings):
    """What an operator decides about edge.

    Redis needs about 150 bytes for each client that calls, and for each request that was signed
    within twice the window. It must run with ``maxmemory-policy noeviction``: a nonce that is
    evicted could be used again.
    """

    model_config = strict(PREFIX)

    listen: Address
    # Both urls may hold a password, which no log may show. rediss:// means TLS.
    database_url: DatabaseUrl = Field(repr=False)
    redis_url: Annotated[str, Field(pattern=r"^(rediss?|unix)://")] = Field(repr=False)
    # PEM, PKCS 8, Ed25519: signs the tokens that services get.
    signing_key_file: SecretFile
    # 64 hex digits: seals the secrets of signing keys.
    sealing_key_file: SecretFile
    # TOML; docs/operations.md.
    limits_file: Annotated[Path, AfterValidator(_check_limits)]
    # How far a signed request's timestamp may be from now, on either side. It has no default: too
    # long a one nobody would notice.
    signature_window_s: int = Field(ge=1, le=900)
    # What services know edge's tokens by.
    issuer: Annotated[str, Field(min_length=1, max_length=255)]
    audience: Annotated[str, Field(min_length=1, max_length=255)]
    # What becomes of calls that can't be counted since Redis does not answer.
    rate_limit_on_failure: Literal["allow", "deny"] = "allow"
    max_keys: int = Field(default=10_000, ge=1, le=1_000_000)
    allow_weak_durability: bool = False
    log_level: LogLevel = "INFO"
    # Where Prometheus asks; nowhere unless it is set.
    metrics_address: MetricsAddress | None = None


def load() -> Settings:
    """Read the environment. Raise ``SettingsError``."""
    return settings.load(Settings)
