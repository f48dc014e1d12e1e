"""Read and verify signed requests. Pure: the caller brings clock and secrets.

A request is signed as HMAC-SHA256 of a text that begins with the scheme's version and has a line
for each part. No part can hold a line's end, so no two requests have the same text:

    GUILDER-HMAC-SHA256-V1
    <method>
    <path with query, as sent>
    <SHA-256 of the body's bytes, hex>
    <Idempotency-Key, or nothing>
    <timestamp: seconds since 1970>
    <nonce>
    <key id>

The idempotency key is in it, since who could change it could make a client's retry pay twice.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

VERSION = "GUILDER-HMAC-SHA256-V1"
KEY_ID_HEADER = "x-signature-key-id"
TIMESTAMP_HEADER = "x-signature-timestamp"
NONCE_HEADER = "x-signature-nonce"
SIGNATURE_HEADER = "x-signature"
HEADERS = (KEY_ID_HEADER, TIMESTAMP_HEADER, NONCE_HEADER, SIGNATURE_HEADER)
IDEMPOTENCY_HEADER = "idempotency-key"

CLOCK_MARGIN_S = 5
"""By how much the clocks of edge's processes may differ without a nonce being forgotten early."""
_FORMS = {
    KEY_ID_HEADER: (re.compile(r"[0-9a-f]{32}"), "32 lower-case hex digits"),
    # Digits alone: `int` would take signs, spaces, underscores and other alphabets' digits.
    TIMESTAMP_HEADER: (re.compile(r"[0-9]{1,12}"), "1 to 12 digits, seconds since 1970"),
    NONCE_HEADER: (re.compile(r"[A-Za-z0-9_-]{16,64}"), "16 to 64 of A-Z, a-z, 0-9, _ and -"),
    SIGNATURE_HEADER: (re.compile(r"[0-9a-f]{64}"), "64 lower-case hex digits"),
}
_NOBODYS = bytes(32)


class MalformedError(ValueError):
    """A header is missing or not of its form; the message names it and the rule."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signed request says about itself, well-formed."""

    key_id: bytes
    timestamp_s: int
    nonce: str
    signature: bytes
    text: bytes
    """What is signed."""


def is_signed(headers: Mapping[str, str]) -> bool:
    """Tell whether a request means to be signed: one of the headers is enough."""
    return any(name in headers for name in HEADERS)


def read(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Signed:
    """Read the headers. Raise ``MalformedError``: a part that is left out is never passed by."""
    found = {}
    for name, (form, rule) in _FORMS.items():
        value = headers.get(name, "")
        if form.fullmatch(value) is None:
            message = f"{name}: must be {rule}"
            raise MalformedError(message)
        found[name] = value
    parts = (
        VERSION,
        method,
        path,
        hashlib.sha256(body).hexdigest(),
        headers.get(IDEMPOTENCY_HEADER, ""),
        found[TIMESTAMP_HEADER],
        found[NONCE_HEADER],
        found[KEY_ID_HEADER],
    )
    if any("\n" in part for part in parts):
        message = "method, path and idempotency-key: must have no line end"
        raise MalformedError(message)
    return Signed(
        key_id=bytes.fromhex(found[KEY_ID_HEADER]),
        timestamp_s=int(found[TIMESTAMP_HEADER]),
        nonce=found[NONCE_HEADER],
        signature=bytes.fromhex(found[SIGNATURE_HEADER]),
        text="\n".join(parts).encode(),
    )


def sign(secret: bytes, text: bytes) -> bytes:
    """Sign a request's text."""
    return hmac.digest(secret, text, "sha256")


def is_valid(signed: Signed, secrets: Sequence[bytes]) -> bool:
    """Tell whether one of a key's secrets signed it, in equal time; without secrets: False."""
    same = [
        hmac.compare_digest(sign(secret, signed.text), signed.signature)
        for secret in (secrets or (_NOBODYS,))
    ]
    return bool(secrets) and any(same)


def is_timely(signed: Signed, now_us: int, window_s: int) -> bool:
    """Tell whether it was signed within the window, on either side of now."""
    return abs(now_us - signed.timestamp_s * 1_000_000) <= window_s * 1_000_000


def retention_ms(window_s: int) -> int:
    """Return for how long a nonce is remembered.

    A request signed for the end of the window ahead is valid for two windows: so long at least.
    """
    return (2 * window_s + CLOCK_MARGIN_S) * 1_000
