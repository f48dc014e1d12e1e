"""Decide the life of a wallet: created, frozen, unfrozen, limited, updated, closed.

The order of the checks is part of the API: existence, then state, then version, then what the
change itself needs.
"""

from typing import NamedTuple

from wallet.domain.audit import STATUS_ACTIONS, AuditEvent, Cause
from wallet.domain.batch import Balance, Batch, WalletChange
from wallet.domain.bound import Bound, account_owner, encode_limits
from wallet.domain.commands import (
    ChangeStatus,
    CreateWallet,
    Limits,
    SetWalletLimits,
    UpdateWallet,
)
from wallet.domain.kinds import (
    ACCOUNT_FREEZE_FLAGS,
    ACCOUNT_LIMITED,
    ANY_VERSION,
    LIMITED,
    MAX_ACCOUNT_WALLETS,
    AccountFreeze,
    AuditAction,
    WalletChangeKind,
    WalletStatus,
)
from wallet.domain.outcome import WalletSet, facts_of
from walletkit.errors import ServiceError
from walletkit.ids import format_id
from walletkit.money import MAX_BALANCE_MINOR

_FIRST_VERSION = 1


class Before(NamedTuple):
    """What a change of a wallet may change, as it was before."""

    status: WalletStatus
    account_freeze: AccountFreeze
    overdraft_limit: int


def not_found(wallet_id: bytes) -> ServiceError:
    """Say that no wallet has this id."""
    shown = format_id(wallet_id)
    return ServiceError("WALLET_NOT_FOUND", f"no wallet {shown}", {"wallet_id": shown})


def overflow(wallet_id: bytes) -> ServiceError:
    """Say that posted and the credit line together would not fit 64 bits."""
    shown = format_id(wallet_id)
    return ServiceError(
        "BALANCE_OVERFLOW",
        f"wallet {shown} can't hold more than {MAX_BALANCE_MINOR} minor units with its line",
        {"wallet_id": shown, "limit_minor": str(MAX_BALANCE_MINOR)},
    )


def refuse_move(
    wallet_id: bytes, status: WalletStatus, flags: int, *, debit: bool
) -> ServiceError | None:
    """Say why money can't leave a wallet (``debit``) or come into it, by its state, or None.

    The wallet's own status is told before its account's.
    """
    shown = format_id(wallet_id)
    if status == WalletStatus.CLOSED:
        return _closed(wallet_id)
    if status == WalletStatus.FROZEN or (status == WalletStatus.DEBITS_FROZEN and debit):
        scope = "" if status == WalletStatus.FROZEN else " for debits"
        return ServiceError(
            "WALLET_FROZEN", f"wallet {shown} is frozen{scope}", {"wallet_id": shown}
        )
    freeze = flags & ACCOUNT_FREEZE_FLAGS
    if freeze == AccountFreeze.NONE or (freeze == AccountFreeze.DEBITS and not debit):
        return None
    scope = " for debits" if freeze == AccountFreeze.DEBITS else ""
    return ServiceError(
        "ACCOUNT_FROZEN", f"the account of wallet {shown} is frozen{scope}", {"wallet_id": shown}
    )


def decide_create(batch: Batch, command: CreateWallet) -> WalletSet | ServiceError:
    """Create the wallet, or say why not.

    It is born as frozen and limited as its account is; and no account that is either outgrows what
    one command can undo.
    """
    name = (command.account_id, command.alias)
    if command.alias and name in batch.aliases:
        return _alias_taken(command.account_id, command.alias, batch.aliases[name])
    freeze = batch.accounts.get(command.account_id, AccountFreeze.NONE)
    owner = account_owner(command.account_id, command.currency)
    size = batch.account_sizes.get(command.account_id, 0)
    if (freeze or owner in batch.bounds) and size >= MAX_ACCOUNT_WALLETS:
        return _account_full(command.account_id)
    batch.account_sizes[command.account_id] = size + 1
    facts = facts_of(command, batch.now_us)
    balance = Balance(command.currency, 0, 0, 0, WalletStatus.ACTIVE, _FIRST_VERSION)
    balance.flags = int(freeze)
    if owner in batch.bounds:
        balance.flags |= ACCOUNT_LIMITED
        batch.owners[command.ref] = owner
    _note_created(batch, command, balance)
    batch.facts[command.ref] = facts
    change = WalletChange(
        WalletChangeKind.CREATED,
        facts,
        command.slot,
        balance.version,
        balance.status,
        account_freeze=freeze,
    )
    batch.changes.wallets.append(change)
    return _set(batch, command.ref, balance)


def decide_status(batch: Batch, command: ChangeStatus) -> WalletSet | ServiceError:
    """Freeze, unfreeze or close the wallet, or say why not.

    A freeze of all may become one of debits alone, and the other way round.
    """
    wallet_id = command.wallet_id
    balance = batch.balances.get(wallet_id)
    if balance is None:
        return not_found(wallet_id)
    refusal = _check_status(batch, command, balance)
    if refusal is not None:
        return refusal
    before, limits = before_of(balance), b""
    if command.kind == WalletChangeKind.FROZEN:
        balance.status = command.status
    elif command.kind == WalletChangeKind.UNFROZEN:
        balance.status = WalletStatus.ACTIVE
    else:
        limits = encode_limits(own_limits(batch, wallet_id))
        balance.status = WalletStatus.CLOSED
        _release(batch, wallet_id, balance)
    note_change(batch, command.kind, wallet_id, command.slot, before)
    _note_audit(batch, STATUS_ACTIONS[command.kind], command.cause, limits)
    return _set(batch, wallet_id, balance)


def decide_update(batch: Batch, command: UpdateWallet) -> WalletSet | ServiceError:
    """Replace the wallet's metadata; a frozen wallet's too, never a closed one's."""
    wallet_id = command.wallet_id
    balance = batch.balances.get(wallet_id)
    if balance is None:
        return not_found(wallet_id)
    refusal = _refuse_change(wallet_id, balance, command.expected_version)
    if refusal is not None:
        return refusal
    batch.facts[wallet_id] = batch.facts[wallet_id]._replace(opaque=command.opaque)
    before = before_of(balance)
    note_change(batch, WalletChangeKind.UPDATED, wallet_id, command.slot, before)
    return _set(batch, wallet_id, balance)


def decide_wallet_limits(batch: Batch, command: SetWalletLimits) -> WalletSet | ServiceError:
    """Replace the wallet's limits.

    A credit line alone needs no row of limits: the balance has it, so that wallets with nothing
    else pay for nothing else. A row that stays keeps its usage.
    """
    wallet_id, limits = command.wallet_id, command.limits
    balance = batch.balances.get(wallet_id)
    if balance is None:
        return not_found(wallet_id)
    refusal = _refuse_change(wallet_id, balance, command.expected_version)
    if refusal is None:
        refusal = _refuse_overdraft(wallet_id, balance, limits.overdraft)
    if refusal is not None:
        return refusal
    before, kept_before = before_of(balance), encode_limits(own_limits(batch, wallet_id))
    balance.overdraft_limit = limits.overdraft
    if limits._replace(overdraft=0) == Limits():
        _remove_row(batch, wallet_id, balance)
    else:
        bound = batch.bounds.setdefault(wallet_id, Bound(wallet_id, command.slot, limits, 0))
        bound.limits = limits
        balance.flags |= LIMITED
        batch.changes.bounds[wallet_id] = bound
    batch.changes.settings.add(wallet_id)
    kept = encode_limits(limits)
    note_change(batch, WalletChangeKind.LIMITED, wallet_id, command.slot, before, kept)
    _note_audit(batch, AuditAction.SET_WALLET_LIMITS, command.cause, kept_before)
    return _set(batch, wallet_id, balance)._replace(limits=limits)


def before_of(balance: Balance) -> Before:
    """Return what a change may change, as it is now."""
    return Before(
        balance.status,
        AccountFreeze(balance.flags & ACCOUNT_FREEZE_FLAGS),
        balance.overdraft_limit,
    )


def note_change(  # what one change is about
    batch: Batch,
    kind: WalletChangeKind,
    wallet_id: bytes,
    slot: int,
    before: Before,
    limits: bytes = b"",
) -> None:
    """Give a changed wallet its next version, and note the change. This can't fail."""
    balance = batch.balances[wallet_id]
    balance.version += 1
    batch.changes.touched[wallet_id] = balance
    now = before_of(balance)
    batch.changes.wallets.append(
        WalletChange(
            kind,
            batch.facts[wallet_id],
            slot,
            balance.version,
            balance.status,
            account_freeze=now.account_freeze,
            overdraft_limit=now.overdraft_limit,
            limits=limits,
            previous_status=before.status,
            previous_account_freeze=before.account_freeze,
            previous_overdraft_limit=before.overdraft_limit,
        )
    )


def own_limits(batch: Batch, wallet_id: bytes) -> Limits:
    """Return a wallet's own limits, its credit line included."""
    balance = batch.balances[wallet_id]
    if balance.flags & LIMITED:
        return batch.bounds[wallet_id].limits
    return Limits(overdraft=balance.overdraft_limit)


def _note_audit(batch: Batch, action: AuditAction, cause: Cause, limits: bytes) -> None:
    """Note who asked for the change noted last, why, and the wallet's limits before."""
    changes = batch.changes
    changes.audit_events.append(AuditEvent(action, len(changes.wallets) - 1, cause, limits))


def _set(batch: Batch, wallet_id: bytes, balance: Balance) -> WalletSet:
    freeze = AccountFreeze(balance.flags & ACCOUNT_FREEZE_FLAGS)
    facts = batch.facts[wallet_id]
    return WalletSet(facts, balance.status, balance.after(), replayed=False, account_freeze=freeze)


def _note_created(batch: Batch, command: CreateWallet, balance: Balance) -> None:
    """Let the rest of the batch find the wallet, by its account and its name too."""
    wallet_id, account_id = command.ref, command.account_id
    batch.balances[wallet_id] = balance
    if command.alias:
        batch.aliases[account_id, command.alias] = wallet_id
    if account_id in batch.account_wallets:
        batch.account_wallets[account_id] += (wallet_id,)
    if balance.flags:
        batch.changes.touched[wallet_id] = balance
        batch.changes.settings.add(wallet_id)


def _release(batch: Batch, wallet_id: bytes, balance: Balance) -> None:
    """Take a closed wallet's limits away: nothing moves in it any more.

    It stays as frozen as its account was; later freezes pass it by.
    """
    if balance.overdraft_limit or balance.flags & (LIMITED | ACCOUNT_LIMITED):
        batch.changes.settings.add(wallet_id)
    _remove_row(batch, wallet_id, balance)
    balance.overdraft_limit = 0
    balance.flags &= ~ACCOUNT_LIMITED
    batch.owners.pop(wallet_id, None)


def _remove_row(batch: Batch, wallet_id: bytes, balance: Balance) -> None:
    if balance.flags & LIMITED:
        del batch.bounds[wallet_id]
        batch.changes.bounds[wallet_id] = None
        balance.flags &= ~LIMITED


def _refuse_change(wallet_id: bytes, balance: Balance, expected: int) -> ServiceError | None:
    if balance.status == WalletStatus.CLOSED:
        return _closed(wallet_id)
    return _refuse_version(wallet_id, balance, expected)


def _refuse_version(wallet_id: bytes, balance: Balance, expected: int) -> ServiceError | None:
    if expected in (ANY_VERSION, balance.version):
        return None
    shown = format_id(wallet_id)
    return ServiceError(
        "VERSION_MISMATCH",
        f"wallet {shown} is at version {balance.version}, expected {expected}",
        {
            "wallet_id": shown,
            "version": str(balance.version),
            "expected_version": str(expected),
        },
    )


def _refuse_overdraft(wallet_id: bytes, balance: Balance, overdraft: int) -> ServiceError | None:
    used = balance.held - balance.posted
    if balance.posted + overdraft > MAX_BALANCE_MINOR:
        return overflow(wallet_id)
    if overdraft >= used:
        return None
    shown = format_id(wallet_id)
    return ServiceError(
        "OVERDRAFT_IN_USE",
        f"wallet {shown} uses {used} minor units of its credit line, {overdraft} are too few",
        {"wallet_id": shown, "used": str(used), "requested": str(overdraft)},
    )


def _check_status(batch: Batch, command: ChangeStatus, balance: Balance) -> ServiceError | None:
    wallet_id, status = command.wallet_id, balance.status
    shown = format_id(wallet_id)
    if status == WalletStatus.CLOSED:
        return _closed(wallet_id)
    if command.kind == WalletChangeKind.FROZEN and status == command.status:
        message = f"wallet {shown} is frozen like that already"
        return ServiceError("WALLET_FROZEN", message, {"wallet_id": shown})
    if command.kind == WalletChangeKind.UNFROZEN and status == WalletStatus.ACTIVE:
        message = f"wallet {shown} is not frozen"
        return ServiceError("WALLET_NOT_FROZEN", message, {"wallet_id": shown})
    refusal = _refuse_version(wallet_id, balance, command.expected_version)
    if refusal is None and command.kind == WalletChangeKind.CLOSED:
        return _check_close(batch, wallet_id, balance)
    return refusal


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


def _closed(wallet_id: bytes) -> ServiceError:
    shown = format_id(wallet_id)
    return ServiceError("WALLET_CLOSED", f"wallet {shown} is closed", {"wallet_id": shown})


def _alias_taken(account_id: str, alias: str, wallet_id: bytes) -> ServiceError:
    return ServiceError(
        "ALIAS_TAKEN",
        f"account {account_id} has a wallet named {alias}",
        {"account_id": account_id, "alias": alias, "wallet_id": format_id(wallet_id)},
    )


def _account_full(account_id: str) -> ServiceError:
    return ServiceError(
        "ACCOUNT_TOO_LARGE",
        f"account {account_id} is frozen or limited: it has at most {MAX_ACCOUNT_WALLETS} wallets",
        {"account_id": account_id, "limit": str(MAX_ACCOUNT_WALLETS)},
    )
