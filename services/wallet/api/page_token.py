"""Page tokens: opaque, and bound to the query that they came from."""

import base64
import binascii
import hashlib

from walletkit.errors import ServiceError, invalid_field

_DIGEST_BYTES = 8


def write(query: bytes, place: bytes) -> str:
    """Return a token for the page of ``query`` that begins behind ``place``."""
    return base64.urlsafe_b64encode(_digest(query) + place).decode().rstrip("=")


def read(query: bytes, token: str) -> bytes:
    """Return the place in a token. Raise ``ServiceError`` when it is not one of this query."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise _malformed(token) from None
    if raw[:_DIGEST_BYTES] != _digest(query):
        raise _malformed(token)
    return raw[_DIGEST_BYTES:]


def _digest(query: bytes) -> bytes:
    return hashlib.sha256(query).digest()[:_DIGEST_BYTES]


def _malformed(token: str) -> ServiceError:
    rule = "must be the next_page_token of the same query, unchanged"
    return invalid_field("page_token", token, rule)
