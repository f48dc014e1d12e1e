"""Find out which wallets belong to the caller's account. No SQL here.

Whose a wallet is never changes. Only wallets of the one who asks are kept: what is another's is
read each time, as is what does not exist, so that neither answers faster.
"""

from collections.abc import Collection, Iterable

from wallet.api.known import Known
from wallet.engine.router import Router
from wallet.store import queries
from walletkit.ids import is_system, slot_of, slot_of_account
from walletkit.principal import current

WALLETS_PER_QUERY = 2_000


class Owners:
    """The accounts of wallets, as far as they were read, and the way to the others."""

    def __init__(self, router: Router, known: Known) -> None:
        """Take the shards, and where to keep what is read."""
        self._router = router
        self._known = known

    async def own(self, wallet_ids: Iterable[bytes]) -> set[bytes]:
        """Return those wallets that belong to the caller's account.

        Only ids of the account's slot are looked up, on its shard.
        """
        account_id = current().account_id
        slot = slot_of_account(account_id)
        near = {one for one in wallet_ids if not is_system(one) and slot_of(one) == slot}
        found = {one for one in near if self._known.owners.get(one) == account_id}
        unknown = near - found
        return found | await self._read(account_id, sorted(unknown)) if unknown else found

    async def _read(self, account_id: str, wallet_ids: Collection[bytes]) -> set[bytes]:
        shard = self._router.shard_of_slot(slot_of_account(account_id))
        found: set[bytes] = set()
        listed = list(wallet_ids)
        # One after the other: however much a call names, others get readers, too.
        for start in range(0, len(listed), WALLETS_PER_QUERY):
            some = listed[start : start + WALLETS_PER_QUERY]
            found |= await queries.owned(shard, account_id, some)
        for wallet_id in found:
            self._known.owners.keep(wallet_id, account_id)
        return found
