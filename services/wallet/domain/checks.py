"""Checks that several deciders share, and what each of them says.

Their order is part of the API: existence, then state, then currency, then version, then limits,
then funds; of each the debited wallet before the credited one.
"""

from wallet.domain.batch import Balance, Batch, Counterparty, NoCounterparty
from wallet.domain.kinds import ANY_VERSION, WalletStatus
from wallet.domain.limits import refuse_credit, refuse_debit
from wallet.domain.wallet import not_found, overflow, refuse_move
from walletkit.errors import ServiceError
from walletkit.ids import format_id

_ACTIVE = WalletStatus.ACTIVE


def find(batch: Batch, wallet_id: bytes) -> Balance | Counterparty | ServiceError:
    """Return what is known of a wallet, here or on another shard."""
    found = batch.balances.get(wallet_id)
    if found is not None:
        return found
    there = batch.counterparties.get(wallet_id, NoCounterparty.UNKNOWN)
    return no_counterparty(wallet_id, there) if isinstance(there, NoCounterparty) else there


def no_counterparty(wallet_id: bytes, why: NoCounterparty) -> ServiceError:
    """Say why nothing is known of a wallet on another shard."""
    if why is NoCounterparty.UNKNOWN:
        return not_found(wallet_id)
    shown = format_id(wallet_id)
    return ServiceError(
        "SHARD_UNAVAILABLE",
        f"the shard of wallet {shown} does not answer; nothing was changed",
        {"wallet_id": shown},
    )


def check_state(
    wallet_id: bytes, wallet: Balance | Counterparty, *, debit: bool
) -> ServiceError | None:
    """Refuse where its own status or its account's freeze forbids to debit or credit it."""
    if wallet.status == _ACTIVE and not wallet.flags:
        return None
    return refuse_move(wallet_id, wallet.status, wallet.flags, debit=debit)


def check_currency(wallet_id: bytes, held: str, asked: str) -> ServiceError | None:
    """Refuse an amount in another currency than the wallet's."""
    if held == asked:
        return None
    shown = format_id(wallet_id)
    return ServiceError(
        "CURRENCY_MISMATCH",
        f"wallet {shown} holds {held}, the amount is in {asked}",
        {"wallet_id": shown, "wallet_currency": held, "amount_currency": asked},
    )


def check_version(wallet_id: bytes, found: int, expected: int) -> ServiceError | None:
    """Refuse where the caller has decided on another version of the wallet."""
    if expected in {ANY_VERSION, found}:
        return None
    shown = format_id(wallet_id)
    return ServiceError(
        "VERSION_MISMATCH",
        f"wallet {shown} is at version {found}, expected {expected}",
        {"wallet_id": shown, "version": str(found), "expected_version": str(expected)},
    )


def check_debit(
    batch: Batch, wallet_id: bytes, balance: Balance, amount: int
) -> ServiceError | None:
    """Refuse a debit or a hold that the limits forbid."""
    return refuse_debit(batch, wallet_id, balance, amount) if balance.flags else None


def check_credit(
    batch: Batch, wallet_id: bytes, wallet: Balance | Counterparty | None, amount: int
) -> ServiceError | None:
    """Refuse a credit that the limits forbid, or that the wallet can't hold.

    A wallet on another shard checks when the credit lands there.
    """
    if not isinstance(wallet, Balance):
        return None
    if wallet.flags and (refusal := refuse_credit(batch, wallet_id, wallet, amount)) is not None:
        return refusal
    return None if wallet.has_room(amount) else overflow(wallet_id)


def check_funds(wallet_id: bytes, available: int, amount: int) -> ServiceError | None:
    """Refuse what the wallet has not."""
    if available >= amount:
        return None
    shown = format_id(wallet_id)
    return ServiceError(
        "INSUFFICIENT_FUNDS",
        f"wallet {shown} has {available} minor units available, {amount} are needed",
        {"wallet_id": shown, "available": str(available), "required": str(amount)},
    )
