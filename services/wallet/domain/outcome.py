"""What a command came to. How that is kept with its idempotency key: see ``kept``."""

from typing import NamedTuple

from wallet.domain.commands import CreateWallet, Limits, Line, Transfer
from wallet.domain.kinds import AccountFreeze, HoldState, LegResult, TransactionState, WalletStatus
from walletkit.errors import ServiceError


class BalanceAfter(NamedTuple):
    """A wallet's balance right after a decision, minor units."""

    posted: int
    held: int
    overdraft_limit: int
    version: int

    @property
    def available(self) -> int:
        """What can be spent."""
        return self.posted - self.held + self.overdraft_limit


class Hold(NamedTuple):
    """A hold, as some moment has it. Minor units; times in microseconds.

    captured + released + open = authorized, at every moment.
    """

    hold_id: bytes
    wallet_id: bytes
    currency: str
    destination: bytes
    """Where its captures go; NIL where they may choose."""
    state: HoldState
    authorized: int
    captured: int
    released: int
    expire_time_us: int
    create_time_us: int
    reference: bytes
    opaque: bytes

    @property
    def open(self) -> int:
        """What it still reserves."""
        return self.authorized - self.captured - self.released


class Posted(NamedTuple):
    """A transaction was made.

    A balance is None where the side is a system wallet or lies on another shard.
    """

    command: Transfer
    """As decided first; ``command.ref`` is the transaction's id."""
    state: TransactionState
    create_time_us: int
    source_after: BalanceAfter | None
    destination_after: BalanceAfter | None
    replayed: bool
    hold: Hold | None = None
    """The hold that was captured, as it was right after."""
    lines: tuple[Line, ...] = ()
    """All of several postings, system wallets by their full ids; empty where there is only one."""
    balances: tuple[tuple[bytes, str, BalanceAfter], ...] = ()
    """Of several postings: the wallets of the home shard that they touched, by id."""
    legs: tuple[int, ...] = ()
    """Of several postings: the legs on their way to other shards."""


class HoldSet(NamedTuple):
    """A hold was made, incremented, extended or voided."""

    hold: Hold
    after: BalanceAfter
    replayed: bool


class WalletFacts(NamedTuple):
    """What a wallet is; of it only ``opaque`` can change."""

    wallet_id: bytes
    account_id: str
    currency: str
    create_time_us: int
    opaque: bytes
    alias: str = ""


class WalletSet(NamedTuple):
    """A wallet was created or changed."""

    facts: WalletFacts
    status: WalletStatus
    after: BalanceAfter
    replayed: bool
    account_freeze: AccountFreeze = AccountFreeze.NONE
    limits: Limits | None = None
    """As the command has set them; None for every other command."""


class AccountSet(NamedTuple):
    """An account was frozen, unfrozen or limited."""

    account_id: str
    freeze: AccountFreeze
    wallets: int
    """How many wallets it touched."""
    currency: str
    limits: Limits | None
    replayed: bool


class AssetSet(NamedTuple):
    """An asset was registered."""

    currency: str
    exponent: int
    replayed: bool


class AtomicSet(NamedTuple):
    """Every command of an atomic batch was carried out."""

    outcomes: tuple["SingleOutcome", ...]
    replayed: bool


class Landed(NamedTuple):
    """A leg is durable at its destination."""

    result: LegResult


class Closed(NamedTuple):
    """An intent is gone."""


class Expired(NamedTuple):
    """A hold whose time was over reserves nothing any more."""


SingleOutcome = Posted | HoldSet | WalletSet | AccountSet | AssetSet
KeyedOutcome = SingleOutcome | AtomicSet | ServiceError
Outcome = KeyedOutcome | Landed | Closed | Expired


def facts_of(command: CreateWallet, create_time_us: int) -> WalletFacts:
    """Return the facts that a creation fixes."""
    return WalletFacts(
        command.ref,
        command.account_id,
        command.currency,
        create_time_us,
        command.opaque,
        command.alias,
    )
