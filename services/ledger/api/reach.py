"""Find the wallets that a caller reaches: a customer those of one account, others all. No SQL."""

from ledger.domain.account import Account
from ledger.store import queries
from ledger.store.pool import Session
from walletkit.ids import is_system
from walletkit.principal import READERS, confined_to


async def find_account(session: Session, wallet_id: bytes) -> tuple[Account, int] | None:
    """Return a wallet's account, and how far its shard is.

    None where no record names the wallet, and so, too, where the caller does not reach it.
    """
    found = await queries.find_account(session, wallet_id)
    account_id = confined_to(READERS)
    if found is None or account_id is None:
        return found
    own = not is_system(wallet_id) and found[0].account_id == account_id
    return found if own else None
