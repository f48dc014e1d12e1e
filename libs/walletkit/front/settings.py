"""Settings of the front door, from the environment (prefix FRONT_) into one frozen object."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode

from walletkit import settings
from walletkit.settings import Address, strict

PREFIX = "FRONT_"
ISSUER = "https://guilder.local"
AUDIENCE = "guilder"
_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "application/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".yaml": "application/yaml",
}


class Document(NamedTuple):
    """A file that everybody may read, and the path that it answers."""

    path: str
    file: Path

    @property
    def content_type(self) -> str:
        """Return the media type by the file's name; one that is not known is refused."""
        kind = _CONTENT_TYPES.get(self.file.suffix)
        if kind is None:
            raise ValueError(f"{self.file}: must end in one of {', '.join(_CONTENT_TYPES)}")
        return kind


def _split(value: object) -> object:
    """Read `a,b`: pydantic-settings would want JSON for a tuple."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _loopback(address: str) -> str:
    """Refuse an admin interface that others could reach: it can stop Envoy and shows its keys."""
    if address.startswith("unix:"):
        return address
    host, _, port = address.rpartition(":")
    if port.isdecimal() and host and ipaddress.ip_address(host).is_loopback:
        return address
    raise ValueError("must be unix:<path>, or a loopback address and a port")


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Origin = Annotated[str, Field(pattern=r"^https?://[^/*\s]+$")]


class FrontSettings(BaseSettings):
    """What an operator decides about the front door."""

    model_config = strict(PREFIX)

    listen: Address = "0.0.0.0:8080"
    """Where clients come."""
    admin: Annotated[str, AfterValidator(_loopback)] = "127.0.0.1:9901"
    """The admin interface: a loopback address, or `unix:<path>` (mode 600)."""
    metrics_address: Address | None = None
    """Where Prometheus asks, `GET /metrics`; nowhere unless it is set."""
    descriptors: Path
    """The descriptor set of the contracts: `gen/guilder.binpb`."""
    wallet_address: Address
    """The wallet; a name stands for all its addresses."""
    ledger_address: Address
    """The ledger."""
    notify_address: Address
    """Notify."""

    auth_jwks: str
    """Path or URL of the issuer's public keys."""
    auth_issuer: str = ISSUER
    """The issuer (`iss`) of clients' tokens."""
    auth_audience: str = AUDIENCE
    """What `aud` of a token must name."""

    tls_cert: Path | None = None
    """TLS 1.2 and later with it, HTTP/1.1 and HTTP/2 by ALPN."""
    tls_key: Path | None = None
    """Of the certificate."""

    edge_address: Address | None = None
    """Switches on API keys, signatures and rate limits, with the next two."""
    edge_jwks: str = ""
    """Path or URL of the keys of edge's tokens."""
    edge_issuer: str = ""
    """Issuer of edge's tokens."""
    rate_limit_on_failure: Literal["allow", "deny"] = "allow"
    """What becomes of calls while the edge is away, and gives no tokens for them."""

    upstream_ca: Path | None = None
    """Services and edge are called by TLS with this authority."""
    upstream_cert: Path | None = None
    """Shown to them."""
    upstream_key: Path | None = None
    """Of that certificate."""

    local_rate: NonNegativeInt = 20_000
    """Calls a second that get in here; 0: no limit."""
    local_burst: PositiveInt = 40_000
    """Calls at once."""
    local_credential_rate: NonNegativeInt = 2_000
    """Of these, those with a signature, or an API key that is not known here: they cost edge work
    before it knows them."""
    local_credential_burst: PositiveInt = 4_000
    """Of those, at once."""

    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split)] = ()
    """Origins of browsers, as in `https://app.example`, separated by commas."""
    trusted_hops: int = Field(default=0, ge=0, le=10)
    """Proxies in front whose word of a client's address is taken."""
    max_body_bytes: int = Field(default=8 * 2**20, ge=1_024, le=16 * 2**20)
    """Of a request."""
    max_signed_body_bytes: int = Field(default=2**20, ge=1_024, le=16 * 2**20)
    """Of a body that is kept until its signature was checked."""
    max_connections: PositiveInt = 10_000
    """Of clients, at once."""
    trace_address: Address | None = None
    """Collector of spans (OTLP over gRPC, without TLS: one beside this Envoy); nobody is told
    unless it is set."""
    trace_ratio: float = Field(default=0.01, ge=0, le=1)
    """Share of the calls that is followed, from here to the webhook."""
    trace_callers: bool = False
    """Take callers' own `traceparent`, and follow what they want followed."""
    documents_dir: Path | None = None
    """A folder with `openapi.json` and `docs/`, which anyone may read."""
    access_log: str = "/dev/stdout"
    """Where each call is logged."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        if (self.upstream_cert is None) != (self.upstream_key is None):
            raise ValueError("upstream_cert and upstream_key go together")
        if self.upstream_cert is not None and self.upstream_ca is None:
            raise ValueError("upstream_cert needs upstream_ca beside it")
        if len({self.edge_address is None, not self.edge_jwks, not self.edge_issuer}) > 1:
            raise ValueError("edge_address, edge_jwks and edge_issuer go together")
        return self


def load() -> FrontSettings:
    """Read the environment. Raise ``SettingsError``."""
    return settings.load(FrontSettings)


def documents_of(folder: Path | None) -> tuple[Document, ...]:
    """List what a folder has for everybody: ``openapi.json``, and what is below ``docs/``.

    ``docs/index.html`` answers ``/docs`` and ``/docs/`` too. Raise ``ValueError`` for any other
    file: what lies in there is public, so nothing may get there by mistake.
    """
    if folder is None:
        return ()
    found: list[Document] = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        path = f"/{file.relative_to(folder).as_posix()}"
        if path != "/openapi.json" and not path.startswith("/docs/"):
            raise ValueError(f"{file}: only openapi.json and docs/ are for everybody")
        found.append(Document(path, file))
        if path == "/docs/index.html":
            found += [Document("/docs", file), Document("/docs/", file)]
    return tuple(found)
