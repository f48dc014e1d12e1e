"""Decide one command against a batch. The one door to every change of a balance.

A new kind of movement is a new command, a pure function, and a line here.
"""

from collections.abc import Callable
from typing import Any, cast

from wallet.domain.account import decide_account_limits, decide_freeze
from wallet.domain.asset import decide_register
from wallet.domain.atomic import decide_atomic
from wallet.domain.batch import Batch, Decided
from wallet.domain.capture import decide_capture
from wallet.domain.commands import (
    Atomic,
    Authorize,
    CaptureHold,
    ChangeStatus,
    CloseIntent,
    Command,
    CreateWallet,
    ExpireHold,
    ExtendHold,
    FreezeAccount,
    IncrementHold,
    KeyedCommand,
    LandLeg,
    PostTransaction,
    RegisterAsset,
    Reverse,
    SetAccountLimits,
    SetWalletLimits,
    SingleCommand,
    Transfer,
    UpdateWallet,
    VoidHold,
)
from wallet.domain.hold import (
    decide_authorize,
    decide_expiry,
    decide_extend,
    decide_increment,
    decide_void,
)
from wallet.domain.kept import encode
from wallet.domain.leg import decide_close, decide_landing
from wallet.domain.outcome import AtomicSet, KeyedOutcome, Outcome, SingleOutcome
from wallet.domain.post import decide_post
from wallet.domain.replay import as_replay, replay
from wallet.domain.reversal import decide_reversal
from wallet.domain.transfer import decide_transfer
from wallet.domain.wallet import decide_create, decide_status, decide_update, decide_wallet_limits
from walletkit.errors import Code, ServiceError

_KEPT_CODES = frozenset({Code.FAILED_PRECONDITION, Code.ABORTED})
"""Declines that are a decision.

NOT_FOUND and UNAVAILABLE may be otherwise next time, so they are not kept.
"""


def decide(batch: Batch, command: Command) -> Outcome:
    """Return what the command comes to, and note in the batch what it changes."""
    decider = _DECIDERS.get(type(command))
    if decider is None:
        return _INTERNAL[type(command)](batch, command)
    return _decide_keyed(batch, cast("KeyedCommand", command), decider)


def _decide_keyed(
    batch: Batch, command: KeyedCommand, decider: Callable[[Batch, Any], KeyedOutcome]
) -> KeyedOutcome:
    """Return the key's decision of before, or decide now and keep it."""
    decided = batch.decided.get(command.key_hash)
    if decided is not None:
        if decided.command.fingerprint != command.fingerprint:
            return _key_reused()
        return as_replay(decided.outcome)
    kept = batch.kept.get(command.key_hash)
    if kept is not None:
        if kept.fingerprint != command.fingerprint:
            return _key_reused()
        return replay(batch, command, kept)
    outcome = decider(batch, command)
    if not isinstance(outcome, ServiceError) or outcome.code in _KEPT_CODES:
        decided = Decided(command, outcome, encode(outcome))
        batch.decided[command.key_hash] = decided
        batch.changes.keys.append(decided)
    return outcome


def _decide_atomic(batch: Batch, command: Atomic) -> AtomicSet | ServiceError:
    return decide_atomic(batch, command, _decide_one)


def _decide_one(batch: Batch, command: SingleCommand) -> SingleOutcome | ServiceError:
    outcome = _decide_keyed(batch, command, _DECIDERS[type(command)])
    assert not isinstance(outcome, AtomicSet)
    return outcome


def _key_reused() -> ServiceError:
    return ServiceError(
        "IDEMPOTENCY_KEY_REUSED", "idempotency_key was used for another request before"
    )


_DECIDERS: dict[type, Callable[[Batch, Any], KeyedOutcome]] = {
    Transfer: decide_transfer,
    CreateWallet: decide_create,
    ChangeStatus: decide_status,
    UpdateWallet: decide_update,
    SetWalletLimits: decide_wallet_limits,
    SetAccountLimits: decide_account_limits,
    FreezeAccount: decide_freeze,
    RegisterAsset: decide_register,
    Authorize: decide_authorize,
    IncrementHold: decide_increment,
    ExtendHold: decide_extend,
    CaptureHold: decide_capture,
    VoidHold: decide_void,
    Reverse: decide_reversal,
    PostTransaction: decide_post,
    Atomic: _decide_atomic,
}

_INTERNAL: dict[type, Callable[[Batch, Any], Outcome]] = {
    LandLeg: decide_landing,
    CloseIntent: decide_close,
    ExpireHold: decide_expiry,
}
