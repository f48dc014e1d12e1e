"""Pages of lists: their size, and tokens that are opaque and bound to their query."""

import base64
import binascii
import hashlib

from walletkit.errors import ServiceError, invalid_field

DEFAULT_SIZE = 50
MAX_SIZE = 1_000
_DIGEST_BYTES = 12


def size_of(page_size: int) -> int:
    """Return the number of items of a page; 0 means the default. Raise INVALID_FIELD."""
    if not 0 <= page_size <= MAX_SIZE:
        raise invalid_field("page_size", page_size, f"must be from 0 to {MAX_SIZE}")
    return page_size or DEFAULT_SIZE


def token_of(query: bytes, place: bytes) -> str:
    """Return the token for the page of ``query`` that goes on at ``place``.

    ``query`` names all that decides which items there are, but not how many on a page.
    """
    return base64.urlsafe_b64encode(_digest(query) + place).decode().rstrip("=")


def place_of(query: bytes, token: str, first: bytes) -> bytes:
    """Return the place in a token; without one ``first``, which is as long as any place.

    Raise INVALID_FIELD when the token is not one of this query.
    """
    if not token:
        return first
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _malformed(token) from None
    if len(raw) != _DIGEST_BYTES + len(first) or not raw.startswith(_digest(query)):
        raise _malformed(token)
    return raw[_DIGEST_BYTES:]


def _digest(query: bytes) -> bytes:
    return hashlib.sha256(query).digest()[:_DIGEST_BYTES]


def _malformed(token: str) -> ServiceError:
    rule = "must be the next_page_token of the same query, unchanged"
    return invalid_field("page_token", token, rule)
