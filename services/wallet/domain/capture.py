"""Decide captures: money that a hold has reserved moves.

The hold shrinks first, a change of the wallet with a version of its own, and then the money is
posted. Beyond what is reserved, as far as the wallet's limits allow it, the hold grows before that.
"""

from wallet.domain.batch import Balance, Batch, Counterparty
from wallet.domain.checks import (
    check_credit,
    check_currency,
    check_funds,
    check_state,
    check_version,
    find,
)
from wallet.domain.commands import CaptureHold, Transfer
from wallet.domain.hold import Found, change_hold, check_open, find_hold
from wallet.domain.kinds import HoldChangeKind, HoldState, TransactionType
from wallet.domain.limits import refuse_capture
from wallet.domain.outcome import Hold, Posted
from wallet.domain.transfer import make_transaction
from walletkit.errors import ServiceError
from walletkit.ids import NIL, format_id


def decide_capture(batch: Batch, command: CaptureHold) -> Posted | ServiceError:
    """Move the money, or say why not. With the last unit, or if it is final, the hold ends."""
    found = find_hold(batch, command)
    if isinstance(found, ServiceError):
        return found
    there: Balance | Counterparty | None = None
    if command.destination != NIL:
        paid = find(batch, command.destination)
        if isinstance(paid, ServiceError):
            return paid
        there = paid
    amount = command.amount or found.hold.open
    refusal = _check(batch, command, found, there, amount)
    if refusal is not None:
        return refusal
    # From here on nothing fails.
    hold = _shrink(batch, command, found.hold, amount)
    posted = make_transaction(
        batch,
        capture_transfer(command, amount),
        found.balance,
        there if isinstance(there, Balance) else None,
        remote=isinstance(there, Counterparty),
    )
    return posted._replace(hold=hold)


def capture_transfer(command: CaptureHold, amount: int) -> Transfer:
    """Return what is told of the transaction that a capture makes."""
    return Transfer(
        command.ref,
        command.slot,
        TransactionType.CAPTURE,
        command.wallet_id,
        command.destination,
        command.currency,
        amount,
        command.reference,
        command.opaque,
        command.expected_version,
        command.key_hash,
        command.fingerprint,
        command.effective_us,
        command.hold_id,
        command.hold_id,
    )


def _check(
    batch: Batch,
    command: CaptureHold,
    found: Found,
    there: Balance | Counterparty | None,
    amount: int,
) -> ServiceError | None:
    """Check everything but existence, in order.

    Limits and funds bind what goes beyond the hold; the rest was checked when it was reserved.
    """
    hold, balance = found
    wallet_id = hold.wallet_id
    refusal = (
        check_open(batch, hold)
        or _check_destination(hold, command.destination)
        or check_state(wallet_id, balance, debit=True)
    )
    if refusal is None and there is not None:
        refusal = check_state(command.destination, there, debit=False)
    if refusal is None:
        refusal = check_currency(wallet_id, hold.currency, command.currency)
    if refusal is None and there is not None:
        refusal = check_currency(command.destination, there.currency, command.currency)
    return (
        refusal
        or check_version(wallet_id, balance.version, command.expected_version)
        or refuse_capture(batch, hold, balance, amount)
        or check_credit(batch, command.destination, there, amount)
        or check_funds(wallet_id, balance.available, max(0, amount - hold.open))
    )


def _check_destination(hold: Hold, destination: bytes) -> ServiceError | None:
    if hold.destination in {NIL, destination}:
        return None
    shown = format_id(hold.hold_id)
    return ServiceError(
        "HOLD_DESTINATION_MISMATCH",
        f"hold {shown} is for wallet {format_id(hold.destination)}",
        {"hold_id": shown, "destination_wallet_id": format_id(hold.destination)},
    )


def _shrink(batch: Batch, command: CaptureHold, hold: Hold, amount: int) -> Hold:
    """Take the amount out of what the hold reserves, and the rest if the capture is final."""
    excess = amount - hold.open
    if excess > 0:
        hold = hold._replace(authorized=hold.authorized + excess)
        change_hold(batch, HoldChangeKind.INCREMENTED, hold, excess)
    left = hold.open - amount
    released = left if command.final else 0
    ended = command.final or left == 0
    hold = hold._replace(
        captured=hold.captured + amount,
        released=hold.released + released,
        state=HoldState.CAPTURED if ended else HoldState.AUTHORIZED,
    )
    change_hold(batch, HoldChangeKind.CAPTURED, hold, -(amount + released), command.ref)
    return hold
