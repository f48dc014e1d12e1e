"""What limits answer where they refuse: reasons, sentences, and values for machines. Pure."""

from wallet.domain.bound import Bound
from wallet.domain.commands import VelocityLimit
from wallet.domain.outcome import Hold
from walletkit.clock import to_datetime
from walletkit.errors import ServiceError
from walletkit.ids import format_id


def over_cap(wallet_id: bytes, bound: Bound, cap: int, requested: int) -> ServiceError:
    """Say that one transaction is too large."""
    shown, owner = format_id(wallet_id), _owner_kind(wallet_id, bound)
    return ServiceError(
        "TRANSACTION_LIMIT",
        f"one transaction of the {owner} of wallet {shown} may move {cap} minor units, "
        f"{requested} are asked for",
        {"wallet_id": shown, "owner": owner, "limit": str(cap), "requested": str(requested)},
    )


def below_minimum(wallet_id: bytes, least: int, left: int, requested: int) -> ServiceError:
    """Say that a wallet must keep more."""
    shown = format_id(wallet_id)
    return ServiceError(
        "BALANCE_BELOW_MINIMUM",
        f"wallet {shown} must keep {least} minor units and has {left} that are not held, "
        f"{requested} are asked for",
        {
            "wallet_id": shown,
            "limit": str(least),
            "balance": str(left),
            "requested": str(requested),
        },
    )


def above_maximum(wallet_id: bytes, most: int, posted: int, requested: int) -> ServiceError:
    """Say that a wallet may not hold so much."""
    shown = format_id(wallet_id)
    return ServiceError(
        "BALANCE_ABOVE_MAXIMUM",
        f"wallet {shown} may hold {most} minor units and has {posted}, {requested} would come in",
        {
            "wallet_id": shown,
            "limit": str(most),
            "balance": str(posted),
            "requested": str(requested),
        },
    )


def over_capture(hold: Hold, amount: int, allowed: int) -> ServiceError:
    """Say that a hold was not made for so much; ``allowed`` is what can be captured now."""
    shown = format_id(hold.hold_id)
    return ServiceError(
        "HOLD_OVER_CAPTURE",
        f"of hold {shown} {allowed} minor units can be captured, {amount} are asked for",
        {"hold_id": shown, "limit": str(allowed), "requested": str(amount)},
    )


def over_velocity(  # what the caller is told, one for one
    wallet_id: bytes,
    bound: Bound,
    limit: VelocityLimit,
    now_us: int,
    used: int,
    amount: int | None = None,
) -> ServiceError:
    """Say which limit is used up; without an amount it is a count."""
    shown, owner = format_id(wallet_id), _owner_kind(wallet_id, bound)
    most = limit.max_count if amount is None else limit.max_amount
    requested = 1 if amount is None else amount
    end = to_datetime(bound.window_end_us(limit.window, now_us)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return ServiceError(
        "VELOCITY_LIMIT",
        f"the {owner} of wallet {shown} has used {used} of {most} until {end}, "
        f"{requested} more are asked for",
        {
            "wallet_id": shown,
            "owner": owner,
            "window": limit.window.name,
            "basis": limit.basis.name,
            "measure": "COUNT" if amount is None else "AMOUNT",
            "limit": str(most),
            "used": str(used),
            "requested": str(requested),
            "window_end_time": end,
        },
    )


def _owner_kind(wallet_id: bytes, bound: Bound) -> str:
    return "wallet" if bound.owner == wallet_id else "account"
