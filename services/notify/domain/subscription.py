"""Who is told what: filters and subscriptions. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from notify.domain.events import Event

MAX_WALLETS = 1_000
MAX_KEY_LENGTH = 128
MAX_SOUGHT = 32
"""How many wallets are sought in a record's bytes at most.

With more of them it is cheaper to read the record.
"""
_FINGERPRINT_VERSION = b"\x01"


@dataclass(frozen=True, slots=True)
class Filter:
    """Event types and wallets; an empty set means all of them."""

    event_types: frozenset[str]
    wallet_ids: frozenset[bytes]

    def takes(self, event: Event) -> bool:
        """Tell whether an event passes."""
        if self.event_types and event.type not in self.event_types:
            return False
        return not self.wallet_ids or event.wallet_id in self.wallet_ids

    def may_touch(self, content: bytes) -> bool:
        """Tell, by its bytes alone, whether a record can hold an event that passes.

        It is far cheaper than to read the record.
        """
        wallets = self.wallet_ids
        if not wallets or len(wallets) > MAX_SOUGHT:
            return True
        return any(wallet in content for wallet in wallets)


@dataclass(frozen=True, slots=True)
class Subscription:
    """An endpoint and what it wants.

    ``starts`` is the last record before it, for each shard (none: 0).
    """

    subscription_id: bytes
    url: str
    filter: Filter
    secret: str
    starts: Mapping[int, int]
    created_at_us: int

    def start(self, shard: int) -> int:
        """Return the last record of a shard that it is not told of."""
        return self.starts.get(shard, 0)


def fingerprint(url: str, wanted: Filter) -> bytes:
    """Return version byte and hash of what was asked for: the same key must ask for the same."""
    digest = hashlib.sha256()
    # Lengths first, so that no two requests encode alike.
    for part in (url.encode(), *(name.encode() for name in sorted(wanted.event_types))):
        digest.update(len(part).to_bytes(4, "big") + part)
    digest.update(b"\xff" + b"".join(sorted(wanted.wallet_ids)))
    return _FINGERPRINT_VERSION + digest.digest()


def key_hash(client: bytes, key: str) -> bytes:
    """Return the hash of a key in its scope: the credential of who calls, empty where all trust.

    Neither part can hold the byte between them.
    """
    return hashlib.sha256(client + b"\0" + key.encode()).digest()


def is_key(text: str) -> bool:
    """Tell whether a text is an idempotency key: 1 to 128 printable ASCII characters."""
    return 0 < len(text) <= MAX_KEY_LENGTH and all(" " <= letter <= "~" for letter in text)
