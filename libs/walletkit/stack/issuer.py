"""The local suite's own issuer of tokens: a key and its JWKS in a folder. For development only."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from walletkit.jwk import public_jwk

NAME = "https://guilder.local"
AUDIENCE = "guilder"
FOLDER = "auth"
"""In the suite's run folder."""
DEFAULT_TTL_S = 3_600

_KEY_FILE = "key.pem"
_JWKS_FILE = "jwks.json"


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer: the folder has its private key, for this user's eyes only, and its JWKS."""

    folder: Path

    @property
    def jwks(self) -> Path:
        """The file of public keys: what services and Envoy are given."""
        return self.folder / _JWKS_FILE

    def sign(
        self,
        subject: str,
        roles: Sequence[str],
        *,
        account_id: str = "",
        ttl_s: int = DEFAULT_TTL_S,
    ) -> str:
        """Return a token for a client id with roles; ``account_id`` is a customer's."""
        key = _read(self.folder / _KEY_FILE)
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": NAME,
            "aud": AUDIENCE,
            "sub": subject,
            "roles": list(roles),
            "iat": now,
            "exp": now + ttl_s,
            "jti": str(uuid4()),
        }
        if account_id:
            claims["account_id"] = account_id
        headers = {"kid": public_jwk(key.public_key())["kid"]}
        return jwt.encode(claims, key, algorithm="EdDSA", headers=headers)


def made(run_dir: Path) -> Issuer:
    """Return the suite's issuer; key and JWKS are made when they are missing."""
    issuer = Issuer(run_dir / FOLDER)
    make_key(issuer.folder / _KEY_FILE, issuer.jwks)
    return issuer


def make_key(key_file: Path, jwks: Path) -> None:
    """Make a signing key, and the JWKS of its public half, where they are missing."""
    key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not key_file.exists():
        write(key_file, _pem(Ed25519PrivateKey.generate()), mode=0o600)
    if not jwks.exists():
        keys = {"keys": [public_jwk(_read(key_file).public_key())]}
        write(jwks, json.dumps(keys, indent=2).encode(), mode=0o644)


def write(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file whole, whoever else reads or makes it now: the last one stays."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    scratch.replace(path)


def _read(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{path}: not an Ed25519 key")
    return key


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
