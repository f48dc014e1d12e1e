"""Remember nonces: each is taken once, whichever process is asked."""

from edge.counters.connection import Client, guarded


class Nonces:
    """Nonces by key, on the primary alone: a replica could lag behind, and let a replay through."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    async def take(self, key_id: bytes, nonce: str, retention_ms: int) -> bool:
        """Take a nonce; False when it was taken before. Raise ``CountersDownError``.

        One command, so that of two at once only one gets it.
        """
        name = f"edge:nonce:{key_id.hex()}:{nonce}"
        with guarded():
            return bool(await self._redis.set(name, b"", nx=True, px=retention_ms))
