"""Read what requests name: aliases, registered assets, holds, transactions to reverse. No SQL here.

All of it must be known before a request's key can be looked up, for it decides the key's scope. So
an unknown name is NOT_FOUND before idempotency is asked, and leaves the key free.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from wallet.api.form import Form, Need, Sort, UnresolvedError, split_alias
from wallet.api.known import Known, Original
from wallet.api.owners import Owners
from wallet.api.parse.postings import as_home
from wallet.api.parse.wallets import ASSET_SLOT
from wallet.api.reach import form_of, sides_of, wallet_not_found
from wallet.domain.commands import Line
from wallet.domain.hold import hold_not_found
from wallet.domain.kinds import TransactionType
from wallet.domain.outcome import Hold
from wallet.engine.router import Router
from wallet.store import queries
from wallet.store.queries import StoredTransaction
from wallet.store.shard import Shard
from walletkit.errors import ServiceError
from walletkit.ids import NIL, is_system, parse_id, slot_of, slot_of_account
from walletkit.money import is_known, learn
from walletkit.principal import MOVERS, Role

MAX_PASSES = 8
"""How often a request is read: each time more of what it names is known."""
NAMES_PER_QUERY = 2_000
"""Both sides of a full batch of transfers; only postings can name more."""

Request = TypeVar("Request")
Value = TypeVar("Value")


class Names:
    """The facts that requests name, as far as they were read, and the way to the others."""

    def __init__(self, router: Router) -> None:
        """Take the shards."""
        self.known = Known()
        self.owners = Owners(router, self.known)
        self._router = router

    async def read(
        self,
        parse: Callable[[Request, Form], Value],
        request: Request,
        *,
        free: frozenset[Role] = MOVERS,
    ) -> Value:
        """Parse a request, and have read what it names.

        ``free``: the roles that reach all wallets by it. Raise ``ServiceError``: INVALID_FIELD, or
        that something that it names does not exist.
        """
        try:
            return parse(request, form_of(self.known, free=free))
        except UnresolvedError:
            # Rare: nearly all requests name nothing, or what is known here.
            (found,) = await self.read_each([partial(parse, request)], free=free)
        if isinstance(found, ServiceError):
            raise found
        return found

    async def read_each(
        self,
        parses: Sequence[Callable[[Form], Value]],
        *,
        part: bool = False,
        free: frozenset[Role] = MOVERS,
    ) -> list[Value | ServiceError]:
        """Parse requests, each for itself; what they name is read for all of them together."""
        found: dict[int, Value | ServiceError] = {}
        places: Iterable[int] = range(len(parses))
        for _ in range(MAX_PASSES):
            unresolved: dict[int, UnresolvedError] = {}
            for place in places:
                try:
                    found[place] = parses[place](form_of(self.known, part=part, free=free))
                except UnresolvedError as error:
                    found[place] = unresolved[place] = error
                except ServiceError as error:
                    found[place] = error
            if not unresolved:
                break
            faults = await self._resolve(unresolved)
            found.update(faults)
            places = unresolved.keys() - faults.keys()
        return [found[place] for place in range(len(parses))]

    async def make_sure_of(self, currencies: Iterable[str]) -> None:
        """Know the exponents of what is held: another process may have registered it."""
        unknown = {currency for currency in currencies if not is_known(currency)}
        if unknown:
            shard = self._router.shard_of_slot(ASSET_SLOT)
            _learn(await queries.assets_of(shard, unknown))

    async def read_assets(self) -> dict[str, int]:
        """Read all registered assets, and learn them."""
        assets = await queries.assets(self._router.shard_of_slot(ASSET_SLOT))
        _learn(assets)
        return assets

    async def read_hold(self, hold_id: bytes) -> Hold:
        """Read a hold as it is now. Raise ``ServiceError`` HOLD_NOT_FOUND."""
        hold = await queries.hold(self._router.shard_of(hold_id), hold_id)
        if hold is None:
            raise hold_not_found(hold_id)
        self.known.keep_hold(hold)
        return hold

    async def _resolve(self, unresolved: Mapping[int, UnresolvedError]) -> dict[int, ServiceError]:
        """Read what requests need, one query a shard and sort.

        Return which of them can't be understood all the same, and why.
        """
        wanted: dict[tuple[Shard, Sort], list[str]] = {}
        failures: dict[Need, ServiceError] = {}
        for need in dict.fromkeys(need for one in unresolved.values() for need in one.needs):
            if need.sort is Sort.ALIAS and self.known.missed_aliases.has(need.name):
                failures[need] = _not_found(need)
                continue
            try:
                shard = self._router.shard_of_slot(_slot_of(need))
            except ServiceError as error:
                failures[need] = error
            else:
                wanted.setdefault((shard, need.sort), []).append(need.name)
        await asyncio.gather(
            *[self._look_up(*place, names, failures) for place, names in wanted.items()]
        )
        faults = {place: _fault(one, failures) for place, one in unresolved.items()}
        return {place: fault for place, fault in faults.items() if fault is not None}

    async def _look_up(
        self, shard: Shard, sort: Sort, names: Sequence[str], failures: dict[Need, ServiceError]
    ) -> None:
        """Read names of one sort, and note which of them can't be had."""
        read = {
            Sort.CURRENCY: self._read_currencies,
            Sort.ALIAS: self._read_aliases,
            Sort.HOLD: self._read_holds,
            Sort.ORIGINAL: self._read_originals,
            Sort.OWNER: self._read_own_wallets,
            Sort.OWN_HOLD: self._read_own_holds,
            Sort.OWN_ORIGINAL: self._read_own_originals,
        }[sort]
        # One after the other: however much a call names, others get readers, too.
        for start in range(0, len(names), NAMES_PER_QUERY):
            some = names[start : start + NAMES_PER_QUERY]
            try:
                missing = await read(shard, some)
            except ServiceError as error:
                failures.update({Need(sort, name): error for name in some})
            else:
                needs = [Need(sort, name) for name in missing]
                failures.update({need: _not_found(need) for need in needs})

    async def _read_currencies(self, shard: Shard, codes: Sequence[str]) -> list[str]:
        """Learn currencies; one that nobody has registered is malformed, and no failure here."""
        _learn(await queries.assets_of(shard, codes))
        for code in codes:
            if not is_known(code):
                self.known.missed_currencies.note(code)
        return []

    async def _read_aliases(self, shard: Shard, names: Sequence[str]) -> list[str]:
        pairs = {name: split_alias(name) for name in names}
        found = await queries.aliases(shard, pairs.values())
        missing = []
        for name, pair in pairs.items():
            if pair in found:
                self.known.aliases.keep(name, found[pair])
            else:
                self.known.missed_aliases.note(name)
                missing.append(name)
        return missing

    async def _read_holds(self, shard: Shard, names: Sequence[str]) -> list[str]:
        ids = {parse_id(name): name for name in names}
        found = await queries.hold_facts_of(shard, ids)
        for hold_id, facts in found.items():
            self.known.holds.keep(hold_id, facts)
        return [name for hold_id, name in ids.items() if hold_id not in found]

    async def _read_originals(self, shard: Shard, names: Sequence[str]) -> list[str]:
        ids = {parse_id(name): name for name in names}
        found = await queries.originals(shard, ids)
        for tx_id, stored in found.items():
            self.known.originals.keep(tx_id, self._original(stored))
        return [name for tx_id, name in ids.items() if tx_id not in found]

    async def _read_own_wallets(self, _: Shard, names: Sequence[str]) -> list[str]:
        own = await self.owners.own(map(parse_id, names))
        return [name for name in names if parse_id(name) not in own]

    async def _read_own_holds(self, shard: Shard, names: Sequence[str]) -> list[str]:
        await self._read_holds(shard, names)
        found = {name: self.known.holds.get(parse_id(name)) for name in names}
        own = await self.owners.own(facts.wallet_id for facts in found.values() if facts)
        return [name for name, facts in found.items() if not facts or facts.wallet_id not in own]

    async def _read_own_originals(self, shard: Shard, names: Sequence[str]) -> list[str]:
        await self._read_originals(shard, names)
        found = {name: self.known.originals.get(parse_id(name)) for name in names}
        sides = {name: set(sides_of(one)) for name, one in found.items() if one is not None}
        own = await self.owners.own(side for touched in sides.values() for side in touched)
        return [name for name in names if own.isdisjoint(sides.get(name, ()))]

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


def _learn(assets: Mapping[str, int]) -> None:
    for currency, exponent in assets.items():
        learn(currency, exponent)


def _slot_of(need: Need) -> int:
    """Return the slot whose shard keeps a fact."""
    if need.sort is Sort.CURRENCY:
        return ASSET_SLOT
    if need.sort is Sort.ALIAS:
        return slot_of_account(split_alias(need.name)[0])
    return slot_of(parse_id(need.name))


def _not_found(need: Need) -> ServiceError:
    """Say that there is nothing of this name."""
    if need.sort in {Sort.ALIAS, Sort.OWNER}:
        return wallet_not_found(need.name)
    if need.sort in {Sort.HOLD, Sort.OWN_HOLD}:
        return hold_not_found(parse_id(need.name))
    return transaction_not_found(need.name)


def _fault(
    unresolved: UnresolvedError, failures: Mapping[Need, ServiceError]
) -> ServiceError | None:
    """Return why a request can't be understood, after all that it needs was asked for."""
    for need in unresolved.needs:
        if need in failures:
            return failures[need]
    currencies = [need.name for need in unresolved.needs if need.sort is Sort.CURRENCY]
    if not currencies or any(map(is_known, currencies)):
        return None
    # Whatever else it needs, it is malformed.
    return ServiceError(
        unresolved.reason, unresolved.message, unresolved.metadata, unresolved.violations
    )
