"""Name a key and a request, so that a repeated call is known again and a changed one is refused.

Scope = (client, scope wallet or account). The fingerprint covers the resolved command in an
encoding of our own, never protobuf's bytes, which may differ between two equal requests.
"""

import hashlib
import struct

FINGERPRINT_VERSION = b"\x01"
"""First byte of a fingerprint.

Names the encoding below, so that it can change while old keys live.
"""

_LENGTH = struct.Struct(">I")
_TRANSFER = struct.Struct(">cB16s16s12sqq")
KEY_HASH_BYTES = 16


def key_hash(client: bytes, scope: bytes, key: str) -> bytes:
    """Return 16 bytes of SHA-256 over client, scope and key, each with its length before it."""
    parts = (client, scope, key.encode())
    return hashlib.sha256(_join(parts)).digest()[:KEY_HASH_BYTES]


def transfer_fingerprint(  # the fields of the command that a caller chooses, one for one
    type_: int,
    source: bytes,
    destination: bytes,
    currency: str,
    amount: int,
    expected_version: int,
    reference: bytes,
    opaque: bytes,
) -> bytes:
    """Return the fingerprint of a transfer, deposit or withdrawal."""
    fixed = _TRANSFER.pack(
        b"T", type_, source, destination, currency.encode(), amount, expected_version
    )
    digest = hashlib.sha256(fixed + _LENGTH.pack(len(reference)) + reference + opaque).digest()
    return FINGERPRINT_VERSION + digest


def create_fingerprint(account_id: str, currency: str, opaque: bytes) -> bytes:
    """Return the fingerprint of a wallet's creation."""
    parts = (b"W", account_id.encode(), currency.encode(), opaque)
    return FINGERPRINT_VERSION + hashlib.sha256(_join(parts)).digest()


def status_fingerprint(kind: int, wallet_id: bytes) -> bytes:
    """Return the fingerprint of a change of status."""
    return FINGERPRINT_VERSION + hashlib.sha256(_join((b"S", bytes((kind,)), wallet_id))).digest()


def _join(parts: tuple[bytes, ...]) -> bytes:
    return b"".join([_LENGTH.pack(len(part)) + part for part in parts])
