"""Limited wallets and accounts for tests of the deciders."""

from tests.domain.commands_for_tests import HERE, balance, make_batch
from wallet.domain.batch import Batch
from wallet.domain.bound import Bound, account_owner
from wallet.domain.commands import Limits, VelocityLimit
from wallet.domain.kinds import ACCOUNT_LIMITED, LIMITED, VelocityBasis, VelocityWindow
from walletkit.errors import ServiceError

ACCOUNT = "someone"
OWNER = account_owner(ACCOUNT, "EUR")
HOUR, DAY, MONTH = VelocityWindow.HOUR, VelocityWindow.DAY, VelocityWindow.MONTH
DEBITS, CREDITS, NET_DEBITS = (
    VelocityBasis.DEBITS,
    VelocityBasis.CREDITS,
    VelocityBasis.NET_DEBITS,
)


def velocity(
    basis: VelocityBasis,
    max_amount: int = 0,
    max_count: int = 0,
    *,
    window: VelocityWindow = DAY,
) -> Limits:
    """Make limits of one velocity limit."""
    return Limits(velocity=(VelocityLimit(window, basis, max_amount, max_count),))


def limited_batch(
    wallets: dict[bytes, Limits | None], account: Limits | None = None, *, posted: int = 1000
) -> Batch:
    """Make a batch of wallets of one account, which may be limited too."""
    batch = make_batch({wallet_id: balance(posted) for wallet_id in wallets})
    for wallet_id, limits in wallets.items():
        if limits is not None:
            batch.bounds[wallet_id] = Bound(wallet_id, HERE, limits, 0)
            batch.balances[wallet_id].flags |= LIMITED
        if account is not None:
            batch.owners[wallet_id] = OWNER
            batch.balances[wallet_id].flags |= ACCOUNT_LIMITED
    if account is not None:
        batch.bounds[OWNER] = Bound(OWNER, HERE, account, 0)
    return batch


def reason(refusal: ServiceError | None) -> str | None:
    """Return why something was refused; None where it was not."""
    return refusal.reason if refusal else None
