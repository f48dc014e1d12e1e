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

A credit from another shard that goes beyond the limits goes back when it arrives. What comes back
to the wallet that paid it is never refused, and counted like any credit.
"""

from wallet.domain.batch import Balance, Batch
from wallet.domain.bound import Bound, Spent
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


def refuse_debit(
    batch: Batch,
    wallet_id: bytes,
    balance: Balance,
    amount: int,
    *,
    reserving: bool = False,
    authorized: int = 0,
) -> ServiceError | None:
    """Say why an amount can't leave a wallet or be held in it, or None.

    ``reserving``: the amount is for a hold. ``authorized``: what that hold has before, where it
    is incremented; then no new debit begins, and the cap bounds the whole hold.
    """
    if not balance.flags & (LIMITED | ACCOUNT_LIMITED):
        return None
    bounds = batch.bounds_of(wallet_id, balance)
    refusal = _refuse_size(wallet_id, bounds, authorized + amount)
    if refusal is not None:
        return refusal
    left = balance.posted - balance.held
    for bound in bounds:
        least = bound.limits.min_balance
        if least is not None and left - amount < least:
            return below_minimum(wallet_id, least, left, amount)
    reserving = reserving or authorized > 0
    for bound in bounds:
        held = balance.held if bound.owner == wallet_id else bound.held
        for limit in bound.limits.velocity:
            if limit.basis == VelocityBasis.CREDITS:
                continue
            spent = bound.spent(limit.window, batch.now_us)
            used = held + _used(spent, limit.basis, reserving=reserving)
            if limit.max_amount and used + amount > limit.max_amount:
                return over_velocity(wallet_id, bound, limit, batch.now_us, used, amount)
            if limit.max_count and not authorized and spent.begun >= limit.max_count:
                return over_velocity(wallet_id, bound, limit, batch.now_us, spent.begun)
    return None


def refuse_credit(
    batch: Batch, wallet_id: bytes, balance: Balance, amount: int
) -> ServiceError | None:
    """Say why an amount can't come into a wallet, or None."""
    if not balance.flags & (LIMITED | ACCOUNT_LIMITED):
        return None
    bounds = batch.bounds_of(wallet_id, balance)
    refusal = _refuse_size(wallet_id, bounds, amount)
    if refusal is not None:
        return refusal
    for bound in bounds:
        most = bound.limits.max_balance
        if most is not None and balance.posted + amount > most:
            return above_maximum(wallet_id, most, balance.posted, amount)
    for bound in bounds:
        for limit in bound.limits.velocity:
            if limit.basis != VelocityBasis.CREDITS:
                continue
            spent = bound.spent(limit.window, batch.now_us)
            if limit.max_amount and spent.credits + amount > limit.max_amount:
                return over_velocity(wallet_id, bound, limit, batch.now_us, spent.credits, amount)
            if limit.max_count and spent.received >= limit.max_count:
                return over_velocity(wallet_id, bound, limit, batch.now_us, spent.received)
    return None


def refuse_capture(batch: Batch, hold: Hold, balance: Balance, amount: int) -> ServiceError | None:
    """Say why an amount can't be captured, or None.

    What is still reserved always can. What goes beyond, by at most the wallet's over-capture limit,
    is held first: limits bind that part like any increment. Such a capture ends the hold, so that
    no other is measured by what it has grown to. A wallet without limits refuses any such capture.
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
    return refuse_debit(batch, hold.wallet_id, balance, excess, authorized=hold.authorized)


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


def _refuse_size(wallet_id: bytes, bounds: list[Bound], amount: int) -> ServiceError | None:
    for bound in bounds:
        cap = bound.limits.max_transaction
        if cap is not None and amount > cap:
            return over_cap(wallet_id, bound, cap, amount)
    return None


def _used(spent: Spent, basis: VelocityBasis, *, reserving: bool) -> int:
    """Return what counts as used beside what is held; below zero where more came in than left."""
    if basis == VelocityBasis.DEBITS:
        return spent.debits
    return max(spent.net, 0) if reserving else spent.net


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
