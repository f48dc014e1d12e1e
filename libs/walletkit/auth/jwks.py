"""Read a JSON Web Key Set: which public keys an issuer signs with, and by which algorithm. Pure.

The algorithm follows from the key alone. A key that is symmetric, private, weak, without an id or
meant for something else is passed over.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

ALGORITHMS = ("RS256", "ES256", "EdDSA")
MAX_BYTES = 1024 * 1024
MAX_KEYS = 100
MIN_RSA_BITS = 2_048

_BY_KIND = {
    ("RSA", ""): "RS256",
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
}

Keys = Mapping[str, PyJWK]
"""By key id."""


class JwksError(ValueError):
    """This is no set of keys that could be used; the message says why."""


def parse(raw: bytes) -> Keys:
    """Return the usable keys. Raise ``JwksError``: a set without one is a mistake."""
    if len(raw) > MAX_BYTES:
        raise JwksError(f"longer than {MAX_BYTES} bytes")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise JwksError("not JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise JwksError(f"must have `keys`, a list of at most {MAX_KEYS}")
    keys: dict[str, PyJWK] = {}
    for one in listed:
        if isinstance(one, dict) and (key := _key(one)) is not None:
            keys.setdefault(one["kid"], key)
    if not keys:
        kinds = ", ".join(ALGORITHMS)
        raise JwksError(f"has no public key with a `kid` that is good for {kinds}")
    return MappingProxyType(keys)


def _key(found: dict[str, object]) -> PyJWK | None:
    kind = str(found.get("kty"))
    algorithm = _BY_KIND.get((kind, "" if kind == "RSA" else str(found.get("crv"))))
    if algorithm is None or not _is_meant(found, algorithm):
        return None
    try:
        key = PyJWK(found, algorithm)
    except (PyJWTError, ValueError, TypeError):
        return None
    weak = isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS
    return None if weak else key


def _is_meant(found: dict[str, object], algorithm: str) -> bool:
    """Tell whether it is a public key that verifies signatures by this algorithm."""
    kid, operations = found.get("kid"), found.get("key_ops", ["verify"])
    return (
        isinstance(kid, str)
        and bool(kid)
        and "d" not in found
        and found.get("alg", algorithm) == algorithm
        and found.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )
