"""Issue the tokens by which services know the holder of a key: short-lived, signed with Ed25519."""

from collections import OrderedDict
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge.domain.key import Key
from walletkit.ids import format_id
from walletkit.jwk import ALGORITHM, public_jwk
from walletkit.principal import KEY_PREFIX
from walletkit.settings import SettingsError

TOKEN_S = 60
"""How long a token is valid."""
REUSE_S = 38
"""How long it is handed out again. Envoy may use it for 2 s more; what is left after that is for
the call itself."""
MAX_TOKENS = 10_000


class SigningKey:
    """An Ed25519 key, and the JWKS of its public half."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._jwk = public_jwk(private.public_key())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a key of a PEM file, PKCS 8. Raise ``SettingsError``."""
        try:
            private = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError):
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            raise SettingsError(f"EDGE_SIGNING_KEY_FILE: {path} must hold an Ed25519 key as PEM")
        return cls(private)

    def jwks(self) -> dict[str, Any]:
        """Return what services check tokens with."""
        return {"keys": [self._jwk]}

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a signed token."""
        return jwt.encode(
            claims, self._private, algorithm=ALGORITHM, headers={"kid": self._jwk["kid"]}
        )


class Issuer:
    """Gives each key a token, the same one while it is fresh."""

    def __init__(self, key: SigningKey, issuer: str, audience: str) -> None:
        self._key = key
        self._issuer = issuer
        self._audience = audience
        self._tokens: OrderedDict[bytes, tuple[str, int]] = OrderedDict()

    def token(self, key: Key, now_us: int) -> str:
        """Return a token for a key's holder; it never outlives the key.

        The time of a token is whole seconds, so one of a key that ends within this second is
        refused by the services.
        """
        now_s = now_us // 1_000_000
        found = self._tokens.get(key.key_id)
        if found is not None and now_s < found[1]:
            return found[0]
        ends_s = now_s + TOKEN_S
        if key.expires_at_us:
            ends_s = min(ends_s, key.expires_at_us // 1_000_000)
        token = self._key.sign(self._claims(key, now_s, ends_s))
        self._tokens[key.key_id] = (token, min(now_s + REUSE_S, ends_s))
        self._tokens.move_to_end(key.key_id)
        if len(self._tokens) > MAX_TOKENS:
            self._tokens.popitem(last=False)
        return token

    def _claims(self, key: Key, now_s: int, ends_s: int) -> dict[str, Any]:
        holder = key.holder
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            # All keys of a client are one caller to idempotency keys and limits; the log tells
            # them apart.
            "sub": KEY_PREFIX + holder.client_id,
            "key_id": format_id(key.key_id),
            "roles": sorted(role.value for role in holder.roles),
            "iat": now_s,
            "exp": ends_s,
        }
        if holder.account_id:
            claims["account_id"] = holder.account_id
        return claims
