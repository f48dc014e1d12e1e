"""What is known while a batch is decided, and what the batch changes.

The store fills a Batch under locks; deciders read and change it command by command; the store
writes ``changes`` in one packet. A decider that declines leaves everything as it was.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from wallet.domain.commands import (
    ChangeStatus,
    CreateWallet,
    Intent,
    LegResult,
    TransactionState,
    Transfer,
    WalletChangeKind,
    WalletStatus,
)
from wallet.domain.outcome import BalanceAfter, Posted, WalletFacts, WalletSet
from walletkit.errors import ServiceError
from walletkit.ids import SystemKind, system_wallet_id


@dataclass(slots=True)
class Balance:
    """A locked wallet, as the decisions so far have left it. Minor units."""

    currency: str
    posted: int
    held: int
    overdraft_limit: int
    status: WalletStatus
    version: int

    @property
    def available(self) -> int:
        """What can be spent."""
        return self.posted - self.held + self.overdraft_limit

    def after(self) -> BalanceAfter:
        """Return the balance of now as a value."""
        return BalanceAfter(self.posted, self.held, self.overdraft_limit, self.version)


class Counterparty(NamedTuple):
    """What a read shortly before tells of a wallet on another shard."""

    currency: str
    status: WalletStatus


class NoCounterparty(Enum):
    """Why nothing is known of a wallet on another shard."""

    UNKNOWN = "no such wallet"
    UNREACHABLE = "its shard does not answer"


class Kept(NamedTuple):
    """What the shard keeps of a key that was used before."""

    ref: bytes
    fingerprint: bytes
    outcome: bytes
    state: TransactionState | None
    """State of the transaction of now, where the key made one."""


class Decided(NamedTuple):
    """A key decided in this batch."""

    ref: bytes
    fingerprint: bytes
    outcome: Posted | WalletSet | ServiceError


class Posting(NamedTuple):
    """One movement of money on this shard.

    A side's version and balance are 0 for a system wallet.
    """

    source: bytes
    destination: bytes
    currency: str
    amount: int
    source_posted: int
    source_version: int
    destination_posted: int
    destination_version: int


class NewTransaction(NamedTuple):
    """A transaction that the batch makes."""

    command: Transfer
    state: TransactionState
    source: bytes
    """The wallet debited here: for a deposit `world`."""
    destination: bytes
    """The wallet meant: for a withdrawal `world`; on another shard where there is an intent."""
    posting: Posting
    intent: Intent | None


class NewLeg(NamedTuple):
    """A leg that lands in the batch."""

    intent: Intent
    slot: int
    result: LegResult
    postings: tuple[Posting, ...]
    returned: Intent | None


class ClosedIntent(NamedTuple):
    """An intent that the batch closes."""

    tx_id: bytes
    leg: int
    state: TransactionState | None


class WalletChange(NamedTuple):
    """A wallet created or changed in the batch."""

    kind: WalletChangeKind
    facts: WalletFacts
    slot: int
    version: int
    status: WalletStatus


class NewKey(NamedTuple):
    """A key that the batch decides."""

    command: Transfer | CreateWallet | ChangeStatus
    outcome: bytes
    """The decision, in the form that is kept."""


@dataclass(slots=True)
class Changes:
    """All that one batch writes."""

    transactions: list[NewTransaction] = field(default_factory=list)
    legs: list[NewLeg] = field(default_factory=list)
    closed: list[ClosedIntent] = field(default_factory=list)
    wallets: list[WalletChange] = field(default_factory=list)
    keys: list[NewKey] = field(default_factory=list)
    touched: dict[bytes, Balance] = field(default_factory=dict)
    system: dict[tuple[SystemKind, str], int] = field(default_factory=dict)

    def any(self) -> bool:
        """Tell whether there is anything to write."""
        return bool(self.keys or self.legs or self.closed)


@dataclass(slots=True)
class Batch:
    """The locked part of a shard, and what is made of it."""

    shard: int
    now_us: int
    seq: int
    """Last record committed when this was read; whatever was found here is in it or before it."""
    balances: dict[bytes, Balance]
    kept: dict[bytes, Kept]
    facts: dict[bytes, WalletFacts]
    landed: dict[tuple[bytes, int], LegResult]
    open_intents: set[tuple[bytes, int]]
    paying: set[bytes]
    """Wallets, of those that the batch may close, with money on its way to another shard."""
    counterparties: dict[bytes, Counterparty | NoCounterparty] = field(default_factory=dict)
    decided: dict[bytes, Decided] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)

    def system(self, kind: SystemKind, currency: str) -> bytes:
        """Return the id of one of this shard's system wallets."""
        return system_wallet_id(kind, self.shard, currency)

    def post(self, source: bytes, destination: bytes, currency: str, amount: int) -> Posting:
        """Move money between two wallets of this shard. All checks come before: this can't fail."""
        source_posted, source_version = self._add(source, currency, -amount)
        destination_posted, destination_version = self._add(destination, currency, amount)
        return Posting(
            source,
            destination,
            currency,
            amount,
            source_posted,
            source_version,
            destination_posted,
            destination_version,
        )

    def _add(self, wallet_id: bytes, currency: str, delta: int) -> tuple[int, int]:
        if wallet_id[0] == 0:
            entry = (SystemKind(wallet_id[1]), currency)
            system = self.changes.system
            system[entry] = system.get(entry, 0) + delta
            return 0, 0
        balance = self.balances[wallet_id]
        balance.posted += delta
        balance.version += 1
        self.changes.touched[wallet_id] = balance
        return balance.posted, balance.version
