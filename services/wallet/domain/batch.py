"""What is known while a batch is decided, and what the batch changes.

The store fills a Batch under locks; deciders read and change it command by command; the store
writes ``changes`` in one packet. A decider that declines leaves everything as it was.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from wallet.domain.audit import AuditEvent
from wallet.domain.bound import Bound
from wallet.domain.commands import Intent, KeyedCommand, Line, Transfer
from wallet.domain.kinds import (
    ACCOUNT_LIMITED,
    LIMITED,
    AccountFreeze,
    HoldChangeKind,
    LegResult,
    TransactionState,
    WalletChangeKind,
    WalletStatus,
)
from wallet.domain.outcome import BalanceAfter, Hold, KeyedOutcome, WalletFacts
from walletkit.ids import SystemKind, system_wallet_id
from walletkit.money import MAX_BALANCE_MINOR
from walletkit.trace import Span


@dataclass(slots=True)
class Balance:
    """A locked wallet, as the decisions so far have left it. Minor units."""

    currency: str
    posted: int
    held: int
    overdraft_limit: int
    status: WalletStatus
    version: int
    flags: int = 0
    """How far its account is frozen, and whether it or its account is limited: see ``kinds``."""

    @property
    def available(self) -> int:
        """What can be spent."""
        return self.posted - self.held + self.overdraft_limit

    def has_room(self, amount: int) -> bool:
        """Tell whether a credit fits: posted and the credit line together stay within 64 bits."""
        return self.posted + self.overdraft_limit + amount <= MAX_BALANCE_MINOR

    def after(self) -> BalanceAfter:
        """Return the balance of now as a value."""
        return BalanceAfter(self.posted, self.held, self.overdraft_limit, self.version)


class Counterparty(NamedTuple):
    """What a read shortly before tells of a wallet on another shard."""

    currency: str
    status: WalletStatus
    flags: int = 0


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

    command: KeyedCommand
    outcome: KeyedOutcome
    kept: bytes
    """The decision, in the form that is kept."""


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
    """What is told of it: of several postings the first one's wallets, currency and amount."""
    state: TransactionState
    source: bytes
    """The wallet debited here: for a deposit `world`."""
    destination: bytes
    """The wallet meant: for a withdrawal `world`; on another shard where there is an intent."""
    postings: tuple[Posting, ...]
    intents: tuple[Intent, ...]
    lines: tuple[Line, ...] = ()
    """All of several postings as the caller meant them; empty where there is only one."""


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
    """A wallet created or changed in the batch; its facts are those after the change."""

    kind: WalletChangeKind
    facts: WalletFacts
    slot: int
    version: int
    status: WalletStatus
    account_freeze: AccountFreeze = AccountFreeze.NONE
    overdraft_limit: int = 0
    limits: bytes = b""
    """The wallet's own limits in their kept form; only where they were set."""
    previous_status: WalletStatus | None = None
    previous_account_freeze: AccountFreeze = AccountFreeze.NONE
    previous_overdraft_limit: int = 0


class HoldChange(NamedTuple):
    """A hold made or changed in the batch."""

    kind: HoldChangeKind
    hold: Hold
    """As it is after the change."""
    wallet_version: int
    held_after: int
    """All that is held in the wallet after the change."""
    tx_id: bytes = b""
    """The capture's transaction."""


class AccountChange(NamedTuple):
    """An account frozen, unfrozen or limited in the batch."""

    account_id: str
    slot: int
    freeze: AccountFreeze
    currency: str = ""
    """Currency whose limits were set, or empty."""
    limits: bytes = b""
    """Those limits in their kept form."""


class NewAsset(NamedTuple):
    """An asset registered in the batch."""

    currency: str
    exponent: int
    slot: int


@dataclass(slots=True)
class Changes:
    """All that one batch writes."""

    transactions: list[NewTransaction] = field(default_factory=list)
    legs: list[NewLeg] = field(default_factory=list)
    closed: list[ClosedIntent] = field(default_factory=list)
    wallets: list[WalletChange] = field(default_factory=list)
    keys: list[Decided] = field(default_factory=list)
    touched: dict[bytes, Balance] = field(default_factory=dict)
    system: dict[tuple[SystemKind, str], int] = field(default_factory=dict)
    holds: dict[bytes, Hold] = field(default_factory=dict)
    """Holds made or changed, as they are at the end."""
    new_holds: set[bytes] = field(default_factory=set)
    """Those of them that the batch made."""
    hold_changes: list[HoldChange] = field(default_factory=list)
    reversed: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """Slot and new total of what is reversed of a transaction; 0: nothing any more."""
    settings: set[bytes] = field(default_factory=set)
    """Wallets whose credit line or flags changed: ``touched`` has them."""
    bounds: dict[bytes, Bound | None] = field(default_factory=dict)
    """Limits or their usage, as they are at the end, by owner; None: the row goes."""
    accounts: list[AccountChange] = field(default_factory=list)
    assets: list[NewAsset] = field(default_factory=list)
    audit_events: list[AuditEvent] = field(default_factory=list)

    def any(self) -> bool:
        """Tell whether there is anything to write."""
        return bool(self.keys or self.legs or self.closed or self.hold_changes)


class Traced(NamedTuple):
    """A span that somebody follows, and what it asks for: transactions, holds, wallets."""

    span: Span
    refs: tuple[bytes, ...]


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
    holds: dict[bytes, Hold] = field(default_factory=dict)
    reversed: dict[bytes, int] = field(default_factory=dict)
    """What is reversed so far of a transaction that credited a wallet of this shard."""
    returning: dict[bytes, bytes] = field(default_factory=dict)
    """Originals of reversals whose money may come back to this shard, by reversal."""
    states: dict[bytes, TransactionState] = field(default_factory=dict)
    """Of transactions with several legs one of which may be closed here: their state of now."""
    bounds: dict[bytes, Bound] = field(default_factory=dict)
    """Limits by owner: of limited wallets and accounts, and of those that may become so."""
    owners: dict[bytes, bytes] = field(default_factory=dict)
    """Of each wallet whose account is limited: the owner of the account's row."""
    aliases: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """Wallets by account and name, of the names that the batch may give."""
    accounts: dict[str, AccountFreeze] = field(default_factory=dict)
    """How far those accounts are frozen that the batch may change or add a wallet to."""
    account_wallets: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    """All wallets of those accounts that the batch may freeze or limit; all are locked."""
    account_sizes: dict[str, int] = field(default_factory=dict)
    """How many wallets those accounts have that the batch may add to and that were ever frozen or
    limited; no number above ``MAX_ACCOUNT_WALLETS`` is exact."""
    assets: dict[str, int] = field(default_factory=dict)
    """Exponents of assets that are registered already, of those that the batch may register."""
    asset_count: int = 0
    """How many assets were registered before the batch, where it may register one."""
    counterparties: dict[bytes, Counterparty | NoCounterparty] = field(default_factory=dict)
    decided: dict[bytes, Decided] = field(default_factory=dict)
    traces: tuple[Traced, ...] = ()
    """Who follows what the batch is asked for. It decides nothing."""
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
        if balance.flags & (LIMITED | ACCOUNT_LIMITED):
            for bound in self.bounds_of(wallet_id, balance):
                bound.move(self.now_us, delta)
                self.changes.bounds[bound.owner] = bound
        return balance.posted, balance.version

    def hold(self, wallet_id: bytes, delta: int) -> Balance:
        """Reserve more of a wallet, or less. All checks come before: this can't fail."""
        balance = self.balances[wallet_id]
        balance.held += delta
        balance.version += 1
        self.changes.touched[wallet_id] = balance
        if balance.flags & ACCOUNT_LIMITED:
            bound = self.bounds[self.owners[wallet_id]]
            bound.held += delta
            self.changes.bounds[bound.owner] = bound
        return balance

    def bounds_of(self, wallet_id: bytes, balance: Balance) -> list[Bound]:
        """Return the limits of a wallet and of its account, if there are any."""
        bounds = []
        if balance.flags & LIMITED:
            bounds.append(self.bounds[wallet_id])
        if balance.flags & ACCOUNT_LIMITED:
            bounds.append(self.bounds[self.owners[wallet_id]])
        return bounds
