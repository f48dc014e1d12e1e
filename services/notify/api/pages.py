"""Page tokens: opaque, and bound to their query."""

import base64
import binascii
import hashlib

from walletkit.errors import invalid_field

DEFAULT_SIZE = 50
MAX_SIZE = 1_000
_BOUND = 8
_ID = 16


def size_of(page_size: int) -> int:
    """Return the number of items of a page. Raise INVALID_FIELD."""
    if not 0 <= page_size <= MAX_SIZE:
        raise invalid_field("page_size", page_size, f"must be from 0 to {MAX_SIZE}")
    return page_size or DEFAULT_SIZE


def token_of(query: str, last: bytes) -> str:
    """Write the token that goes on behind an id."""
    return base64.urlsafe_b64encode(_bound(query) + last).decode().rstrip("=")


def read_token(query: str, token: str, first: bytes) -> bytes:
    """Return the id that a page begins behind; ``first`` without a token. Raise INVALID_FIELD."""
    if not token:
        return first
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if len(content) != _BOUND + _ID or not content.startswith(_bound(query)):
        raise invalid_field("page_token", token, "must be the next_page_token of the same query")
    return content[_BOUND:]


def _bound(query: str) -> bytes:
    return hashlib.sha256(query.encode()).digest()[:_BOUND]
