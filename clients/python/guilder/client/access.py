"""How a client proves who it is, and how its channels are encrypted. Client room: reads files."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from walletkit.rpc.bearer import pair_of

API_KEY = "x-api-key"
"""The metadata that has an API key; Envoy shows it to edge, and takes it off."""

Token = str | Callable[[], str]
"""A token, or what gives the token of now: called for each call, so it keeps one and renews it."""

Pair = Callable[[], tuple[str, str]]
"""Gives the metadata that proves who calls."""

_BEARER_KEY = re.compile(r"gk_[0-9a-f]{32}_[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Tls:
    """Encrypt every channel; all files are PEM, and read when the client is made.

    The services' certificates must be valid for the names, or addresses, by which they are called.
    """

    ca: Path | None = None
    """Who signed the services' certificates; None: gRPC's own list of public authorities."""
    cert: Path | None = None
    """A certificate of this client's own, for services that want one."""
    key: Path | None = None
    """Its key, which stays here."""

    def __post_init__(self) -> None:
        """Refuse half a pair."""
        if (self.cert is None) != (self.key is None):
            raise ValueError("a certificate needs its key, and a key its certificate")

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files. Raise ``OSError`` for one that can't be read."""
        return grpc.ssl_channel_credentials(
            root_certificates=None if self.ca is None else self.ca.read_bytes(),
            private_key=None if self.key is None else self.key.read_bytes(),
            certificate_chain=None if self.cert is None else self.cert.read_bytes(),
        )


def pair_from(token: Token | None, api_key: str | None) -> Pair | None:
    """Return what gives a call's credential, of which there is one; None without any.

    Raise ``ValueError``, which shows neither, for both of them and for what can't be sent.
    """
    if token is not None and api_key is not None:
        raise ValueError("a call has one credential: give a token or an API key")
    if api_key is not None:
        return _key_pair(api_key)
    if token is None:
        return None
    if callable(token):
        renewed = token
        return lambda: pair_of(renewed())
    fixed = pair_of(token)
    return lambda: fixed


def _key_pair(api_key: str) -> Pair:
    if api_key.startswith("gs_"):
        raise ValueError("a signing key is never sent: give a bearer key, `gk_...`")
    if not _BEARER_KEY.fullmatch(api_key):
        raise ValueError("an API key is `gk_`, 32 hex digits, `_`, and 64 more")
    given = (API_KEY, api_key)
    return lambda: given
