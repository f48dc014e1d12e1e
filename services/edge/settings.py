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
from walletkit.settings import Address, DatabaseUrl, LogLevel, TelemetrySettings, strict

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


class Settings(AuthSettings, TelemetrySettings):
    """What an operator decides about edge.

    Redis needs about 150 bytes for each client that calls, and for each request that was signed
    within twice the window. It must run with ``maxmemory-policy noeviction``: a nonce that is
    evicted could be used again.
    """

    model_config = strict(PREFIX)

    listen: Address
    """Where calls are answered."""
    # Both urls may hold a password, which no log may show. rediss:// means TLS.
    database_url: DatabaseUrl = Field(repr=False)
    """`mysql://user:password@host:port/database`."""
    redis_url: Annotated[str, Field(pattern=r"^(rediss?|unix)://")] = Field(repr=False)
    """`redis://`, `rediss://` (TLS) or `unix://`: the primary, with `maxmemory-policy
    noeviction`."""
    signing_key_file: SecretFile
    """PEM, PKCS 8, Ed25519: signs the tokens that services get. `python -m edge jwks` prints its
    public half for their AUTH_JWKS and Envoy's."""
    sealing_key_file: SecretFile
    """64 hex digits (`openssl rand -hex 32`): seals the secrets of signing keys."""
    limits_file: Annotated[Path, AfterValidator(_check_limits)]
    """TOML, see operations.md."""
    signature_window_s: int = Field(ge=1, le=900)
    """How far a signed request's time may be from now, on either side. Too long a default nobody
    would notice."""
    issuer: Annotated[str, Field(min_length=1, max_length=255)]
    """Of the tokens that services get."""
    audience: Annotated[str, Field(min_length=1, max_length=255)]
    """Of the tokens that services get."""
    rate_limit_on_failure: Literal["allow", "deny"] = "allow"
    """What becomes of calls while Redis does not answer: `allow` lets them pass uncounted, `deny`
    answers 429. Redis has 0.5 s to answer. When it doesn't, one call a second asks it, and all
    others are decided at once. What becomes of calls while edge itself is away says
    FRONT_RATE_LIMIT_ON_FAILURE."""
    max_keys: int = Field(default=10_000, ge=1, le=1_000_000)
    """Keys that are not revoked; beyond it KEY_LIMIT."""
    allow_weak_durability: bool = False
    """Serve from a database that may lose what it acknowledged."""
    log_level: LogLevel = "INFO"
    """What is logged at least."""


def load() -> Settings:
    """Read the environment. Raise ``SettingsError``."""
    return settings.load(Settings)
