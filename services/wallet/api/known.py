"""What this process has read of facts that never change: names, holds, originals. No I/O.

A parser finds here what it needs to turn a request into a command; what is missing, ``names.py``
reads from its shard. Nothing of that can be stale, so it never expires. That a name is
nobody's is believed for a moment only.
"""

import time
from typing import Generic, NamedTuple, TypeVar

from wallet.domain.commands import Line
from wallet.domain.kinds import TransactionType
from wallet.domain.outcome import Hold
from wallet.store.queries import HoldFacts

MAX_NAMES = 100_000
MAX_HOLDS = 100_000
MAX_OWNERS = 100_000
MAX_ORIGINALS = 10_000
"""Fewer, because one of several postings has up to a hundred of them."""
MISS_TTL_S = 1.0
"""How long a name that nobody has is not asked for again."""
MAX_MISSES = 10_000

Key = TypeVar("Key")
Value = TypeVar("Value")


class Bounded(dict[Key, Value], Generic[Key, Value]):
    """A dict that forgets its oldest entry when it is full."""

    def __init__(self, most: int) -> None:
        """Take how many entries there may be."""
        super().__init__()
        self._most = most

    def keep(self, key: Key, value: Value) -> None:
        """Add an entry."""
        if len(self) >= self._most and key not in self:
            del self[next(iter(self))]
        self[key] = value


class Misses:
    """Names that were just found to be nobody's."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        """Begin with none."""
        self._until: Bounded[str, float] = Bounded(MAX_MISSES)

    def note(self, name: str) -> None:
        """Note that nobody has a name."""
        self._until.keep(name, time.monotonic() + MISS_TTL_S)

    def has(self, name: str) -> bool:
        """Tell whether a name was just found to be nobody's."""
        return self._until.get(name, 0.0) > time.monotonic()


class Original(NamedTuple):
    """What never changes of a transaction that is to be reversed."""

    type: TransactionType
    source: bytes
    """NIL for `world`."""
    destination: bytes
    """NIL for `world`."""
    currency: str
    amount: int
    reference: bytes
    family: bytes
    """Where its family begins: itself where it has no parent."""
    lines: tuple[Line, ...]
    """Of several postings, system wallets by their kind alone."""
    remote: bool
    """Whether its destination lies on another shard than its home."""


class Known:
    """The facts that were read so far."""

    __slots__ = ("aliases", "holds", "missed_aliases", "missed_currencies", "originals", "owners")

    def __init__(self) -> None:
        """Begin with nothing known."""
        self.aliases: Bounded[str, bytes] = Bounded(MAX_NAMES)
        self.holds: Bounded[bytes, HoldFacts] = Bounded(MAX_HOLDS)
        self.originals: Bounded[bytes, Original] = Bounded(MAX_ORIGINALS)
        self.owners: Bounded[bytes, str] = Bounded(MAX_OWNERS)
        # Each its own: who asks for many of one sort must not push out the other.
        self.missed_aliases = Misses()
        self.missed_currencies = Misses()

    def keep_hold(self, hold: Hold) -> None:
        """Note what never changes of a hold."""
        facts = HoldFacts(hold.wallet_id, hold.currency, hold.destination, hold.reference)
        self.holds.keep(hold.hold_id, facts)
