"""Make, rotate and revoke keys. The secret of a change is known to its caller alone."""

import secrets
from dataclasses import dataclass, replace

from edge.access.keyring import Keyring
from edge.access.sealing import Sealer
from edge.domain.key import SECRET_BYTES, Credential, Holder, Key, Kind, hash_of
from edge.store.key_events import REVOKED, ROTATED, Cause
from edge.store.keys import Keys
from walletkit.errors import ServiceError
from walletkit.ids import new_id


@dataclass(frozen=True, slots=True)
class Wish:
    """The key that is asked for, checked."""

    kind: Kind
    holder: Holder
    expires_at_us: int


class Managing:
    """Changes keys. Other processes follow within the keyring's bound, this one at once."""

    def __init__(self, keys: Keys, keyring: Keyring, sealer: Sealer) -> None:
        self._keys = keys
        self._keyring = keyring
        self._sealer = sealer

    async def create(self, wish: Wish, cause: Cause) -> tuple[Key, Credential]:
        """Make a key. Raise KEY_LIMIT."""
        credential = _fresh(wish.kind, new_id(0))
        key = Key(
            key_id=credential.key_id,
            kind=wish.kind,
            holder=wish.holder,
            current=self._keepable(credential),
            created_at_us=cause.time_us,
            expires_at_us=wish.expires_at_us,
        )
        await self._keys.create(key, cause)
        return key, credential

    async def rotate(self, key_id: bytes, overlap_s: int, cause: Cause) -> tuple[Key, Credential]:
        """Give a key a new secret. Raise KEY_NOT_FOUND, KEY_REVOKED."""
        made: list[Credential] = []

        def decide(key: Key) -> Key:
            if key.revoked_at_us:
                raise ServiceError("KEY_REVOKED", "the key was revoked")
            made.append(_fresh(key.kind, key_id))
            return replace(
                key,
                current=self._keepable(made[-1]),
                previous=key.current if overlap_s else b"",
                previous_until_us=cause.time_us + overlap_s * 1_000_000 if overlap_s else 0,
            )

        key = await self._keys.change(key_id, ROTATED, decide, cause)
        self._keyring.forget(key_id)
        return key, made[-1]

    async def revoke(self, key_id: bytes, cause: Cause) -> Key:
        """End a key; one that has ended stays as it is. Raise KEY_NOT_FOUND."""

        def decide(key: Key) -> Key:
            return key if key.revoked_at_us else replace(key, revoked_at_us=cause.time_us)

        key = await self._keys.change(key_id, REVOKED, decide, cause)
        self._keyring.forget(key_id)
        return key

    def _keepable(self, credential: Credential) -> bytes:
        """Return what is kept of a secret: its hash, or where it must be read again it, sealed."""
        if credential.kind is Kind.BEARER:
            return hash_of(credential.secret)
        return self._sealer.seal(credential.key_id, credential.secret)


def _fresh(kind: Kind, key_id: bytes) -> Credential:
    return Credential(kind, key_id, secrets.token_bytes(SECRET_BYTES))
