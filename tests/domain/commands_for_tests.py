"""Commands and batches for tests of the deciders: all is filled in but what a test is about."""

from itertools import count

from wallet.domain import idempotency
from wallet.domain.batch import Balance, Batch
from wallet.domain.commands import ChangeStatus, CreateWallet, Intent, Transfer
from wallet.domain.kinds import ANY_VERSION, TransactionType, WalletChangeKind, WalletStatus
from wallet.domain.outcome import WalletFacts
from walletkit.ids import NIL, SLOTS, slot_of

NOW_US = 1_700_000_000_000_000
HERE, THERE = 7, SLOTS - 7
"""A slot of shard 0, and one of shard 1."""

_numbers = count(1)


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
