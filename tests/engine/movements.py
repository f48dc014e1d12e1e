"""Commands for holds, reversals, postings, limits and accounts, each with a key of its own."""

import secrets
import time

from wallet.domain.commands import (
    Atomic,
    Authorize,
    CaptureHold,
    CreateWallet,
    ExtendHold,
    FreezeAccount,
    IncrementHold,
    Limits,
    Line,
    PostTransaction,
    RegisterAsset,
    Reverse,
    SetAccountLimits,
    SetWalletLimits,
    SingleCommand,
    UpdateWallet,
    VoidHold,
)
from wallet.domain.kinds import ANY_VERSION, AccountFreeze, WalletChangeKind
from wallet.domain.outcome import Hold, HoldSet, Outcome, Posted
from walletkit.ids import NIL, SystemKind, new_id, slot_of, slot_of_account, system_wallet_id

HOUR_US = 3_600_000_000
FROZEN = WalletChangeKind.FROZEN
FEES = system_wallet_id(SystemKind.FEES, 0, "EUR")
"""As a caller's line names it: whichever shard is the home."""


def in_us(seconds: float) -> int:
    """Return the moment so many seconds from now, microseconds."""
    return time.time_ns() // 1000 + int(seconds * 1_000_000)


def hold_of(outcome: Outcome) -> Hold:
    """Return the hold of what must be one, or a capture of one."""
    assert isinstance(outcome, (HoldSet, Posted)), outcome
    assert outcome.hold is not None
    return outcome.hold


def authorize(
    wallet_id: bytes, amount: int, *, seconds: float = 3600, destination: bytes = NIL
) -> Authorize:
    """Reserve money."""
    slot = slot_of(wallet_id)
    return Authorize(
        new_id(slot),
        slot,
        wallet_id,
        destination,
        "EUR",
        amount,
        in_us(seconds),
        b"order 7",
        b'{"d":"table"}',
        ANY_VERSION,
        *_key(),
    )


def increment(hold: Hold, amount: int) -> IncrementHold:
    """Reserve more."""
    slot = slot_of(hold.wallet_id)
    ref = new_id(slot)
    return IncrementHold(
        ref, slot, hold.hold_id, hold.wallet_id, "EUR", amount, ANY_VERSION, *_key()
    )


def extend(hold: Hold, expire_time_us: int) -> ExtendHold:
    """Let a hold end later."""
    slot = slot_of(hold.wallet_id)
    ref = new_id(slot)
    return ExtendHold(ref, slot, hold.hold_id, hold.wallet_id, expire_time_us, ANY_VERSION, *_key())


def void(hold: Hold) -> VoidHold:
    """Release a hold."""
    slot = slot_of(hold.wallet_id)
    return VoidHold(new_id(slot), slot, hold.hold_id, hold.wallet_id, ANY_VERSION, *_key())


def capture(
    hold: Hold, destination: bytes = NIL, amount: int = 0, *, final: bool = False
) -> CaptureHold:
    """Move what a hold reserves."""
    slot = slot_of(hold.wallet_id)
    return CaptureHold(
        new_id(slot),
        slot,
        hold.hold_id,
        hold.wallet_id,
        destination,
        "EUR",
        amount,
        final,
        b"",
        b"",
        ANY_VERSION,
        *_key(),
    )


def reverse(posted: Posted, amount: int = 0, *, leg: int = -1) -> Reverse:
    """Move money of a transfer back."""
    original = posted.command
    scope = original.destination if original.destination != NIL else original.source
    slot = slot_of(scope)
    return Reverse(
        new_id(slot),
        slot,
        original.ref,
        leg,
        original.destination,
        original.source,
        "EUR",
        original.amount,
        amount,
        original.family or original.ref,
        b"",
        b'{"r":"returned"}',
        ANY_VERSION,
        *_key(),
    )


def post(
    slot: int, *lines: tuple[bytes, bytes, int], original: bytes = b"", family: bytes = b""
) -> PostTransaction:
    """Make several postings."""
    return PostTransaction(
        new_id(slot),
        slot,
        tuple(Line(source, destination, "EUR", amount) for source, destination, amount in lines),
        b"",
        b"",
        (),
        *_key(),
        original=original,
        family=family,
    )


def limit_wallet(wallet_id: bytes, limits: Limits) -> SetWalletLimits:
    """Set a wallet's limits."""
    slot = slot_of(wallet_id)
    return SetWalletLimits(new_id(slot), slot, wallet_id, limits, ANY_VERSION, *_key())


def limit_account(account_id: str, limits: Limits) -> SetAccountLimits:
    """Set an account's limits."""
    slot = slot_of_account(account_id)
    return SetAccountLimits(new_id(slot), slot, account_id, "EUR", limits, *_key())


def freeze_account(account_id: str, freeze: AccountFreeze = AccountFreeze.ALL) -> FreezeAccount:
    """Freeze an account, or unfreeze it."""
    slot = slot_of_account(account_id)
    return FreezeAccount(new_id(slot), slot, account_id, freeze, *_key())


def update(wallet_id: bytes, opaque: bytes) -> UpdateWallet:
    """Replace a wallet's metadata."""
    slot = slot_of(wallet_id)
    return UpdateWallet(new_id(slot), slot, wallet_id, opaque, ANY_VERSION, *_key())


def register(slot: int, currency: str, exponent: int) -> RegisterAsset:
    """Register an asset."""
    return RegisterAsset(new_id(slot), slot, currency, exponent, *_key())


def named(account_id: str, alias: str) -> CreateWallet:
    """Create a wallet with a name."""
    slot = slot_of_account(account_id)
    return CreateWallet(new_id(slot), slot, account_id, "EUR", b"", *_key(), alias=alias)


def atomic(*commands: SingleCommand) -> Atomic:
    """Carry out all or none."""
    slot = commands[0].slot
    return Atomic(new_id(slot), slot, commands, *_key())


def _key() -> tuple[bytes, bytes]:
    return secrets.token_bytes(16), secrets.token_bytes(33)
