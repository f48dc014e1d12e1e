"""Write the public half of an Ed25519 key as a JWK: what verifies its signatures. Pure."""

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ALGORITHM = "EdDSA"


def public_jwk(key: Ed25519PublicKey) -> dict[str, str]:
    """Return the JWK; its id is the key's thumbprint (RFC 7638), so no two keys share one."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": _encoded(key.public_bytes_raw())}
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    kid = _encoded(hashlib.sha256(canonical).digest())
    return {**members, "kid": kid, "alg": ALGORITHM, "use": "sig"}


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
