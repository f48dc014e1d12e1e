"""A wallet as the journal has left it, and what can contradict it. Pure."""

from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from ledger.domain.record import Status


class Account(NamedTuple):
    """A wallet as the journal so far has left it.

    Minor units; ``debit`` and ``credit`` only ever grow.
    """

    shard: int
    currency: str
    account_id: str
    status: int
    posted: int
    version: int
    debit: int
    credit: int
    time_us: int
    """Time of its last entry. A wallet's entries never run backwards in time, whatever clocks
    do."""
    held: int
    overdraft_limit: int
    account_freeze: int

    @property
    def available(self) -> int:
        """What a customer can pay with; never below zero (I3)."""
        return self.posted - self.held + self.overdraft_limit


Accounts = Mapping[bytes, Account]


def fresh(shard: int, currency: str, account_id: str) -> Account:
    """Return an account without entries."""
    return Account(shard, currency, account_id, Status.ACTIVE, 0, 0, 0, 0, 0, 0, 0, 0)


class Mismatch(NamedTuple):
    """Something in a record that does not follow from the records before."""

    shard: int
    seq: int
    wallet_id: bytes
    tx_id: bytes
    what: str
    expected: str
    actual: str

    def sentence(self) -> str:
        """Say it to a person."""
        return f"{self.what}: expected {self.expected}, found {self.actual}"


class JournalMismatchError(Exception):
    """A record contradicts the journal; nothing of it may be kept."""

    def __init__(self, mismatch: Mismatch) -> None:
        super().__init__(mismatch.sentence())
        self.mismatch = mismatch


def refuse(mismatch: Mismatch) -> NoReturn:
    """Raise the mismatch: what ingest does with one."""
    raise JournalMismatchError(mismatch)
