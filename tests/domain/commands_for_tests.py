"""Commands and batches for tests of the deciders: all is filled in but what a test is about."""

from hashlib import sha256
from itertools import count
from typing import Any, TypeVar

from wallet.domain import idempotency
from wallet.domain.batch import Balance, Batch
from wallet.domain.commands import (
    Atomic,
    Authorize,
    CaptureHold,
    ChangeStatus,
    CreateWallet,
    ExpireHold,
    ExtendHold,
    FreezeAccount,
    IncrementHold,
    Intent,
    Limits,
    Line,
    PostTransaction,
    RegisterAsset,
    Reverse,
    SetAccountLimits,
    SetWalletLimits,
    SingleCommand,
    Transfer,
    UpdateWallet,
    VoidHold,
)
from wallet.domain.kinds import (
    ANY_VERSION,
    AccountFreeze,
    TransactionType,
    WalletChangeKind,
    WalletStatus,
)
from wallet.domain.outcome import WalletFacts
from walletkit.ids import NIL, SLOTS, SystemKind, slot_of, system_wallet_id

NOW_US = 1_700_000_000_000_000
HERE, THERE = 7, SLOTS - 7
"""A slot of shard 0, and one of shard 1."""

FEES, EXCHANGE = SystemKind.FEES, SystemKind.EXCHANGE

_numbers = count(1)
Made = TypeVar("Made", bound=Any)


def make_id(slot: int, number: int = 0) -> bytes:
    """Make an id of a slot; the same for the same number, unique for 0."""
    low = number or next(_numbers) << 20
    high = 0x018B_CFE5_6800 << 16 | 0x7000 | slot
    return (high << 64 | 0x8 << 60 | low).to_bytes(16, "big")


def balance(  # a wallet's columns, one for one
    posted: int = 0,
    *,
    currency: str = "EUR",
    held: int = 0,
    overdraft_limit: int = 0,
    status: WalletStatus = WalletStatus.ACTIVE,
    version: int = 1,
) -> Balance:
    """Make a wallet's locked row."""
    return Balance(currency, posted, held, overdraft_limit, status, version)


def facts(wallet_id: bytes, currency: str = "EUR") -> WalletFacts:
    """Make what never changes about a wallet."""
    return WalletFacts(wallet_id, "someone", currency, NOW_US - 1, b"")


def make_batch(balances: dict[bytes, Balance] | None = None, *, shard: int = 0) -> Batch:
    """Make a batch that found these wallets locked and nothing else."""
    balances = balances or {}
    return Batch(
        shard=shard,
        now_us=NOW_US,
        seq=41,
        balances=balances,
        kept={},
        facts={
            wallet_id: facts(wallet_id, found.currency) for wallet_id, found in balances.items()
        },
        landed={},
        open_intents=set(),
        paying=set(),
    )


def transfer(  # a transfer's fields, one for one
    source: bytes,
    destination: bytes,
    amount: int = 10,
    *,
    key: str = "key",
    currency: str = "EUR",
    expected_version: int = ANY_VERSION,
    reference: bytes = b"",
    opaque: bytes = b"",
) -> Transfer:
    """Make a transfer; NIL as a side makes it a deposit or a withdrawal."""
    kind = TransactionType.TRANSFER
    if source == NIL:
        kind = TransactionType.DEPOSIT
    elif destination == NIL:
        kind = TransactionType.WITHDRAWAL
    scope = destination if source == NIL else source
    slot = slot_of(scope)
    return Transfer(
        make_id(slot),
        slot,
        kind,
        source,
        destination,
        currency,
        amount,
        reference,
        opaque,
        expected_version,
        idempotency.key_hash(b"", scope, key),
        idempotency.transfer_fingerprint(
            kind, source, destination, currency, amount, expected_version, reference, opaque
        ),
    )


def deposit(wallet_id: bytes, amount: int = 10, *, key: str = "key") -> Transfer:
    """Make a deposit."""
    return transfer(NIL, wallet_id, amount, key=key)


def withdrawal(wallet_id: bytes, amount: int = 10, *, key: str = "key") -> Transfer:
    """Make a withdrawal."""
    return transfer(wallet_id, NIL, amount, key=key)


def create(
    slot: int, account: str = "someone", *, currency: str = "EUR", key: str = "key"
) -> CreateWallet:
    """Make a wallet's creation."""
    return CreateWallet(
        make_id(slot),
        slot,
        account,
        currency,
        b"",
        idempotency.key_hash(b"", account.encode(), key),
        idempotency.create_fingerprint(account, currency, b""),
    )


def change(kind: WalletChangeKind, wallet_id: bytes, *, key: str = "key") -> ChangeStatus:
    """Make a change of status."""
    slot = slot_of(wallet_id)
    return ChangeStatus(
        make_id(slot),
        slot,
        kind,
        wallet_id,
        idempotency.key_hash(b"", wallet_id, key),
        idempotency.status_fingerprint(kind, wallet_id),
    )


def intent(
    source: bytes, destination: bytes, amount: int = 10, *, leg: int = 0, currency: str = "EUR"
) -> Intent:
    """Make a credit on its way."""
    return Intent(make_id(slot_of(source)), leg, source, destination, currency, amount)


def named(command: Made, scope: bytes, key: str) -> Made:
    """Give a command its key, and a fingerprint of all that a caller has chosen."""
    said = repr(command._replace(ref=NIL)).encode()
    named_: Made = command._replace(
        key_hash=idempotency.key_hash(b"", scope, key), fingerprint=b"\x01" + sha256(said).digest()
    )
    return named_


def authorize(  # a hold's fields, one for one
    wallet_id: bytes,
    amount: int = 10,
    *,
    destination: bytes = NIL,
    expire_time_us: int = 0,
    currency: str = "EUR",
    expected_version: int = ANY_VERSION,
    key: str = "key",
) -> Authorize:
    """Make an authorization."""
    slot = slot_of(wallet_id)
    command = Authorize(
        make_id(slot),
        slot,
        wallet_id,
        destination,
        currency,
        amount,
        expire_time_us,
        b"ref",
        b"{}",
        expected_version,
        b"",
        b"",
    )
    return named(command, wallet_id, key)


def increment(  # an increment's fields, one for one
    hold_id: bytes,
    wallet_id: bytes,
    amount: int = 10,
    *,
    currency: str = "EUR",
    expected_version: int = ANY_VERSION,
    key: str = "key",
) -> IncrementHold:
    """Make an increment of a hold."""
    slot = slot_of(wallet_id)
    ref = make_id(slot)
    command = IncrementHold(
        ref, slot, hold_id, wallet_id, currency, amount, expected_version, b"", b""
    )
    return named(command, wallet_id, key)


def extend(
    hold_id: bytes,
    wallet_id: bytes,
    expire_time_us: int,
    *,
    expected_version: int = ANY_VERSION,
    key: str = "key",
) -> ExtendHold:
    """Make an extension of a hold."""
    slot = slot_of(wallet_id)
    ref = make_id(slot)
    command = ExtendHold(ref, slot, hold_id, wallet_id, expire_time_us, expected_version, b"", b"")
    return named(command, wallet_id, key)


def capture(  # a capture's fields, one for one
    hold_id: bytes,
    wallet_id: bytes,
    amount: int = 0,
    *,
    destination: bytes = NIL,
    final: bool = False,
    currency: str = "EUR",
    expected_version: int = ANY_VERSION,
    key: str = "key",
) -> CaptureHold:
    """Make a capture: of all that is open, to the outside."""
    slot = slot_of(wallet_id)
    command = CaptureHold(
        make_id(slot),
        slot,
        hold_id,
        wallet_id,
        destination,
        currency,
        amount,
        final,
        b"ref",
        b"{}",
        expected_version,
        b"",
        b"",
    )
    return named(command, wallet_id, key)


def void(
    hold_id: bytes, wallet_id: bytes, *, expected_version: int = ANY_VERSION, key: str = "key"
) -> VoidHold:
    """Make a hold's end."""
    slot = slot_of(wallet_id)
    command = VoidHold(make_id(slot), slot, hold_id, wallet_id, expected_version, b"", b"")
    return named(command, wallet_id, key)


def expire(hold_id: bytes, wallet_id: bytes) -> ExpireHold:
    """Make the sweep's command."""
    return ExpireHold(slot_of(wallet_id), hold_id, wallet_id)


def reverse(
    original: Transfer, amount: int = 0, *, leg: int = -1, key: str = "key", version: int = -1
) -> Reverse:
    """Make a reversal: what was paid pays it back."""
    source, destination = original.destination, original.source
    scope = destination if source == NIL else source
    slot = slot_of(scope)
    command = Reverse(
        make_id(slot),
        slot,
        original.ref,
        leg,
        source,
        destination,
        original.currency,
        original.amount,
        amount,
        original.family or original.ref,
        b"",
        b"",
        version,
        b"",
        b"",
    )
    return named(command, scope, key)


def line(
    source: bytes | SystemKind,
    destination: bytes | SystemKind,
    amount: int = 10,
    currency: str = "EUR",
) -> Line:
    """Make a line; a system wallet is the home's."""
    if isinstance(source, SystemKind):
        source = system_wallet_id(source, 0, currency)
    if isinstance(destination, SystemKind):
        destination = system_wallet_id(destination, 0, currency)
    return Line(source, destination, currency, amount)


def post(
    *lines: Line,
    versions: dict[bytes, int] | None = None,
    original: bytes = b"",
    key: str = "key",
) -> PostTransaction:
    """Make a transaction of several postings."""
    paying = sorted({one.source for one in lines if one.source[0]})
    scope = paying[0] if paying else min(one.destination for one in lines if one.destination[0])
    slot = slot_of(scope)
    expected = tuple(sorted((versions or {}).items()))
    command = PostTransaction(
        make_id(slot), slot, lines, b"ref", b"{}", expected, b"", b"", original=original
    )
    return named(command, scope, key)


def atomic(*commands: SingleCommand, key: str = "key") -> Atomic:
    """Make an atomic batch; the commands should have keys of their own."""
    slot = commands[0].slot
    return named(Atomic(make_id(slot), slot, commands, b"", b""), b"atomic", key)


def update(wallet_id: bytes, opaque: bytes = b"{}", *, key: str = "key") -> UpdateWallet:
    """Make a change of a wallet's metadata."""
    slot = slot_of(wallet_id)
    command = UpdateWallet(make_id(slot), slot, wallet_id, opaque, ANY_VERSION, b"", b"")
    return named(command, wallet_id, key)


def limit(wallet_id: bytes, limits: Limits, *, key: str = "key") -> SetWalletLimits:
    """Make a change of a wallet's limits."""
    slot = slot_of(wallet_id)
    command = SetWalletLimits(make_id(slot), slot, wallet_id, limits, ANY_VERSION, b"", b"")
    return named(command, wallet_id, key)


def limit_account(
    limits: Limits, account: str = "someone", *, key: str = "key"
) -> SetAccountLimits:
    """Make a change of an account's limits."""
    command = SetAccountLimits(make_id(HERE), HERE, account, "EUR", limits, b"", b"")
    return named(command, account.encode(), key)


def freeze_account(
    freeze: AccountFreeze, account: str = "someone", *, key: str = "key"
) -> FreezeAccount:
    """Make a freeze of an account."""
    command = FreezeAccount(make_id(HERE), HERE, account, freeze, b"", b"")
    return named(command, account.encode(), key)


def register(currency: str = "GLD", exponent: int = 2, *, key: str = "key") -> RegisterAsset:
    """Make an asset's registration."""
    command = RegisterAsset(make_id(HERE), HERE, currency, exponent, b"", b"")
    return named(command, currency.encode(), key)
