"""Decide transfers, deposits and withdrawals; and make what captures and reversals come to.

The order of the checks is part of the API: see ``checks``.
"""

from wallet.domain.batch import Balance, Batch, Counterparty, NewTransaction, NoCounterparty
from wallet.domain.checks import (
    check_credit,
    check_currency,
    check_debit,
    check_funds,
    check_state,
    check_version,
    no_counterparty,
)
from wallet.domain.commands import Intent, Transfer
from wallet.domain.kinds import ANY_VERSION, TransactionState, WalletStatus
from wallet.domain.limits import begin
from wallet.domain.outcome import Posted
from wallet.domain.wallet import not_found
from walletkit.errors import ServiceError
from walletkit.ids import NIL, SystemKind

_FIRST_LEG = 0
_ACTIVE = WalletStatus.ACTIVE


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
            return no_counterparty(command.destination, found)
        there = found
    refusal = _check(batch, command, source, destination or there)
    if refusal is not None:
        return refusal
    # From here on nothing fails.
    if source is not None and source.flags:
        begin(batch, command.source, source)
    return make_transaction(batch, command, source, destination, remote=there is not None)


def _check(
    batch: Batch,
    command: Transfer,
    source: Balance | None,
    destination: Balance | Counterparty | None,
) -> ServiceError | None:
    """Check everything but existence, in order."""
    refusal = None
    if source is not None and (source.status != _ACTIVE or source.flags):
        refusal = check_state(command.source, source, debit=True)
    if (
        refusal is None
        and destination is not None
        and (destination.status != _ACTIVE or destination.flags)
    ):
        refusal = check_state(command.destination, destination, debit=False)
    if refusal is not None:
        return refusal
    currency = command.currency
    if source is not None and source.currency != currency:
        return check_currency(command.source, source.currency, currency)
    if destination is not None and destination.currency != currency:
        return check_currency(command.destination, destination.currency, currency)
    if command.expected_version != ANY_VERSION:
        refusal = _check_version(command, source, destination)
        if refusal is not None:
            return refusal
    return _check_amount(batch, command, source, destination)


def _check_version(
    command: Transfer, source: Balance | None, destination: Balance | Counterparty | None
) -> ServiceError | None:
    """Check the version of the debited wallet, or for a deposit of the credited one."""
    if source is not None:
        return check_version(command.source, source.version, command.expected_version)
    assert isinstance(destination, Balance)
    return check_version(command.destination, destination.version, command.expected_version)


def _check_amount(
    batch: Batch,
    command: Transfer,
    source: Balance | None,
    destination: Balance | Counterparty | None,
) -> ServiceError | None:
    """Check limits, then funds. The plain case, without any limits, calls nothing."""
    amount = command.amount
    if source is not None and source.flags:
        refusal = check_debit(batch, command.source, source, amount)
        if refusal is not None:
            return refusal
    if isinstance(destination, Balance) and (destination.flags or not destination.has_room(amount)):
        refusal = check_credit(batch, command.destination, destination, amount)
        if refusal is not None:
            return refusal
    if source is not None and source.available < amount:
        return check_funds(command.source, source.available, amount)
    return None


def make_transaction(
    batch: Batch,
    command: Transfer,
    source: Balance | None,
    destination: Balance | None,
    *,
    remote: bool,
) -> Posted:
    """Post the amount, with an intent if it goes to another shard. All checks come before."""
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
        intents = (
            Intent(
                command.ref,
                _FIRST_LEG,
                source_id,
                meant,
                currency,
                command.amount,
                effective_us=command.effective_us,
            ),
        )
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
