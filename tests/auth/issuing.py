"""An issuer of a test's own: keys of each kind, a JWKS, and tokens that say what a test wants."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.api_jws import PyJWS

from walletkit.auth.verifier import Issuer, Verifier

ISSUER = "https://issuer.test"
AUDIENCE = "guilder"

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def new_key(algorithm: str) -> Key:
    """Generate a key."""
    if algorithm == "RS256":
        return rsa.generate_private_key(65_537, 2_048)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def jwk(key: Key, kid: str, **more: object) -> dict[str, Any]:
    """Write the public half of a key."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        found = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        found = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        found = OKPAlgorithm.to_jwk(public, as_dict=True)
    return {**found, "kid": kid, **more}


def jwks(*keys: Mapping[str, object]) -> bytes:
    """Write a set of keys."""
    return json.dumps({"keys": list(keys)}).encode()


def claims(*roles: str, **changes: object) -> dict[str, Any]:
    """Write what a good token says, with changes; None takes a claim out."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "tester",
        "roles": list(roles or ("operator",)),
        "exp": now + 600,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


class Signer:
    """One key with its id."""

    def __init__(self, algorithm: str = "EdDSA", kid: str = "k1") -> None:
        """Generate the key."""
        self.algorithm = algorithm
        self.kid = kid
        self.key = new_key(algorithm)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half."""
        return jwk(self.key, self.kid)

    def sign(self, said: Mapping[str, Any], **headers: Any) -> str:  # noqa: ANN401  # any JSON
        """Sign claims."""
        payload = json.dumps(said).encode()
        head = {"kid": self.kid, **headers}
        return PyJWS().encode(payload, self.key, self.algorithm, headers=head)

    def token(self, *roles: str, **changes: object) -> str:
        """Sign a good token."""
        return self.sign(claims(*roles, **changes))


def write(folder: Path, *keys: Mapping[str, object]) -> Path:
    """Write a JWKS file."""
    path = folder / "jwks.json"
    path.write_bytes(jwks(*keys))
    return path


async def verifier_of(path: Path, *internal: str, **more: Any) -> Verifier:  # noqa: ANN401
    """Start a verifier of one issuer, by its file."""
    verifier = Verifier([Issuer(ISSUER, str(path), frozenset(internal))], AUDIENCE, **more)
    await verifier.start()
    return verifier
