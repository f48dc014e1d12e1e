"""Read limits of wallets and accounts."""

from collections.abc import Sequence

from guilder.wallet.v1 import limits_pb2 as pb
from guilder.wallet.v1 import resources_pb2 as res
from wallet.api import fields
from wallet.api.form import Form
from wallet.api.parse.cause import cause
from wallet.domain import idempotency
from wallet.domain.commands import Limits, SetAccountLimits, SetWalletLimits, VelocityLimit
from wallet.domain.kinds import VelocityBasis, VelocityWindow
from wallet.domain.limits import Violation, check_account_limits, check_limits
from walletkit.errors import invalid_field
from walletkit.ids import new_id, slot_of, slot_of_account


def set_wallet_limits(request: pb.SetWalletLimitsRequest, form: Form) -> SetWalletLimits:
    """Read a wallet's limits. Raise ``ServiceError`` for malformed fields."""
    wallet_id = form.own("wallet_id", request.wallet_id)
    given = request.limits
    limits = Limits(
        given.overdraft_limit_minor,
        given.min_balance_minor if given.HasField("min_balance_minor") else None,
        given.max_balance_minor if given.HasField("max_balance_minor") else None,
        given.max_transaction_minor if given.HasField("max_transaction_minor") else None,
        given.over_capture_percent,
        _velocity(given.velocity, form),
    )
    limits = _checked(limits, check_limits(limits), form)
    key = form.key(request.idempotency_key)
    expected = form.version(request)
    why = cause(request.reason, form)
    form.done()
    slot = slot_of(wallet_id)
    return SetWalletLimits(
        new_id(slot),
        slot,
        wallet_id,
        limits,
        expected,
        idempotency.key_hash(form.client, wallet_id, key),
        idempotency.wallet_limits_fingerprint(wallet_id, limits, expected, why.reason),
        why,
    )


def set_account_limits(request: pb.SetAccountLimitsRequest, form: Form) -> SetAccountLimits:
    """Read an account's limits in a currency. Raise ``ServiceError`` for malformed fields."""
    account_id = form.account(request.account_id)
    currency = form.currency("currency_code", request.currency_code)
    given = request.limits
    limits = Limits(
        max_transaction=(
            given.max_transaction_minor if given.HasField("max_transaction_minor") else None
        ),
        velocity=_velocity(given.velocity, form),
    )
    limits = _checked(limits, check_account_limits(limits), form)
    key = form.key(request.idempotency_key)
    why = cause(request.reason, form)
    form.done()
    slot = slot_of_account(account_id)
    return SetAccountLimits(
        new_id(slot),
        slot,
        account_id,
        currency,
        limits,
        idempotency.key_hash(form.client, account_id.encode(), key),
        idempotency.account_limits_fingerprint(account_id, currency, limits, why.reason),
        why,
    )


def _velocity(given: Sequence[res.VelocityLimit], form: Form) -> tuple[VelocityLimit, ...]:
    """Read velocity limits in the caller's order.

    None where one has no window or basis: the others would be told by wrong places.
    """
    found = []
    for place, one in enumerate(given):
        field = f"limits.velocity[{place}]"
        window = form.read(fields.one_of, VelocityWindow, f"{field}.window", one.window)
        basis = form.read(fields.one_of, VelocityBasis, f"{field}.basis", one.basis)
        found.append(VelocityLimit(window, basis, one.max_amount_minor, one.max_count))
    whole = all(limit.window and limit.basis for limit in found)
    return tuple(found) if whole else ()


def _checked(limits: Limits, violations: Sequence[Violation], form: Form) -> Limits:
    """Refuse what the domain says is malformed, and put the rest in one order."""
    for field, value, rule in violations:
        form.refuse(invalid_field(f"limits.{field}", value, rule))
    return limits._replace(velocity=tuple(sorted(limits.velocity)))
