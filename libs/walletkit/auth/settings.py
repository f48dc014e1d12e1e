"""What an operator decides about callers and connections: the same variables in every service."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from walletkit.auth.sources import is_url
from walletkit.auth.verifier import Issuer, Verifier

MAX_NAMES = 16

Mode = Literal["required", "trusted"]


def _split(value: object) -> object:
    """Read `a,b`: pydantic-settings would want JSON for a tuple."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), Field(max_length=MAX_NAMES)]
"""Separated by commas."""


class AuthSettings(BaseSettings):
    """Who may call, and how the other services are called.

    Order matters: a field is checked against those above it.
    """

    model_config = SettingsConfigDict(use_attribute_docstrings=True)

    auth_mode: Mode = "required"
    """`required`: no call without credentials. `trusted`: a call without a token may do all, one
    with a token is held to it; only on loopback."""
    auth_issuer: Names = ()
    """Issuers of tokens (`iss`), separated by commas."""
    auth_jwks: Names = Field(default=(), validate_default=True)
    """In the same order the path or URL of each one's JWKS."""
    auth_audience: str = Field(default="guilder", min_length=1)
    """What `aud` of a token must name."""
    auth_internal_issuer: str = ""
    """The issuer of the suite's own services."""
    auth_internal_subjects: Names = Field(default=(), validate_default=True)
    """Subjects (`sub`) of it that are the suite's own services, separated by commas."""
    auth_token_file: Path | None = None
    """The token that this service shows to the others; read again when it changes."""

    tls_cert: Path | None = None
    """PEM: listen with TLS; shown to the others as well where _TLS_CA is set."""
    tls_key: Path | None = Field(default=None, validate_default=True)
    """PEM, of the certificate."""
    tls_client_ca: Path | None = None
    """Every caller needs a certificate of this authority, Envoy and probes too."""
    tls_internal_names: Names = ()
    """Names (DNS or URI) in callers' certificates that are the suite's own services."""
    tls_ca: Path | None = None
    """Call the others by TLS; their certificates are of this authority."""
    health_address: str | None = Field(default=None, pattern=r"^[^\s]+:[0-9]{1,5}$")
    """Where health alone is answered besides, in the clear, for probes that have no certificate
    (not the relay)."""

    @field_validator("auth_jwks")
    @classmethod
    def _check_issuers(cls, jwks: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        issuers = info.data.get("auth_issuer", ())
        if len(jwks) != len(issuers):
            raise ValueError(f"must name one JWKS for each of {len(issuers)} issuers")
        if not jwks and info.data.get("auth_mode") == "required":
            raise ValueError("missing: AUTH_MODE required needs AUTH_ISSUER and AUTH_JWKS")
        if len(set(issuers)) < len(issuers):
            raise ValueError("names an issuer twice")
        for place in jwks:
            if "://" in place and not is_url(place):
                raise ValueError("must be paths, or URLs that begin with https:// or http://")
        return jwks

    @field_validator("auth_internal_subjects")
    @classmethod
    def _check_subjects(cls, subjects: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        issuer = info.data.get("auth_internal_issuer", "")
        if bool(subjects) != bool(issuer):
            raise ValueError("needs AUTH_INTERNAL_ISSUER beside it, and the other way round")
        if issuer and issuer not in info.data.get("auth_issuer", ()):
            raise ValueError("AUTH_INTERNAL_ISSUER must be one of AUTH_ISSUER")
        return subjects

    @field_validator("tls_key")
    @classmethod
    def _check_pair(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (key is None) != (info.data.get("tls_cert") is None):
            raise ValueError("must be given together with TLS_CERT")
        return key

    @field_validator("tls_client_ca")
    @classmethod
    def _check_client_ca(cls, authority: Path | None, info: ValidationInfo) -> Path | None:
        if authority is not None and info.data.get("tls_cert") is None:
            raise ValueError("needs TLS_CERT and TLS_KEY beside it")
        return authority

    @field_validator("tls_internal_names")
    @classmethod
    def _check_names(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if names and info.data.get("tls_client_ca") is None:
            raise ValueError("needs TLS_CLIENT_CA beside it: else nobody shows a certificate")
        return names

    @field_validator("listen", check_fields=False)
    @classmethod
    def _check_listen(cls, listen: str, info: ValidationInfo) -> str:
        if info.data.get("auth_mode") == "trusted" and not _is_loopback(listen):
            raise ValueError("must be a loopback address while AUTH_MODE is trusted")
        return listen

    def verifier(self) -> Verifier:
        """Return what verifies the tokens of these issuers; it has yet to be started."""
        internal = frozenset(self.auth_internal_subjects)
        issuers = [
            Issuer(name, place, internal if name == self.auth_internal_issuer else frozenset())
            for name, place in zip(self.auth_issuer, self.auth_jwks, strict=True)
        ]
        return Verifier(issuers, self.auth_audience)


def _is_loopback(listen: str) -> bool:
    """Tell whether only this machine reaches an address; another name than localhost may not."""
    host = listen.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
