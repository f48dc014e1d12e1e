"""Read what requests name: aliases, registered assets, holds, transactions to reverse. No SQL here.

All of it must be known before a request's key can be looked up, for it decides the key's scope. So
an unknown name is NOT_FOUND before idempotency is asked, and leaves the key free.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from wallet.api.form import Form, Sort, UnresolvedError, split_alias
from wallet.api.known import Known, Original
from wallet.api.parse.postings import as_home
from wallet.api.parse.wallets import ASSET_SLOT
from wallet.domain.commands import Line
from wallet.domain.hold import hold_not_found
from wallet.domain.kinds import TransactionType
from wallet.domain.outcome import Hold
from wallet.engine.router import Router
from wallet.store import queries
from wallet.store.queries import StoredTransaction
from walletkit.errors import ServiceError
from walletkit.ids import NIL, is_system, parse_id, slot_of_account
from walletkit.money import is_known, learn

MAX_PASSES = 8
"""How often a request is read: each time more of what it names is known."""

Request = TypeVar("Request")
Value = TypeVar("Value")


class Names:
    """The facts that requests name, as far as they were read, and the way to the others."""

    def __init__(self, router: Router) -> None:
        """Take the shards."""
        self.known = Known()
        self._router = router

    async def read(
        self, parse: Callable[[Request, Form], Value], request: Request, *, part: bool = False
    ) -> Value:
        """Parse a request, and have read what it names.

        Raise ``ServiceError``: INVALID_FIELD, or that something that it names does not exist.
        """
        try:
            return parse(request, Form(self.known, part=part))
        except UnresolvedError as first:
            unresolved = first
        for _ in range(MAX_PASSES):
            await self.resolve(unresolved)
            try:
                return parse(request, Form(self.known, part=part))
            except UnresolvedError as again:
                unresolved = again
        raise unresolved

    async def resolve(self, unresolved: UnresolvedError) -> None:
        """Read what a request needs. Raise ``ServiceError`` for what does not exist."""
        needs = dict.fromkeys(unresolved.needs)
        currencies = [need.name for need in needs if need.sort is Sort.CURRENCY]
        if currencies:
            if not await self._any_learned(currencies):
                # Whatever else it needs, it is malformed.
                raise ServiceError(
                    unresolved.reason,
                    unresolved.message,
                    unresolved.metadata,
                    unresolved.violations,
                )
            return
        for sort, name in needs:
            if sort is Sort.ALIAS:
                await self._read_alias(name)
            elif sort is Sort.HOLD:
                await self.read_hold(parse_id(name))
            else:
                await self._read_original(name)

    async def make_sure_of(self, currencies: Iterable[str]) -> None:
        """Know the exponents of what is held: another process may have registered it."""
        if not all(map(is_known, currencies)):
            await self.read_assets()

    async def read_assets(self) -> dict[str, int]:
        """Read all registered assets, and learn them."""
        assets = await queries.assets(self._router.shard_of_slot(ASSET_SLOT))
        for currency, exponent in assets.items():
            learn(currency, exponent)
        return assets

    async def read_hold(self, hold_id: bytes) -> Hold:
        """Read a hold as it is now. Raise ``ServiceError`` HOLD_NOT_FOUND."""
        hold = await queries.hold(self._router.shard_of(hold_id), hold_id)
        if hold is None:
            raise hold_not_found(hold_id)
        self.known.keep_hold(hold)
        return hold

    async def _any_learned(self, currencies: Iterable[str]) -> bool:
        if not any(map(is_known, currencies)):
            await self.read_assets()
        for currency in currencies:
            if not is_known(currency):
                self.known.miss(currency)
        return any(map(is_known, currencies))

    async def _read_alias(self, text: str) -> None:
        account_id, name = split_alias(text)
        shard = self._router.shard_of_slot(slot_of_account(account_id))
        wallet_id = await queries.alias(shard, account_id, name)
        if wallet_id is None:
            raise ServiceError("WALLET_NOT_FOUND", f"no wallet {text}", {"wallet_id": text})
        self.known.aliases.keep(text, wallet_id)

    async def _read_original(self, text: str) -> None:
        tx_id = parse_id(text)
        stored = await queries.transaction(self._router.shard_of(tx_id), tx_id)
        if stored is None:
            raise transaction_not_found(text)
        self.known.originals.keep(tx_id, self._original(stored))

    def _original(self, stored: StoredTransaction) -> Original:
        remote = False
        if not is_system(stored.destination):
            here = self._router.shard_of(stored.tx_id)
            remote = self._router.shard_of(stored.destination) is not here
        lines = stored.lines
        if stored.type == TransactionType.POSTING and not lines:
            lines = (Line(stored.source, stored.destination, stored.currency, stored.amount),)
        return Original(
            stored.type,
            NIL if is_system(stored.source) else stored.source,
            NIL if is_system(stored.destination) else stored.destination,
            stored.currency,
            stored.amount,
            stored.reference,
            stored.family or stored.tx_id,
            tuple(map(as_home, lines)),
            remote,
        )


def transaction_not_found(text: str) -> ServiceError:
    """Say that no transaction has this id."""
    return ServiceError("TRANSACTION_NOT_FOUND", f"no transaction {text}", {"transaction_id": text})
