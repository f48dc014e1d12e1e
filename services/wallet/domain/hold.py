"""Decide holds: money reserved for a while. Captures have a file of their own.

A hold counts as over from its expire time on, whether or not the sweep has released it by then. At
every moment captured + released + open = authorized.
"""

from typing import NamedTuple

from wallet.domain.batch import Balance, Batch, Counterparty, HoldChange
from wallet.domain.checks import (
    check_currency,
    check_funds,
    check_state,
    check_version,
    find,
)
from wallet.domain.commands import (
    Authorize,
    CaptureHold,
    ExpireHold,
    ExtendHold,
    IncrementHold,
    VoidHold,
)
from wallet.domain.kinds import HoldChangeKind, HoldState, WalletStatus
from wallet.domain.limits import begin, refuse_debit
from wallet.domain.outcome import Expired, Hold, HoldSet
from wallet.domain.wallet import not_found, refuse_move
from walletkit.clock import DAY_US
from walletkit.errors import ServiceError
from walletkit.ids import NIL, format_id
from walletkit.money import MAX_AMOUNT_MINOR

DEFAULT_SPAN_US = 7 * DAY_US
"""How long a hold lasts that says nothing else."""
MAX_SPAN_US = 366 * DAY_US
"""How far ahead a hold may end."""

_ENDED = {
    HoldState.EXPIRED: ("HOLD_EXPIRED", "has expired"),
    HoldState.VOIDED: ("HOLD_VOIDED", "was voided"),
    HoldState.CAPTURED: ("HOLD_CAPTURED", "was captured for the last time"),
}


class Found(NamedTuple):
    """A hold and its wallet."""

    hold: Hold
    balance: Balance


def hold_not_found(hold_id: bytes) -> ServiceError:
    """Say that no hold has this id."""
    shown = format_id(hold_id)
    return ServiceError("HOLD_NOT_FOUND", f"no hold {shown}", {"hold_id": shown})


def find_hold(
    batch: Batch, command: IncrementHold | ExtendHold | CaptureHold | VoidHold
) -> Found | ServiceError:
    """Return the hold that a command names, with its wallet."""
    hold = batch.holds.get(command.hold_id)
    if hold is None or hold.wallet_id != command.wallet_id:
        return hold_not_found(command.hold_id)
    balance = batch.balances.get(hold.wallet_id)
    return Found(hold, balance) if balance is not None else not_found(hold.wallet_id)


def check_open(batch: Batch, hold: Hold) -> ServiceError | None:
    """Refuse a hold that has ended, and say how."""
    state = hold.state
    if state == HoldState.AUTHORIZED:
        if batch.now_us < hold.expire_time_us:
            return None
        state = HoldState.EXPIRED
    reason, what = _ENDED[state]
    shown = format_id(hold.hold_id)
    return ServiceError(reason, f"hold {shown} {what}", {"hold_id": shown})


def change_hold(
    batch: Batch, kind: HoldChangeKind, hold: Hold, held_delta: int, tx_id: bytes = b""
) -> Balance:
    """Note a hold as it is from now on. All checks come before: this can't fail."""
    balance = batch.hold(hold.wallet_id, held_delta)
    batch.holds[hold.hold_id] = hold
    batch.changes.holds[hold.hold_id] = hold
    batch.changes.hold_changes.append(HoldChange(kind, hold, balance.version, balance.held, tx_id))
    return balance


def decide_authorize(batch: Batch, command: Authorize) -> HoldSet | ServiceError:
    """Reserve the amount, or say why not."""
    balance = batch.balances.get(command.wallet_id)
    if balance is None:
        return not_found(command.wallet_id)
    destination = None
    if command.destination != NIL:
        found = find(batch, command.destination)
        if isinstance(found, ServiceError):
            return found
        destination = found
    expire_time_us = command.expire_time_us or batch.now_us + DEFAULT_SPAN_US
    refusal = _check_authorize(batch, command, balance, destination, expire_time_us)
    if refusal is not None:
        return refusal
    hold = Hold(
        command.ref,
        command.wallet_id,
        command.currency,
        command.destination,
        HoldState.AUTHORIZED,
        authorized=command.amount,
        captured=0,
        released=0,
        expire_time_us=expire_time_us,
        create_time_us=batch.now_us,
        reference=command.reference,
        opaque=command.opaque,
    )
    if balance.flags:
        begin(batch, command.wallet_id, balance)
    change_hold(batch, HoldChangeKind.AUTHORIZED, hold, command.amount)
    batch.changes.new_holds.add(hold.hold_id)
    return HoldSet(hold, balance.after(), replayed=False)


def _check_authorize(
    batch: Batch,
    command: Authorize,
    balance: Balance,
    destination: Balance | Counterparty | None,
    expire_time_us: int,
) -> ServiceError | None:
    wallet_id, amount = command.wallet_id, command.amount
    refusal = check_state(wallet_id, balance, debit=True)
    if refusal is None and destination is not None:
        refusal = check_state(command.destination, destination, debit=False)
    if refusal is None:
        refusal = check_currency(wallet_id, balance.currency, command.currency)
    if refusal is None and destination is not None:
        refusal = check_currency(command.destination, destination.currency, command.currency)
    return (
        refusal
        or check_version(wallet_id, balance.version, command.expected_version)
        or _check_expire_time(expire_time_us, batch.now_us, batch.now_us)
        or refuse_debit(batch, wallet_id, balance, amount, reserving=True)
        or check_funds(wallet_id, balance.available, amount)
    )


def decide_increment(batch: Batch, command: IncrementHold) -> HoldSet | ServiceError:
    """Reserve more under the hold, or say why not."""
    found = find_hold(batch, command)
    if isinstance(found, ServiceError):
        return found
    hold, balance = found
    wallet_id, amount = hold.wallet_id, command.amount
    refusal = (
        check_open(batch, hold)
        or check_state(wallet_id, balance, debit=True)
        or check_currency(wallet_id, hold.currency, command.currency)
        or check_version(wallet_id, balance.version, command.expected_version)
        or refuse_debit(batch, wallet_id, balance, amount, authorized=hold.authorized)
        or _check_size(hold, amount)
        or check_funds(wallet_id, balance.available, amount)
    )
    if refusal is not None:
        return refusal
    hold = hold._replace(authorized=hold.authorized + amount)
    change_hold(batch, HoldChangeKind.INCREMENTED, hold, amount)
    return HoldSet(hold, balance.after(), replayed=False)


def decide_extend(batch: Batch, command: ExtendHold) -> HoldSet | ServiceError:
    """Let the hold end later, or say why not. A frozen wallet does not matter."""
    found = find_hold(batch, command)
    if isinstance(found, ServiceError):
        return found
    hold, balance = found
    refusal = check_open(batch, hold)
    if refusal is None and balance.status == WalletStatus.CLOSED:
        refusal = refuse_move(hold.wallet_id, balance.status, 0, debit=True)
    refusal = (
        refusal
        or check_version(hold.wallet_id, balance.version, command.expected_version)
        or _check_expire_time(command.expire_time_us, hold.expire_time_us, batch.now_us)
    )
    if refusal is not None:
        return refusal
    hold = hold._replace(expire_time_us=command.expire_time_us)
    change_hold(batch, HoldChangeKind.EXTENDED, hold, 0)
    return HoldSet(hold, balance.after(), replayed=False)


def decide_void(batch: Batch, command: VoidHold) -> HoldSet | ServiceError:
    """Release what the hold still reserves, or say why not. A frozen wallet does not matter."""
    found = find_hold(batch, command)
    if isinstance(found, ServiceError):
        return found
    hold, balance = found
    refusal = check_open(batch, hold) or check_version(
        hold.wallet_id, balance.version, command.expected_version
    )
    if refusal is not None:
        return refusal
    hold = _release(batch, hold, HoldChangeKind.VOIDED, HoldState.VOIDED)
    return HoldSet(hold, balance.after(), replayed=False)


def decide_expiry(batch: Batch, command: ExpireHold) -> Expired:
    """Release what a hold whose time is over still reserves; nothing else happens, ever."""
    hold = batch.holds.get(command.hold_id)
    due = (
        hold is not None
        and hold.state == HoldState.AUTHORIZED
        and batch.now_us >= hold.expire_time_us
    )
    if hold is not None and due:
        _release(batch, hold, HoldChangeKind.EXPIRED, HoldState.EXPIRED)
    return Expired()


def _release(batch: Batch, hold: Hold, kind: HoldChangeKind, state: HoldState) -> Hold:
    left = hold.open
    hold = hold._replace(state=state, released=hold.released + left)
    change_hold(batch, kind, hold, -left)
    return hold


def _check_expire_time(asked_us: int, before_us: int, now_us: int) -> ServiceError | None:
    """Refuse a time that is not later than ``before_us``, or too far ahead."""
    latest_us = now_us + MAX_SPAN_US
    if before_us < asked_us <= latest_us:
        return None
    return ServiceError(
        "HOLD_EXPIRE_TIME",
        f"expire_time must be later than {before_us} and not later than {latest_us} microseconds",
        {"after_us": str(before_us), "latest_us": str(latest_us)},
    )


def _check_size(hold: Hold, amount: int) -> ServiceError | None:
    """Refuse to authorize more, all increments together, than one posting may move.

    All that is open can be captured at once.
    """
    if hold.authorized + amount <= MAX_AMOUNT_MINOR:
        return None
    shown = format_id(hold.hold_id)
    return ServiceError(
        "BALANCE_OVERFLOW",
        f"hold {shown} can't come to more than {MAX_AMOUNT_MINOR} minor units",
        {"hold_id": shown, "limit_minor": str(MAX_AMOUNT_MINOR)},
    )
