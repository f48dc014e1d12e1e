"""Decide what is done to an account: all of its wallets are frozen, unfrozen or limited together.

An account is no row of its own that could refuse anything: it exists as soon as a wallet has it.
"""

from wallet.domain.audit import AuditEvent
from wallet.domain.batch import AccountChange, Batch
from wallet.domain.bound import Bound, account_owner, encode_limits
from wallet.domain.commands import FreezeAccount, Limits, SetAccountLimits
from wallet.domain.kinds import (
    ACCOUNT_FREEZE_FLAGS,
    ACCOUNT_LIMITED,
    MAX_ACCOUNT_WALLETS,
    AccountFreeze,
    AuditAction,
    WalletChangeKind,
    WalletStatus,
)
from wallet.domain.outcome import AccountSet
from wallet.domain.wallet import before_of, note_change, own_limits
from walletkit.errors import ServiceError


def decide_freeze(batch: Batch, command: FreezeAccount) -> AccountSet | ServiceError:
    """Freeze or unfreeze the account, or say why not.

    A freeze of all may become one of debits alone, and the other way round. Wallets keep their own
    status beside it; closed ones are passed by.
    """
    account_id, freeze = command.account_id, command.freeze
    refusal = _refuse_account(batch, account_id)
    before_all = batch.accounts.get(account_id, AccountFreeze.NONE)
    if refusal is None and before_all == freeze:
        refusal = _no_change(account_id, freeze)
    if refusal is not None:
        return refusal
    batch.accounts[account_id] = freeze
    kind = WalletChangeKind.FROZEN if freeze else WalletChangeKind.UNFROZEN
    wallets = _open_wallets(batch, account_id)
    for wallet_id in wallets:
        balance = batch.balances[wallet_id]
        before = before_of(balance)
        balance.flags = balance.flags & ~ACCOUNT_FREEZE_FLAGS | freeze
        batch.changes.settings.add(wallet_id)
        note_change(batch, kind, wallet_id, command.slot, before)
    changes = batch.changes
    action = AuditAction.FREEZE_ACCOUNT if freeze else AuditAction.UNFREEZE_ACCOUNT
    changes.audit_events.append(
        AuditEvent(action, len(changes.accounts), command.cause, previous_freeze=before_all)
    )
    changes.accounts.append(AccountChange(account_id, command.slot, freeze))
    return AccountSet(account_id, freeze, len(wallets), "", None, replayed=False)


def decide_account_limits(batch: Batch, command: SetAccountLimits) -> AccountSet | ServiceError:
    """Replace the account's limits in one currency, or take them away, or say why not.

    A row that stays keeps its usage; a new one begins with what is held now.
    """
    account_id, currency, limits = command.account_id, command.currency, command.limits
    refusal = _refuse_account(batch, account_id)
    if refusal is not None:
        return refusal
    wallets = [
        wallet_id
        for wallet_id in _open_wallets(batch, account_id)
        if batch.balances[wallet_id].currency == currency
    ]
    bound = batch.bounds.get(account_owner(account_id, currency))
    kept_before = b"" if bound is None else encode_limits(bound.limits)
    _set_row(batch, command, wallets)
    for wallet_id in wallets:
        _set_flag(batch, command, wallet_id)
    freeze = batch.accounts.get(account_id, AccountFreeze.NONE)
    changes = batch.changes
    changes.audit_events.append(
        AuditEvent(
            AuditAction.SET_ACCOUNT_LIMITS, len(changes.accounts), command.cause, kept_before
        )
    )
    changes.accounts.append(
        AccountChange(account_id, command.slot, freeze, currency, encode_limits(limits))
    )
    return AccountSet(account_id, freeze, len(wallets), currency, limits, replayed=False)


def _set_row(batch: Batch, command: SetAccountLimits, wallets: list[bytes]) -> None:
    owner = account_owner(command.account_id, command.currency)
    if command.limits == Limits():
        if batch.bounds.pop(owner, None) is not None:
            batch.changes.bounds[owner] = None
        return
    bound = batch.bounds.setdefault(owner, Bound(owner, command.slot, command.limits, 0))
    bound.limits = command.limits
    # All wallets are locked, so this is exact; no hold is open in a closed one.
    bound.held = sum(batch.balances[wallet_id].held for wallet_id in wallets)
    batch.changes.bounds[owner] = bound


def _set_flag(batch: Batch, command: SetAccountLimits, wallet_id: bytes) -> None:
    balance = batch.balances[wallet_id]
    before = before_of(balance)
    if command.limits == Limits():
        balance.flags &= ~ACCOUNT_LIMITED
        batch.owners.pop(wallet_id, None)
    else:
        balance.flags |= ACCOUNT_LIMITED
        batch.owners[wallet_id] = account_owner(command.account_id, command.currency)
    batch.changes.settings.add(wallet_id)
    kept = encode_limits(own_limits(batch, wallet_id))
    note_change(batch, WalletChangeKind.LIMITED, wallet_id, command.slot, before, kept)


def _open_wallets(batch: Batch, account_id: str) -> list[bytes]:
    """Return the account's wallets that are not closed, by id: the order of their changes."""
    return [
        wallet_id
        for wallet_id in sorted(batch.account_wallets[account_id])
        if batch.balances[wallet_id].status != WalletStatus.CLOSED
    ]


def _refuse_account(batch: Batch, account_id: str) -> ServiceError | None:
    wallets = batch.account_wallets.get(account_id, ())
    shown = {"account_id": account_id}
    if not wallets:
        message = f"no wallet belongs to account {account_id}"
        return ServiceError("ACCOUNT_NOT_FOUND", message, shown)
    if len(wallets) > MAX_ACCOUNT_WALLETS:
        message = f"account {account_id} has more than {MAX_ACCOUNT_WALLETS} wallets"
        return ServiceError(
            "ACCOUNT_TOO_LARGE", message, {**shown, "limit": str(MAX_ACCOUNT_WALLETS)}
        )
    return None


def _no_change(account_id: str, freeze: AccountFreeze) -> ServiceError:
    shown = {"account_id": account_id}
    if freeze == AccountFreeze.NONE:
        return ServiceError("ACCOUNT_NOT_FROZEN", f"account {account_id} is not frozen", shown)
    message = f"account {account_id} is frozen like that already"
    return ServiceError("ACCOUNT_FROZEN", message, shown)
