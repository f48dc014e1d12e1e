"""What callers and the suite itself can ask of a shard.

Plain values, fixed once: ids stay the same over every retry.

Commands are named tuples, not frozen dataclasses: making one is on the hot path and costs a fifth.
"""

from typing import NamedTuple

from wallet.domain.audit import NO_CAUSE, Cause
from wallet.domain.kinds import (
    ANY_VERSION,
    AccountFreeze,
    TransactionState,
    TransactionType,
    VelocityBasis,
    VelocityWindow,
    WalletChangeKind,
    WalletStatus,
)


class Transfer(NamedTuple):
    """Move money; also what is told of every transaction, whichever command made it.

    ``source`` is NIL for a deposit and ``destination`` for a withdrawal: the shard's `world`.
    """

    ref: bytes
    """Id of the transaction, fresh."""
    slot: int
    """Slot of its home: the debited wallet's, or the credited one's for a deposit."""
    type: TransactionType
    source: bytes
    destination: bytes
    currency: str
    amount: int
    reference: bytes
    opaque: bytes
    expected_version: int
    key_hash: bytes
    fingerprint: bytes
    effective_us: int = 0
    """When it counts, microseconds; 0: when it is recorded."""
    parent: bytes = b""
    """Hold of a capture, original of a reversal."""
    family: bytes = b""
    """Where its family begins; empty where it has no parent."""


class CreateWallet(NamedTuple):
    """Create a wallet with a balance of zero."""

    ref: bytes
    """Id of the wallet, fresh."""
    slot: int
    account_id: str
    currency: str
    opaque: bytes
    key_hash: bytes
    fingerprint: bytes
    alias: str = ""
    """Name within its account, or empty."""


class ChangeStatus(NamedTuple):
    """Freeze, unfreeze or close a wallet."""

    ref: bytes
    """A fresh id, for the key alone."""
    slot: int
    kind: WalletChangeKind
    wallet_id: bytes
    key_hash: bytes
    fingerprint: bytes
    status: WalletStatus = WalletStatus.FROZEN
    """What a freeze makes of it: FROZEN or DEBITS_FROZEN."""
    expected_version: int = ANY_VERSION
    cause: Cause = NO_CAUSE


class UpdateWallet(NamedTuple):
    """Replace a wallet's metadata."""

    ref: bytes
    """A fresh id, for the key alone."""
    slot: int
    wallet_id: bytes
    opaque: bytes
    expected_version: int
    key_hash: bytes
    fingerprint: bytes


class VelocityLimit(NamedTuple):
    """At most so much in a window. A bound of 0 is none."""

    window: VelocityWindow
    basis: VelocityBasis
    max_amount: int
    max_count: int


class Limits(NamedTuple):
    """What bounds a wallet, or an account in one currency. Minor units; None is no bound."""

    overdraft: int = 0
    """Credit line of a wallet; always 0 for an account."""
    min_balance: int | None = None
    """What must stay: posted - held never goes below it by a debit or a hold."""
    max_balance: int | None = None
    """What posted never exceeds."""
    max_transaction: int | None = None
    """The largest single debit, hold or credit."""
    over_capture_percent: int = 0
    """How much more than what was authorized a hold's captures may come to."""
    velocity: tuple[VelocityLimit, ...] = ()


class SetWalletLimits(NamedTuple):
    """Replace a wallet's limits, its credit line included."""

    ref: bytes
    slot: int
    wallet_id: bytes
    limits: Limits
    expected_version: int
    key_hash: bytes
    fingerprint: bytes
    cause: Cause = NO_CAUSE


class SetAccountLimits(NamedTuple):
    """Replace an account's limits in one currency: they bound its wallets together."""

    ref: bytes
    slot: int
    account_id: str
    currency: str
    limits: Limits
    key_hash: bytes
    fingerprint: bytes
    cause: Cause = NO_CAUSE


class FreezeAccount(NamedTuple):
    """Freeze or unfreeze all wallets of an account, those created later included."""

    ref: bytes
    slot: int
    account_id: str
    freeze: AccountFreeze
    """NONE unfreezes."""
    key_hash: bytes
    fingerprint: bytes
    cause: Cause = NO_CAUSE


class RegisterAsset(NamedTuple):
    """Register an asset that ISO 4217 does not know."""

    ref: bytes
    slot: int
    currency: str
    exponent: int
    key_hash: bytes
    fingerprint: bytes
    cause: Cause = NO_CAUSE


class Authorize(NamedTuple):
    """Reserve money of a wallet."""

    ref: bytes
    """Id of the hold, fresh."""
    slot: int
    wallet_id: bytes
    destination: bytes
    """Where its captures go; NIL where they may choose."""
    currency: str
    amount: int
    expire_time_us: int
    """When it ends, microseconds; 0: the default span after the shard's clock of now."""
    reference: bytes
    opaque: bytes
    expected_version: int
    key_hash: bytes
    fingerprint: bytes


class IncrementHold(NamedTuple):
    """Reserve more under a hold."""

    ref: bytes
    """A fresh id, for the key alone."""
    slot: int
    hold_id: bytes
    wallet_id: bytes
    currency: str
    amount: int
    expected_version: int
    key_hash: bytes
    fingerprint: bytes


class ExtendHold(NamedTuple):
    """Let a hold end later."""

    ref: bytes
    slot: int
    hold_id: bytes
    wallet_id: bytes
    expire_time_us: int
    expected_version: int
    key_hash: bytes
    fingerprint: bytes


class CaptureHold(NamedTuple):
    """Move money that a hold has reserved."""

    ref: bytes
    """Id of the transaction, fresh."""
    slot: int
    hold_id: bytes
    wallet_id: bytes
    destination: bytes
    """Where it goes, as the hold or else the caller says; NIL: the shard's `world`."""
    currency: str
    amount: int
    """0: all that is still reserved."""
    final: bool
    """Whether what is left is released."""
    reference: bytes
    opaque: bytes
    expected_version: int
    key_hash: bytes
    fingerprint: bytes
    effective_us: int = 0


class VoidHold(NamedTuple):
    """Release what a hold still reserves."""

    ref: bytes
    slot: int
    hold_id: bytes
    wallet_id: bytes
    expected_version: int
    key_hash: bytes
    fingerprint: bytes


class ExpireHold(NamedTuple):
    """Release what a hold whose time is over still reserves; the suite's own, without a key."""

    slot: int
    hold_id: bytes
    wallet_id: bytes


class Reverse(NamedTuple):
    """Move money of a transaction back, all or part of it.

    The original's facts never change and are read before.
    """

    ref: bytes
    """Id of the transaction, fresh."""
    slot: int
    """Slot of the wallet that is debited: the one that the original credited."""
    original: bytes
    leg: int
    """Leg of the original that credited ``source``; -1 where it did so on its home shard."""
    source: bytes
    """What the original credited; NIL for `world`."""
    destination: bytes
    """What the original debited; NIL for `world`."""
    currency: str
    original_amount: int
    amount: int
    """0: all that is not reversed yet."""
    family: bytes
    reference: bytes
    opaque: bytes
    expected_version: int
    key_hash: bytes
    fingerprint: bytes
    effective_us: int = 0
    cause: Cause = NO_CAUSE


class Line(NamedTuple):
    """One posting that a caller asks for.

    A side may be one of the home shard's system wallets, by its kind alone: see
    ``walletkit.ids.system_wallet_id`` with shard 0.
    """

    source: bytes
    destination: bytes
    currency: str
    amount: int


class PostTransaction(NamedTuple):
    """Make several postings, all or none. All debited wallets are on the home shard."""

    ref: bytes
    """Id of the transaction, fresh."""
    slot: int
    """Slot of the scope wallet: the lowest that is debited, else the lowest that is credited."""
    lines: tuple[Line, ...]
    reference: bytes
    opaque: bytes
    expected_versions: tuple[tuple[bytes, int], ...]
    """Wallets of the home shard with the version that each must have."""
    key_hash: bytes
    fingerprint: bytes
    effective_us: int = 0
    original: bytes = b""
    """The transaction that this reverses, all of it; empty for none."""
    family: bytes = b""
    cause: Cause = NO_CAUSE


class Intent(NamedTuple):
    """A credit on its way from the shard of ``source`` to that of ``destination``.

    Can't be refused.
    """

    tx_id: bytes
    leg: int
    source: bytes
    destination: bytes
    currency: str
    amount: int
    legs: int = 1
    """How many legs its transaction has: only the last one that closes ends it."""
    effective_us: int = 0
    """When its transaction counts, microseconds; 0: each side when it is recorded."""


class LandLeg(NamedTuple):
    """Credit an intent's destination, once."""

    slot: int
    intent: Intent


class CloseIntent(NamedTuple):
    """Forget an intent whose leg is durable at its destination.

    ``state`` is what its transaction becomes.
    """

    slot: int
    tx_id: bytes
    leg: int
    state: TransactionState | None
    legs: int = 1


SingleCommand = (
    Transfer
    | CreateWallet
    | ChangeStatus
    | UpdateWallet
    | SetWalletLimits
    | SetAccountLimits
    | FreezeAccount
    | RegisterAsset
    | Authorize
    | IncrementHold
    | ExtendHold
    | CaptureHold
    | VoidHold
    | Reverse
    | PostTransaction
)


class Atomic(NamedTuple):
    """Carry out several commands of one shard, all or none.

    Each has a key of its own, made from the batch's, so that each is kept and replayed as usual.
    """

    ref: bytes
    slot: int
    commands: tuple[SingleCommand, ...]
    key_hash: bytes
    fingerprint: bytes


KeyedCommand = SingleCommand | Atomic
InternalCommand = LandLeg | CloseIntent | ExpireHold
Command = KeyedCommand | InternalCommand
