"""Decide transfers, deposits and withdrawals.

The order of the checks is part of the API: existence, then state, then currency, then version, then
limits, then funds; of each the source before the destination.
"""

from wallet.domain.batch import Balance, Batch, Counterparty, NewTransaction, NoCounterparty
from wallet.domain.commands import Intent, Transfer
from wallet.domain.kinds import ANY_VERSION, TransactionState, WalletStatus
from wallet.domain.outcome import Posted
from wallet.domain.wallet import not_found
from walletkit.errors import ServiceError
from walletkit.ids import NIL, SystemKind, format_id
from walletkit.money import MAX_BALANCE_MINOR

_FIRST_LEG = 0


def decide_transfer(batch: Batch, command: Transfer) -> Posted | ServiceError:
    """Move the money, or say why not."""
    source = batch.balances.get(command.source)
    destination = batch.balances.get(command.destination)
    there: Counterparty | None = None
    if source is None and command.source != NIL:
        return not_found(command.source)
    if destination is None and command.destination != NIL:
        found = batch.counterparties.get(command.destination, NoCounterparty.UNKNOWN)
        if isinstance(found, NoCounterparty):
            return _no_counterparty(command.destination, found)
        there = found
    refusal = _check(command, source, destination or there)
    if refusal is not None:
        return refusal
    # From here on nothing fails.
    return _make(batch, command, source, destination, remote=there is not None)


def _no_counterparty(wallet_id: bytes, why: NoCounterparty) -> ServiceError:
    if why is NoCounterparty.UNKNOWN:
        return not_found(wallet_id)
    shown = format_id(wallet_id)
    return ServiceError(
        "SHARD_UNAVAILABLE",
        f"the shard of wallet {shown} does not answer; nothing was changed",
        {"wallet_id": shown},
    )


def _check(
    command: Transfer, source: Balance | None, destination: Balance | Counterparty | None
) -> ServiceError | None:
    """Check everything but existence, in order."""
    sides = ((command.source, source), (command.destination, destination))
    for wallet_id, wallet in sides:
        if wallet is not None and wallet.status != WalletStatus.ACTIVE:
            return _not_active(wallet_id, wallet.status)
    for wallet_id, wallet in sides:
        if wallet is not None and wallet.currency != command.currency:
            return _currency_mismatch(wallet_id, wallet.currency, command.currency)
    if command.expected_version != ANY_VERSION:
        scope = source if source is not None else destination
        if isinstance(scope, Balance) and scope.version != command.expected_version:
            wallet_id = command.source if source is not None else command.destination
            return _version_mismatch(wallet_id, scope.version, command.expected_version)
    if isinstance(destination, Balance) and (
        destination.posted + command.amount > MAX_BALANCE_MINOR
    ):
        return _overflow(command.destination)
    if source is not None and source.available < command.amount:
        return _insufficient(command, source.available)
    return None


def _make(
    batch: Batch,
    command: Transfer,
    source: Balance | None,
    destination: Balance | None,
    *,
    remote: bool,
) -> Posted:
    currency = command.currency
    source_id = command.source if source else batch.system(SystemKind.WORLD, currency)
    meant = command.destination
    if remote:
        credited = batch.system(SystemKind.TRANSIT, currency)
    elif destination is None:
        credited = meant = batch.system(SystemKind.WORLD, currency)
    else:
        credited = meant
    posting = batch.post(source_id, credited, currency, command.amount)
    intents: tuple[Intent, ...] = ()
    state = TransactionState.COMPLETED
    if remote:
        intents = (Intent(command.ref, _FIRST_LEG, source_id, meant, currency, command.amount),)
        state = TransactionState.PROCESSING
    batch.changes.transactions.append(
        NewTransaction(command, state, source_id, meant, (posting,), intents)
    )
    return Posted(
        command,
        state,
        batch.now_us,
        source.after() if source is not None else None,
        destination.after() if destination is not None else None,
        replayed=False,
    )


def _not_active(wallet_id: bytes, status: WalletStatus) -> ServiceError:
    shown = format_id(wallet_id)
    if status == WalletStatus.FROZEN:
        return ServiceError("WALLET_FROZEN", f"wallet {shown} is frozen", {"wallet_id": shown})
    return ServiceError("WALLET_CLOSED", f"wallet {shown} is closed", {"wallet_id": shown})


def _currency_mismatch(wallet_id: bytes, held: str, asked: str) -> ServiceError:
    shown = format_id(wallet_id)
    return ServiceError(
        "CURRENCY_MISMATCH",
        f"wallet {shown} holds {held}, the amount is in {asked}",
        {"wallet_id": shown, "wallet_currency": held, "amount_currency": asked},
    )


def _version_mismatch(wallet_id: bytes, found: int, expected: int) -> ServiceError:
    shown = format_id(wallet_id)
    return ServiceError(
        "VERSION_MISMATCH",
        f"wallet {shown} is at version {found}, expected {expected}",
        {"wallet_id": shown, "version": str(found), "expected_version": str(expected)},
    )


def _overflow(wallet_id: bytes) -> ServiceError:
    shown = format_id(wallet_id)
    return ServiceError(
        "BALANCE_OVERFLOW",
        f"wallet {shown} can't hold more than {MAX_BALANCE_MINOR} minor units",
        {"wallet_id": shown, "limit_minor": str(MAX_BALANCE_MINOR)},
    )


def _insufficient(command: Transfer, available: int) -> ServiceError:
    shown = format_id(command.source)
    return ServiceError(
        "INSUFFICIENT_FUNDS",
        f"wallet {shown} has {available} minor units available, {command.amount} are needed",
        {"wallet_id": shown, "available": str(available), "required": str(command.amount)},
    )
