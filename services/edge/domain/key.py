"""What an API key is, when it is valid, and which secrets are its own. Pure."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum

from walletkit.principal import Role

SECRET_BYTES = 32
"""Of randomness in a secret: nobody guesses 256 bits, at whatever speed."""
MAX_OVERLAP_S = 30 * 86_400
MAX_REASON_LENGTH = 256
CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Also the form of an account's id."""
_CREDENTIAL = re.compile(r"(gk|gs)_([0-9a-f]{32})_([0-9a-f]{64})")


class Kind(StrEnum):
    """How a key is used."""

    BEARER = "bearer"
    """Sent with each call. Kept as the hash of its secret."""
    SIGNING = "signing"
    """Never sent, signs each call. Kept sealed: to verify, the secret itself is needed."""


_PREFIXES = {Kind.BEARER: "gk", Kind.SIGNING: "gs"}


class State(StrEnum):
    """Whether a key is valid."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Holder:
    """On whose behalf a key calls."""

    client_id: str
    roles: frozenset[Role]
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept; a time of 0 means never.

    ``current`` and ``previous`` are hashes or sealed secrets, by its kind; ``previous`` is empty
    where there is none.
    """

    key_id: bytes
    kind: Kind
    holder: Holder
    current: bytes
    created_at_us: int
    previous: bytes = b""
    previous_until_us: int = 0
    expires_at_us: int = 0
    revoked_at_us: int = 0
    last_used_at_us: int = 0

    def state(self, now_us: int) -> State:
        """Tell whether it is valid."""
        if self.revoked_at_us:
            return State.REVOKED
        if self.expires_at_us and now_us >= self.expires_at_us:
            return State.EXPIRED
        return State.ACTIVE

    def kept(self, now_us: int) -> tuple[bytes, ...]:
        """Return what is kept of each secret that is valid: two while a rotation overlaps."""
        if self.previous and now_us < self.previous_until_us:
            return self.current, self.previous
        return (self.current,)


@dataclass(frozen=True, slots=True)
class Credential:
    """What a client holds."""

    kind: Kind
    key_id: bytes
    secret: bytes

    def __str__(self) -> str:
        """Write it as the client gets it."""
        return f"{_PREFIXES[self.kind]}_{self.key_id.hex()}_{self.secret.hex()}"

    def __repr__(self) -> str:
        """Leave the secret out of whatever shows values."""
        return f"Credential({self.kind}, {self.key_id.hex()})"


def read_bearer(text: str) -> Credential | None:
    """Read the credential of a bearer key; None for anything else."""
    found = _CREDENTIAL.fullmatch(text)
    if found is None or found[1] != _PREFIXES[Kind.BEARER]:
        return None
    return Credential(Kind.BEARER, bytes.fromhex(found[2]), bytes.fromhex(found[3]))


def hash_of(secret: bytes) -> bytes:
    """Hash a bearer key's secret for keeping.

    A slow hash makes up for passwords that people choose. 256 random bits need none, and one would
    be a way to keep edge busy.
    """
    return hashlib.sha256(secret).digest()


def is_secret_of(key: Key | None, secret: bytes, now_us: int) -> bool:
    """Tell whether a secret is a bearer key's, in equal time whatever it is; no key: False."""
    digest = hash_of(secret)
    known = key is not None and key.kind is Kind.BEARER
    kept = key.kept(now_us) if known and key is not None else (_NOBODYS,)
    # A list, so that all are compared: `any` would stop at the first.
    same = [hmac.compare_digest(digest, one) for one in kept]
    return known and any(same)


_NOBODYS = bytes(SECRET_BYTES)
