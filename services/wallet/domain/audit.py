"""What is told of admin actions: who asked for a change, why, on which call; what was before."""

from typing import NamedTuple

from wallet.domain.kinds import AccountFreeze, AuditAction, WalletChangeKind


class Cause(NamedTuple):
    """On whose behalf an admin action is asked for, and why. It decides nothing."""

    actor: str = ""
    """Id of the credential; empty for a trusted caller."""
    request_id: str = ""
    reason: str = ""
    """In the caller's words; empty for a reversal, whose transaction says it."""


NO_CAUSE = Cause()

STATUS_ACTIONS = {
    WalletChangeKind.FROZEN: AuditAction.FREEZE_WALLET,
    WalletChangeKind.UNFROZEN: AuditAction.UNFREEZE_WALLET,
    WalletChangeKind.CLOSED: AuditAction.CLOSE_WALLET,
}


class AuditEvent(NamedTuple):
    """An admin action that the batch carries out, beside its change, which tells the rest."""

    action: AuditAction
    place: int
    """Of its change in the list of the batch's changes that the action is about."""
    cause: Cause
    previous_limits: bytes = b""
    """In their kept form, where the action sets or ends them."""
    previous_freeze: AccountFreeze = AccountFreeze.NONE
    previous_reversed: int = 0
    """How much of the original was reversed before, minor units."""
