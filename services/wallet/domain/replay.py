"""Say again what a key came to: the decision and the balances of then, the state of now."""

from collections.abc import Callable
from typing import Any

from wallet.domain.batch import Batch, Kept
from wallet.domain.capture import capture_transfer
from wallet.domain.commands import (
    Atomic,
    Authorize,
    CaptureHold,
    ChangeStatus,
    CreateWallet,
    ExtendHold,
    FreezeAccount,
    IncrementHold,
    KeyedCommand,
    PostTransaction,
    RegisterAsset,
    Reverse,
    SetAccountLimits,
    SetWalletLimits,
    Transfer,
    UpdateWallet,
    VoidHold,
)
from wallet.domain.hold import hold_not_found
from wallet.domain.kept import (
    decode_account,
    decode_declined,
    decode_hold,
    decode_lines,
    decode_moved,
    decode_posted,
    decode_wallet,
    is_declined,
)
from wallet.domain.kinds import HoldState, TransactionState
from wallet.domain.outcome import (
    AccountSet,
    AssetSet,
    AtomicSet,
    Hold,
    HoldSet,
    KeyedOutcome,
    Posted,
    SingleOutcome,
    WalletSet,
    facts_of,
)
from wallet.domain.post import home_lines, post_transfer
from wallet.domain.reversal import reversal_transfer
from wallet.domain.wallet import not_found
from walletkit.errors import ServiceError


def replay(batch: Batch, command: KeyedCommand, kept: Kept) -> KeyedOutcome:
    """Return what was decided before.

    Kept under the command's own ref, it is this call's: a rerun of a lost commit.
    """
    if is_declined(kept.outcome):
        return decode_declined(kept.outcome)
    outcome = _REPLAYS[type(command)](batch, command, kept)
    if kept.ref == command.ref and not isinstance(outcome, ServiceError):
        return outcome._replace(replayed=False)
    return outcome


def as_replay(outcome: KeyedOutcome) -> KeyedOutcome:
    """Return what was decided earlier in the same batch, for the one who asks again."""
    if isinstance(outcome, ServiceError):
        return outcome
    if isinstance(outcome, AtomicSet):
        again = tuple(one._replace(replayed=True) for one in outcome.outcomes)
        return AtomicSet(again, replayed=True)
    return outcome._replace(replayed=True)


def _state(kept: Kept) -> TransactionState:
    return kept.state or TransactionState.COMPLETED


def _transfer(_: Batch, command: Transfer, kept: Kept) -> Posted | ServiceError:
    return decode_posted(kept.outcome, command._replace(ref=kept.ref), _state(kept))


def _capture(batch: Batch, command: CaptureHold, kept: Kept) -> Posted | ServiceError:
    hold = batch.holds.get(command.hold_id)
    if hold is None:
        return hold_not_found(command.hold_id)
    first = command._replace(ref=kept.ref)
    told = lambda amount: capture_transfer(first, amount)  # noqa: E731  # shorter than its name
    return decode_moved(kept.outcome, told, _state(kept), hold)


def _reversal(_: Batch, command: Reverse, kept: Kept) -> Posted | ServiceError:
    first = command._replace(ref=kept.ref)
    told = lambda amount: reversal_transfer(first, amount)  # noqa: E731
    return decode_moved(kept.outcome, told, _state(kept))


def _post(batch: Batch, command: PostTransaction, kept: Kept) -> Posted | ServiceError:
    lines = home_lines(command.lines, batch.shard)
    told = post_transfer(command._replace(ref=kept.ref), lines)
    return decode_lines(kept.outcome, told, lines, _state(kept))


def _create(_: Batch, command: CreateWallet, kept: Kept) -> WalletSet | ServiceError:
    return decode_wallet(kept.outcome, facts_of(command._replace(ref=kept.ref), 0))


def _wallet(
    batch: Batch, command: ChangeStatus | UpdateWallet | SetWalletLimits, kept: Kept
) -> WalletSet | ServiceError:
    facts = batch.facts.get(command.wallet_id)
    if facts is None:
        return not_found(command.wallet_id)
    if isinstance(command, UpdateWallet):
        facts = facts._replace(opaque=command.opaque)
    outcome = decode_wallet(kept.outcome, facts)
    if isinstance(command, SetWalletLimits) and not isinstance(outcome, ServiceError):
        return outcome._replace(limits=command.limits)
    return outcome


def _account(
    _: Batch, command: FreezeAccount | SetAccountLimits, kept: Kept
) -> AccountSet | ServiceError:
    outcome = decode_account(kept.outcome, command.account_id)
    if isinstance(command, SetAccountLimits) and not isinstance(outcome, ServiceError):
        return outcome._replace(currency=command.currency, limits=command.limits)
    return outcome


def _asset(_: Batch, command: RegisterAsset, _kept: Kept) -> AssetSet:
    return AssetSet(command.currency, command.exponent, replayed=True)


def _authorize(_: Batch, command: Authorize, kept: Kept) -> HoldSet | ServiceError:
    hold = Hold(
        kept.ref,
        command.wallet_id,
        command.currency,
        command.destination,
        HoldState.AUTHORIZED,
        authorized=command.amount,
        captured=0,
        released=0,
        expire_time_us=command.expire_time_us,
        create_time_us=0,
        reference=command.reference,
        opaque=command.opaque,
    )
    return decode_hold(kept.outcome, hold)


def _hold(
    batch: Batch, command: IncrementHold | ExtendHold | VoidHold, kept: Kept
) -> HoldSet | ServiceError:
    hold = batch.holds.get(command.hold_id)
    return decode_hold(kept.outcome, hold) if hold else hold_not_found(command.hold_id)


def _atomic(batch: Batch, command: Atomic, _kept: Kept) -> AtomicSet | ServiceError:
    """Replay each command from its own key: they were kept by the same commit."""
    outcomes: list[SingleOutcome] = []
    for one in command.commands:
        found = batch.kept.get(one.key_hash)
        if found is None:
            return ServiceError("INTERNAL", "a command of an atomic batch has lost its outcome")
        outcome = replay(batch, one, found)
        if isinstance(outcome, ServiceError | AtomicSet):
            return outcome
        outcomes.append(outcome)
    return AtomicSet(tuple(outcomes), replayed=True)


_REPLAYS: dict[type, Callable[[Batch, Any, Kept], KeyedOutcome]] = {
    Transfer: _transfer,
    CreateWallet: _create,
    ChangeStatus: _wallet,
    UpdateWallet: _wallet,
    SetWalletLimits: _wallet,
    SetAccountLimits: _account,
    FreezeAccount: _account,
    RegisterAsset: _asset,
    Authorize: _authorize,
    IncrementHold: _hold,
    ExtendHold: _hold,
    CaptureHold: _capture,
    VoidHold: _hold,
    Reverse: _reversal,
    PostTransaction: _post,
    Atomic: _atomic,
}
