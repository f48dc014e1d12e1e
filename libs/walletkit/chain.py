"""Hash a shard's records into a chain. Pure.

``hash(n) = SHA-256(hash(n-1) || SHA-256(payload))``. The genesis hash names the shard, so that
streams can't be swapped.
"""

import hashlib


def genesis_hash(shard: int) -> bytes:
    """Return the hash before the first record of a shard."""
    return hashlib.sha256(f"guilder shard {shard}".encode()).digest()


def next_hash(prev_hash: bytes, payload: bytes) -> bytes:
    """Return the hash of the record with ``payload`` that follows ``prev_hash``."""
    return hashlib.sha256(prev_hash + hashlib.sha256(payload).digest()).digest()
