"""Make page tokens that only fit the query they came from. Pure.

A token is opaque: a digest of the query, and the version from which the next page goes on
downwards.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable

from walletkit.errors import invalid_field

_DIGEST_BYTES = 12
_FORM = struct.Struct(f">{_DIGEST_BYTES}sQI")


def digest(parts: Iterable[object]) -> bytes:
    """Return what names a query.

    Everything that decides which rows it has, but not how many on a page.
    """
    text = "\0".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).digest()[:_DIGEST_BYTES]


def write(query: bytes, version: int, day: int) -> str:
    """Return the token for the page that begins at ``version`` or below, on ``day`` or before."""
    packed = _FORM.pack(query, version, day)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read(token: str, query: bytes) -> tuple[int, int]:
    """Return version and day.

    Raise ``ServiceError`` (INVALID_FIELD) for a token of another query, or none of ours.
    """
    try:
        packed = base64.b64decode(f"{token}{'=' * (-len(token) % 4)}", b"-_", validate=True)
        of_query, version, day = _FORM.unpack(packed)
    except (binascii.Error, struct.error, ValueError) as error:
        raise invalid_field("page_token", token, "the next_page_token of a page before") from error
    if of_query != query:
        raise invalid_field("page_token", token, "a token of the same query")
    return version, day
