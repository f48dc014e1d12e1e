"""Refuse what goes beyond the limits of a wallet or its account. Pure.

The rule of a DEBITS limit holds at every moment: what left the wallets within the window, and what
open holds reserve, never exceed the limit together, provided they did not when it was set. Whatever
reserves or takes money is refused where it would break it, under the lock of the row, so that no
storm of callers gets past it. Four points follow.

- A hold counts for as long as it is open, whenever it began: were it forgotten at the end of its
  window, it could be captured in the next one beside a full use of that.
- A capture moves its amount from what is held to what is used. The sum stays, so captures need no
  check; only what goes beyond the hold does, as the increment that it is.
- NET_DEBITS subtracts what came in, and forgets it with its window, while holds stay. So credits
  make room for direct debits, never for holds: what is held must fit below the limit by itself.
- A debit and a credit between two wallets of an account are both counted for the account.

What comes in from another shard was decided there: here it is counted, and only the maximum
balance can send it back (``can_land``). What comes back to its own wallet always lands.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from wallet.domain.batch import Balance, Batch
from wallet.domain.bound import Bound
from wallet.domain.commands import Limits, VelocityLimit
from wallet.domain.kinds import ACCOUNT_LIMITED, LIMITED, VelocityBasis, VelocityWindow
from wallet.domain.limit_errors import (
    above_maximum,
    below_minimum,
    over_cap,
    over_capture,
    over_velocity,
)
from wallet.domain.outcome import Hold
from walletkit.errors import ServiceError
from walletkit.money import MAX_AMOUNT_MINOR

MAX_VELOCITY_LIMITS = 9
"""How many velocity limits a wallet or account may have."""
MAX_COUNT = 10**9
"""The largest bound of a count."""
MAX_PERCENT = 100

Violation = tuple[str, object, str]
"""A field of limits, its value, and the rule that it breaks."""


@dataclass(slots=True)
class _Debit:
    """A debit or hold that is asked for."""

    batch: Batch
    wallet_id: bytes
    balance: Balance
    amount: int
    whole: int
    """What the per-transaction cap bounds: of an increment the whole hold."""
    reserving: bool
    begins: bool
    extra: dict[bytes, int]
    """By wallet and account: what else is about to leave them or be held."""
    begun: dict[bytes, int]
    """By wallet and account: how many debits are about to begin before this one."""


def refuse_debit(
    batch: Batch,
    wallet_id: bytes,
    balance: Balance,
    amount: int,
    *,
    extra_held: int = 0,
    reserving: bool = False,
    authorized: int = 0,
) -> ServiceError | None:
    """Say why an amount can't leave a wallet or be held in it, or None.

    ``extra_held``: what the same command is about to hold or take besides.
    ``reserving``: the amount is for a hold. ``authorized``: what that hold has before, where it
    is incremented; then no new debit begins, and the cap bounds the whole hold.
    """
    if not balance.flags & (LIMITED | ACCOUNT_LIMITED):
        return None
    extra = {bound.owner: extra_held for bound in batch.bounds_of(wallet_id, balance)}
    return _refuse_debit(
        _Debit(
            batch,
            wallet_id,
            balance,
            amount,
            whole=authorized + amount,
            reserving=reserving or authorized > 0,
            begins=authorized == 0,
            extra=extra,
            begun={},
        )
    )


def refuse_debits(batch: Batch, debits: Iterable[tuple[bytes, int]]) -> ServiceError | None:
    """Say why the debits of one transaction can't be made one after another, or None.

    Each is checked as though those before it had been made. Wallets without limits may be among
    them, and system wallets, which never have any.
    """
    extra: dict[bytes, int] = {}
    begun: dict[bytes, int] = {}
    for wallet_id, amount in debits:
        balance = batch.balances.get(wallet_id)
        if balance is None or not balance.flags & (LIMITED | ACCOUNT_LIMITED):
            continue
        refusal = _refuse_debit(
            _Debit(
                batch,
                wallet_id,
                balance,
                amount,
                whole=amount,
                reserving=False,
                begins=True,
                extra=extra,
                begun=begun,
            )
        )
        if refusal is not None:
            return refusal
        for bound in batch.bounds_of(wallet_id, balance):
            extra[bound.owner] = extra.get(bound.owner, 0) + amount
            begun[bound.owner] = begun.get(bound.owner, 0) + 1
    return None


def refuse_credit(
    batch: Batch, wallet_id: bytes, balance: Balance, amount: int
) -> ServiceError | None:
    """Say why an amount can't come into a wallet, or None."""
    return refuse_credits(batch, [(wallet_id, amount)]) if balance.flags else None


def refuse_credits(batch: Batch, credits_: Iterable[tuple[bytes, int]]) -> ServiceError | None:
    """Say why the credits of one transaction can't be made one after another, or None.

    Each is checked as though those before it had been made, and none of the debits.
    """
    extra: dict[bytes, int] = {}
    received: dict[bytes, int] = {}
    for wallet_id, amount in credits_:
        balance = batch.balances.get(wallet_id)
        if balance is None or not balance.flags & (LIMITED | ACCOUNT_LIMITED):
            continue
        bounds = batch.bounds_of(wallet_id, balance)
        refusal = _refuse_credit(batch, wallet_id, balance, amount, bounds, extra, received)
        if refusal is not None:
            return refusal
        for bound in bounds:
            extra[bound.owner] = extra.get(bound.owner, 0) + amount
            received[bound.owner] = received.get(bound.owner, 0) + 1
    return None


def can_land(batch: Batch, wallet_id: bytes, balance: Balance, amount: int) -> bool:
    """Tell whether a credit from another shard stays within the wallet's maximum balance.

    One that does not goes back; a credit that comes back itself always lands.
    """
    if not balance.flags & LIMITED:
        return True
    most = batch.bounds[wallet_id].limits.max_balance
    return most is None or balance.posted + amount <= most


def refuse_capture(batch: Batch, hold: Hold, balance: Balance, amount: int) -> ServiceError | None:
    """Say why an amount can't be captured, or None.

    What is still reserved always can. What goes beyond, by at most the wallet's over-capture limit,
    is held first: limits bind that part like any increment. Such a capture must be the hold's last
    one, else the next would be measured by a hold that has grown. A wallet without limits refuses
    any such capture.
    """
    excess = amount - hold.open
    if excess <= 0:
        return None
    percent = 0
    if balance.flags & LIMITED:
        percent = batch.bounds[hold.wallet_id].limits.over_capture_percent
    allowed = hold.authorized + hold.authorized * percent // 100
    if hold.captured + amount > allowed:
        return over_capture(hold, amount, allowed - hold.captured)
    return refuse_debit(
        batch, hold.wallet_id, balance, excess, reserving=True, authorized=hold.authorized
    )


def begin(batch: Batch, wallet_id: bytes, balance: Balance) -> None:
    """Count one more debit of a wallet: a direct one, or a hold, never its captures."""
    if balance.flags & (LIMITED | ACCOUNT_LIMITED):
        for bound in batch.bounds_of(wallet_id, balance):
            bound.begin(batch.now_us)
            batch.changes.bounds[bound.owner] = bound


def check_limits(limits: Limits) -> list[Violation]:
    """Return what is malformed about a wallet's limits: fields as in ``WalletLimits``."""
    violations: list[Violation] = []
    amounts = (
        ("overdraft_limit_minor", limits.overdraft),
        ("min_balance_minor", limits.min_balance),
        ("max_balance_minor", limits.max_balance),
        ("max_transaction_minor", limits.max_transaction),
    )
    for field, value in amounts:
        if value is not None and not 0 <= value <= MAX_AMOUNT_MINOR:
            violations.append((field, value, f"must be from 0 to {MAX_AMOUNT_MINOR}"))
    if not 0 <= limits.over_capture_percent <= MAX_PERCENT:
        rule = f"must be from 0 to {MAX_PERCENT}"
        violations.append(("over_capture_percent", limits.over_capture_percent, rule))
    least, most = limits.min_balance, limits.max_balance
    if least is not None and most is not None and least > most:
        violations.append(("min_balance_minor", least, "must not exceed max_balance_minor"))
    return violations + _check_velocity(limits.velocity)


def check_account_limits(limits: Limits) -> list[Violation]:
    """Return what is malformed about an account's limits: only a cap and velocity limits exist."""
    rule = "must not be set for an account"
    violations: list[Violation] = []
    if limits.overdraft:
        violations.append(("overdraft_limit_minor", limits.overdraft, rule))
    if limits.min_balance is not None:
        violations.append(("min_balance_minor", limits.min_balance, rule))
    if limits.max_balance is not None:
        violations.append(("max_balance_minor", limits.max_balance, rule))
    if limits.over_capture_percent:
        violations.append(("over_capture_percent", limits.over_capture_percent, rule))
    cap = Limits(max_transaction=limits.max_transaction, velocity=limits.velocity)
    return violations + check_limits(cap)


def _refuse_debit(debit: _Debit) -> ServiceError | None:
    bounds = debit.batch.bounds_of(debit.wallet_id, debit.balance)
    for bound in bounds:
        cap = bound.limits.max_transaction
        if cap is not None and debit.whole > cap:
            return over_cap(debit.wallet_id, bound, cap, debit.whole)
    for bound in bounds:
        least = bound.limits.min_balance
        left = debit.balance.posted - debit.balance.held - debit.extra.get(bound.owner, 0)
        if least is not None and left - debit.amount < least:
            return below_minimum(debit.wallet_id, least, left, debit.amount)
    for bound in bounds:
        for limit in bound.limits.velocity:
            if limit.basis != VelocityBasis.CREDITS:
                refusal = _refuse_velocity(debit, bound, limit)
                if refusal is not None:
                    return refusal
    return None


def _refuse_velocity(debit: _Debit, bound: Bound, limit: VelocityLimit) -> ServiceError | None:
    now_us = debit.batch.now_us
    spent = bound.spent(limit.window, now_us)
    held = debit.balance.held if bound.owner == debit.wallet_id else bound.held
    extra = debit.extra.get(bound.owner, 0)
    if limit.basis == VelocityBasis.DEBITS:
        used = spent.debits + held + extra
    elif debit.reserving:
        used = max(spent.net, 0) + held + extra
    else:
        used = spent.net + held + extra
    if limit.max_amount and used + debit.amount > limit.max_amount:
        return over_velocity(debit.wallet_id, bound, limit, now_us, used, debit.amount)
    begun = spent.begun + debit.begun.get(bound.owner, 0)
    if limit.max_count and debit.begins and begun >= limit.max_count:
        return over_velocity(debit.wallet_id, bound, limit, now_us, begun)
    return None


def _refuse_credit(  # what one check compares
    batch: Batch,
    wallet_id: bytes,
    balance: Balance,
    amount: int,
    bounds: list[Bound],
    extra: dict[bytes, int],
    received: dict[bytes, int],
) -> ServiceError | None:
    for bound in bounds:
        cap = bound.limits.max_transaction
        if cap is not None and amount > cap:
            return over_cap(wallet_id, bound, cap, amount)
    for bound in bounds:
        most = bound.limits.max_balance
        posted = balance.posted + extra.get(bound.owner, 0)
        if most is not None and posted + amount > most:
            return above_maximum(wallet_id, most, posted, amount)
    for bound in bounds:
        for limit in bound.limits.velocity:
            if limit.basis != VelocityBasis.CREDITS:
                continue
            spent = bound.spent(limit.window, batch.now_us)
            used = spent.credits + extra.get(bound.owner, 0)
            if limit.max_amount and used + amount > limit.max_amount:
                return over_velocity(wallet_id, bound, limit, batch.now_us, used, amount)
            count = spent.received + received.get(bound.owner, 0)
            if limit.max_count and count >= limit.max_count:
                return over_velocity(wallet_id, bound, limit, batch.now_us, count)
    return None


def _check_velocity(velocity: tuple[VelocityLimit, ...]) -> list[Violation]:
    if len(velocity) > MAX_VELOCITY_LIMITS:
        rule = f"must have at most {MAX_VELOCITY_LIMITS} entries"
        return [("velocity", len(velocity), rule)]
    violations: list[Violation] = []
    seen: set[tuple[VelocityWindow, VelocityBasis]] = set()
    for index, limit in enumerate(velocity):
        field = f"velocity[{index}]"
        if (limit.window, limit.basis) in seen:
            shown = f"{limit.window.name} {limit.basis.name}"
            violations.append((field, shown, "must be the only one of its window and basis"))
        seen.add((limit.window, limit.basis))
        violations += _check_velocity_limit(field, limit)
    return violations


def _check_velocity_limit(field: str, limit: VelocityLimit) -> list[Violation]:
    violations: list[Violation] = []
    amount, count = limit.max_amount, limit.max_count
    if not 0 <= amount <= MAX_AMOUNT_MINOR:
        rule = f"must be from 0 to {MAX_AMOUNT_MINOR}"
        violations.append((f"{field}.max_amount_minor", amount, rule))
    if not 0 <= count <= MAX_COUNT:
        violations.append((f"{field}.max_count", count, f"must be from 0 to {MAX_COUNT}"))
    if count and limit.basis == VelocityBasis.NET_DEBITS:
        violations.append((f"{field}.max_count", count, "must be 0: what is net has no count"))
    if not amount and not count:
        rule = "must be set, or max_count"
        violations.append((f"{field}.max_amount_minor", amount, rule))
    return violations
