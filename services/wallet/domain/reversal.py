"""Decide reversals: money of an earlier transaction goes back, all or part of it.

What is reversed so far is kept where the debited wallet is, and so under its lock: two reversals
of one transaction see each other.
"""

from wallet.domain.audit import AuditEvent, Cause
from wallet.domain.batch import Batch
from wallet.domain.commands import Reverse, Transfer
from wallet.domain.kinds import AuditAction, LegResult, TransactionType
from wallet.domain.outcome import Posted
from wallet.domain.transfer import decide_transfer
from walletkit.errors import ServiceError
from walletkit.ids import format_id


def decide_reversal(batch: Batch, command: Reverse) -> Posted | ServiceError:
    """Move the money back, or say why not.

    The original is checked first: what became of it, and what of it is left. Then it is a transfer
    as any other.
    """
    if command.leg >= 0:
        refusal = check_landed(command.original, batch.landed.get((command.original, command.leg)))
        if refusal is not None:
            return refusal
    before = batch.reversed.get(command.original, 0)
    remaining = command.original_amount - before
    if remaining <= 0:
        return already_reversed(command.original)
    amount = command.amount or remaining
    if amount > remaining:
        shown = format_id(command.original)
        return ServiceError(
            "REVERSAL_EXCEEDS_ORIGINAL",
            f"{remaining} minor units of transaction {shown} are left to reverse, not {amount}",
            {"transaction_id": shown, "remaining": str(remaining), "required": str(amount)},
        )
    outcome = decide_transfer(batch, reversal_transfer(command, amount))
    if not isinstance(outcome, ServiceError):
        note_reversed(batch, command.original, command.slot, before + amount)
        note_audit(batch, command.cause, before)
    return outcome


def reversal_transfer(command: Reverse, amount: int) -> Transfer:
    """Return what is told of the transaction that a reversal makes."""
    return Transfer(
        command.ref,
        command.slot,
        TransactionType.REVERSAL,
        command.source,
        command.destination,
        command.currency,
        amount,
        command.reference,
        command.opaque,
        command.expected_version,
        command.key_hash,
        command.fingerprint,
        command.effective_us,
        command.original,
        command.family or command.original,
    )


def check_landed(original: bytes, result: LegResult | None) -> ServiceError | None:
    """Refuse to take back what has not arrived, or went back by itself."""
    if result == LegResult.CREDITED:
        return None
    shown = format_id(original)
    transaction = {"transaction_id": shown}
    if result is None:
        return ServiceError(
            "TRANSACTION_PROCESSING", f"transaction {shown} is still on its way", transaction
        )
    return ServiceError(
        "TRANSACTION_RETURNED", f"transaction {shown} was returned to its source", transaction
    )


def already_reversed(original: bytes) -> ServiceError:
    """Say that nothing of a transaction is left to reverse."""
    shown = format_id(original)
    return ServiceError(
        "TRANSACTION_REVERSED",
        f"transaction {shown} was reversed before",
        {"transaction_id": shown},
    )


def note_reversed(batch: Batch, original: bytes, slot: int, total: int) -> None:
    """Note how much of a transaction is reversed by now."""
    if total:
        batch.reversed[original] = total
    else:
        batch.reversed.pop(original, None)
    batch.changes.reversed[original] = (slot, total)


def note_audit(batch: Batch, cause: Cause, before: int) -> None:
    """Note who asked for the reversal made last, and how much was reversed before it."""
    changes, action = batch.changes, AuditAction.REVERSE_TRANSACTION
    place = len(changes.transactions) - 1
    changes.audit_events.append(AuditEvent(action, place, cause, previous_reversed=before))


def note_bounced(batch: Batch, reversal: bytes, slot: int, amount: int) -> None:
    """Give back to its original what a reversal could not deliver: it may be reversed again."""
    original = batch.returning.get(reversal)
    if original is not None:
        note_reversed(batch, original, slot, batch.reversed[original] - amount)
