"""Decide one command against a batch. The one door to every change of a balance.

A new kind of movement is a new command, a pure function, and a line here.
"""

from wallet.domain.batch import Batch, Decided, Kept, NewKey
from wallet.domain.commands import (
    CloseIntent,
    Command,
    CreateWallet,
    KeyedCommand,
    LandLeg,
    Transfer,
)
from wallet.domain.kinds import TransactionState
from wallet.domain.leg import decide_close, decide_landing
from wallet.domain.outcome import (
    Outcome,
    Posted,
    WalletSet,
    decode_posted,
    decode_wallet,
    encode,
    facts_of,
)
from wallet.domain.transfer import decide_transfer
from wallet.domain.wallet import decide_create, decide_status, not_found
from walletkit.errors import Code, ServiceError

_KEPT_CODES = frozenset({Code.FAILED_PRECONDITION, Code.ABORTED})
"""Declines that are a decision.

NOT_FOUND and UNAVAILABLE may be otherwise next time, so they are not kept.
"""


def decide(batch: Batch, command: Command) -> Outcome:
    """Return what the command comes to, and note in the batch what it changes."""
    if isinstance(command, LandLeg):
        return decide_landing(batch, command)
    if isinstance(command, CloseIntent):
        return decide_close(batch, command)
    return _decide_keyed(batch, command)


def _decide_keyed(batch: Batch, command: KeyedCommand) -> Posted | WalletSet | ServiceError:
    """Return the key's decision of before, or decide now and keep it."""
    decided = batch.decided.get(command.key_hash)
    if decided is not None:
        if decided.fingerprint != command.fingerprint:
            return _key_reused()
        return _as_replay(decided.outcome)
    kept = batch.kept.get(command.key_hash)
    if kept is not None:
        if kept.fingerprint != command.fingerprint:
            return _key_reused()
        return _replay(batch, command, kept)
    outcome = _decide_new(batch, command)
    if not isinstance(outcome, ServiceError) or outcome.code in _KEPT_CODES:
        batch.decided[command.key_hash] = Decided(command.ref, command.fingerprint, outcome)
        batch.changes.keys.append(NewKey(command, encode(outcome)))
    return outcome


def _decide_new(batch: Batch, command: KeyedCommand) -> Posted | WalletSet | ServiceError:
    if isinstance(command, Transfer):
        return decide_transfer(batch, command)
    if isinstance(command, CreateWallet):
        return decide_create(batch, command)
    return decide_status(batch, command)


def _replay(batch: Batch, command: KeyedCommand, kept: Kept) -> Posted | WalletSet | ServiceError:
    """Return what was decided before.

    Kept under the command's own ref, it is this call's: a rerun of a lost commit.
    """
    own = kept.ref == command.ref
    outcome: Posted | WalletSet | ServiceError
    if isinstance(command, Transfer):
        first = command._replace(ref=kept.ref)
        outcome = decode_posted(kept.outcome, first, kept.state or TransactionState.COMPLETED)
    elif isinstance(command, CreateWallet):
        outcome = decode_wallet(kept.outcome, facts_of(command._replace(ref=kept.ref), 0))
    else:
        facts = batch.facts.get(command.wallet_id)
        outcome = decode_wallet(kept.outcome, facts) if facts else not_found(command.wallet_id)
    if own and not isinstance(outcome, ServiceError):
        return outcome._replace(replayed=False)
    return outcome


def _as_replay(outcome: Posted | WalletSet | ServiceError) -> Posted | WalletSet | ServiceError:
    if isinstance(outcome, ServiceError):
        return outcome
    return outcome._replace(replayed=True)


def _key_reused() -> ServiceError:
    return ServiceError(
        "IDEMPOTENCY_KEY_REUSED", "idempotency_key was used for another request before"
    )
