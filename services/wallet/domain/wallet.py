"""Decide the life of a wallet: created, frozen, unfrozen, closed."""

from wallet.domain.batch import Balance, Batch, WalletChange
from wallet.domain.commands import ChangeStatus, CreateWallet
from wallet.domain.kinds import WalletChangeKind, WalletStatus
from wallet.domain.outcome import WalletSet, facts_of
from walletkit.errors import ServiceError
from walletkit.ids import format_id

_STATUS_AFTER = {
    WalletChangeKind.FROZEN: WalletStatus.FROZEN,
    WalletChangeKind.UNFROZEN: WalletStatus.ACTIVE,
    WalletChangeKind.CLOSED: WalletStatus.CLOSED,
}
_FIRST_VERSION = 1


def not_found(wallet_id: bytes) -> ServiceError:
    """Say that no wallet has this id."""
    shown = format_id(wallet_id)
    return ServiceError("WALLET_NOT_FOUND", f"no wallet {shown}", {"wallet_id": shown})


def decide_create(batch: Batch, command: CreateWallet) -> WalletSet:
    """Create the wallet: nothing refuses it once its request is well-formed."""
    facts = facts_of(command, batch.now_us)
    balance = Balance(command.currency, 0, 0, 0, WalletStatus.ACTIVE, _FIRST_VERSION)
    batch.balances[command.ref] = balance
    change = WalletChange(
        WalletChangeKind.CREATED, facts, command.slot, balance.version, balance.status
    )
    batch.changes.wallets.append(change)
    return WalletSet(facts, balance.status, balance.after(), replayed=False)


def decide_status(batch: Batch, command: ChangeStatus) -> WalletSet | ServiceError:
    """Change the wallet's status, or say why not."""
    wallet_id = command.wallet_id
    balance = batch.balances.get(wallet_id)
    if balance is None:
        return not_found(wallet_id)
    refusal = _check_status(batch, command, balance)
    if refusal is not None:
        return refusal
    balance.status = _STATUS_AFTER[command.kind]
    balance.version += 1
    batch.changes.touched[wallet_id] = balance
    facts = batch.facts[wallet_id]
    change = WalletChange(command.kind, facts, command.slot, balance.version, balance.status)
    batch.changes.wallets.append(change)
    return WalletSet(facts, balance.status, balance.after(), replayed=False)


def _check_status(batch: Batch, command: ChangeStatus, balance: Balance) -> ServiceError | None:
    shown = format_id(command.wallet_id)
    wallet = {"wallet_id": shown}
    if balance.status == WalletStatus.CLOSED:
        return ServiceError("WALLET_CLOSED", f"wallet {shown} is closed", wallet)
    if command.kind == WalletChangeKind.FROZEN and balance.status == WalletStatus.FROZEN:
        return ServiceError("WALLET_FROZEN", f"wallet {shown} is frozen already", wallet)
    if command.kind == WalletChangeKind.UNFROZEN and balance.status != WalletStatus.FROZEN:
        return ServiceError("WALLET_NOT_FROZEN", f"wallet {shown} is not frozen", wallet)
    if command.kind == WalletChangeKind.CLOSED:
        return _check_close(batch, command.wallet_id, balance)
    return None


def _check_close(batch: Batch, wallet_id: bytes, balance: Balance) -> ServiceError | None:
    shown = format_id(wallet_id)
    if balance.posted != 0 or balance.held != 0:
        return ServiceError(
            "WALLET_NOT_EMPTY",
            f"wallet {shown} holds {balance.posted} minor units, {balance.held} of them reserved",
            {"wallet_id": shown, "posted": str(balance.posted), "held": str(balance.held)},
        )
    sent_now = any(
        intent.source == wallet_id for new in batch.changes.transactions for intent in new.intents
    )
    if sent_now or wallet_id in batch.paying:
        return ServiceError(
            "WALLET_HAS_OPEN_INTENTS",
            f"money of wallet {shown} is still on its way to another shard",
            {"wallet_id": shown},
        )
    return None
