"""Seal the secrets of signing keys: they must be read again, and a copy of the table must not do.

AES-256-GCM, with the key's id bound in, so that a sealed secret is of no use in another row.
"""

import os
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from walletkit.settings import SettingsError

KEY_BYTES = 32
NONCE_BYTES = 12
_VERSION = b"\x01"


class UnsealError(RuntimeError):
    """A secret was sealed with another key, or for another row, or was changed."""


class Sealer:
    """Seals and unseals with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the sealing key: 64 hex digits. Raise ``SettingsError``."""
        try:
            key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise SettingsError(
                f"EDGE_SEALING_KEY_FILE: {path} must hold {2 * KEY_BYTES} hex digits"
            )
        return cls(key)

    def seal(self, key_id: bytes, secret: bytes) -> bytes:
        """Return what may be stored of a secret."""
        nonce = os.urandom(NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret, _VERSION + key_id)

    def unseal(self, key_id: bytes, sealed: bytes) -> bytes:
        """Return the secret. Raise ``UnsealError``."""
        version, nonce, content = sealed[:1], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, content, version + key_id)
        except (InvalidTag, ValueError) as error:
            raise UnsealError(f"the secret of key {key_id.hex()} can't be unsealed") from error
