"""Answer what only looks: wallets, balances, holds, transactions, limits, assets. No SQL here."""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence

from guilder.wallet.v1 import holds_pb2 as holds
from guilder.wallet.v1 import limits_pb2 as limits_pb
from guilder.wallet.v1 import postings_pb2 as postings
from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as pb
from wallet.api import fields, hiding, render
from wallet.api.carry import Carrier
from wallet.api.form import Form
from wallet.api.history import MAX_FAMILY, History, member
from wallet.api.names import Names, transaction_not_found
from wallet.domain.bound import account_owner
from wallet.domain.commands import Limits
from wallet.domain.hold import hold_not_found
from wallet.domain.kinds import HoldState, TransactionState
from wallet.domain.outcome import Hold
from wallet.domain.wallet import not_found
from wallet.engine.router import Router
from wallet.store import queries
from wallet.store.queries import StoredTransaction
from walletkit.errors import invalid_field
from walletkit.ids import NIL, format_id, is_system, slot_of_account
from walletkit.money import EXPONENTS, exponent_of
from walletkit.principal import READERS, confined_to
from walletkit.rpc import pages

_NEWEST = b"\xff" * len(NIL)
_LISTED_BY = ("wallet_id", "account_id", "reference", "metadata_key")


class Reading:
    """Reads for callers, from the shards' primaries and from the ledger."""

    def __init__(self, router: Router, names: Names, carrier: Carrier, history: History) -> None:
        """Take the shards, what requests name, who knows states, and the ledger's lists."""
        self._router = router
        self._names = names
        self._carrier = carrier
        self._history = history

    async def wallet(self, text: str) -> res.Wallet:
        """Read a wallet."""
        wallet_id = await self._wallet_id(text)
        found = await queries.wallet(self._router.shard_of(wallet_id), wallet_id)
        if found is None:
            raise not_found(wallet_id)
        await self._names.make_sure_of([found.facts.currency])
        return render.stored_wallet(found)

    async def wallets(self, request: pb.ListWalletsRequest) -> pb.ListWalletsResponse:
        """Read a page of an account's wallets."""
        account_id = fields.account_id(request.account_id)
        size = pages.size_of(request.page_size)
        query = account_id.encode()
        after = pages.place_of(query, request.page_token, NIL)
        if confined_to(READERS) not in {None, account_id}:
            # As of an account that has no wallets.
            return pb.ListWalletsResponse()
        shard = self._router.shard_of_slot(slot_of_account(account_id))
        found = await queries.wallets_of(shard, account_id, after, size + 1)
        page = found[:size]
        token = pages.token_of(query, page[-1].facts.wallet_id) if len(found) > size else ""
        await self._names.make_sure_of({one.facts.currency for one in page})
        return pb.ListWalletsResponse(
            wallets=map(render.stored_wallet, page), next_page_token=token
        )

    async def balance(self, text: str) -> res.Balance:
        """Read a balance."""
        wallet_id = await self._wallet_id(text)
        found = await queries.balance(self._router.shard_of(wallet_id), wallet_id)
        if found is None:
            raise not_found(wallet_id)
        await self._names.make_sure_of([found.currency])
        return render.balance(wallet_id, found)

    async def hold(self, text: str) -> res.Hold:
        """Read a hold."""
        found = await self._names.read_hold(fields.plain_id("hold_id", text))
        if not await self._sees([found.wallet_id]):
            raise hold_not_found(found.hold_id)
        await self._names.make_sure_of([found.currency])
        return render.hold(found)

    async def holds(self, request: holds.ListHoldsRequest) -> holds.ListHoldsResponse:
        """Read a page of a wallet's holds, newest first."""
        size = pages.size_of(request.page_size)
        state = None
        if request.state:
            state = fields.one_of(HoldState, "state", request.state)
        wallet_id = await self._wallet_id(request.wallet_id)
        query = b"holds" + wallet_id + bytes((request.state,))
        before = pages.place_of(query, request.page_token, _NEWEST)
        shard = self._router.shard_of(wallet_id)
        found = await queries.holds_of(shard, wallet_id, state, before, size + 1)
        if not found and await queries.balance(shard, wallet_id) is None:
            raise not_found(wallet_id)
        page = found[:size]
        token = pages.token_of(query, page[-1].hold_id) if len(found) > size else ""
        await self._names.make_sure_of({one.currency for one in page})
        return holds.ListHoldsResponse(holds=map(render.hold, page), next_page_token=token)

    async def transaction(self, text: str) -> res.Transaction:
        """Read a transaction, with its state of now."""
        found = await self._transaction(fields.plain_id("transaction_id", text))
        if found is None or not await self._sees(_sides(found)):
            raise transaction_not_found(text)
        shown = await self._shown(found)
        await self._narrow([shown])
        return shown

    async def transactions(
        self, request: pb.ListTransactionsRequest, time_remaining_s: float | None
    ) -> pb.ListTransactionsResponse:
        """Read a page of the ledger's list; a wallet that is named must exist."""
        if not any(getattr(request, field) for field in _LISTED_BY):
            rule = f"must be given, or one of {', '.join(_LISTED_BY[1:])}"
            raise invalid_field("wallet_id", "", rule)
        account_id = confined_to(READERS)
        if account_id is not None and not request.wallet_id:
            request.account_id = request.account_id or account_id
            if request.account_id != account_id:
                # As of an account that has no transactions.
                fields.account_id(request.account_id)
                pages.size_of(request.page_size)
                return pb.ListTransactionsResponse()
        if request.wallet_id:
            wallet_id = await self._wallet_id(request.wallet_id)
            pages.size_of(request.page_size)
            if await queries.balance(self._router.shard_of(wallet_id), wallet_id) is None:
                raise not_found(wallet_id)
            request.wallet_id = format_id(wallet_id)
        found = await self._history.list(request, time_remaining_s, self._names.make_sure_of)
        await self._narrow([one.transaction for one in found.transactions])
        return found

    async def family(
        self, request: postings.GetTransactionFamilyRequest, time_remaining_s: float | None
    ) -> postings.GetTransactionFamilyResponse:
        """Read all that belongs together.

        The one that is asked for and the one where it all begins are read from their shards, the
        rest from the ledger, which may be a moment behind.
        """
        id_ = fields.plain_id("id", request.id)
        asked = await self._transaction(id_)
        root_id = (asked.family if asked is not None else b"") or id_
        hold = await self._hold(root_id)
        root = asked if root_id == id_ else await self._transaction(root_id)
        if hold is not None and not await self._sees([hold.wallet_id]):
            hold = None
        if root is not None and not await self._sees(_sides(root)):
            root = None
        if asked is not None and not await self._sees(_sides(asked)):
            asked = None
        if asked is None and (hold is None or root_id != id_):
            raise transaction_not_found(request.id)
        strong = [one for one in (root, asked) if one is not None]
        found = {one.tx_id: await self._shown(one) for one in strong}
        position = request.min_position if request.HasField("min_position") else None
        for one, time_us in await self._history.family(root_id, time_remaining_s, position):
            await self._names.make_sure_of({part.currency_code for part in one.postings})
            found.setdefault(one.transaction_id, member(one, time_us))
        oldest_first = sorted(await self._narrow(found.values()), key=_recorded)[:MAX_FAMILY]
        if hold is not None:
            await self._names.make_sure_of([hold.currency])
        return postings.GetTransactionFamilyResponse(
            hold=render.hold(hold) if hold is not None else None, transactions=oldest_first
        )

    async def wallet_limits(self, text: str) -> limits_pb.GetWalletLimitsResponse:
        """Read a wallet's limits and what is used of them."""
        wallet_id = await self._wallet_id(text)
        shard = self._router.shard_of(wallet_id)
        balance = await queries.balance(shard, wallet_id)
        if balance is None:
            raise not_found(wallet_id)
        found = await queries.limits(shard, wallet_id)
        limits = found[0] if found is not None else Limits()
        # The credit line is the balance's, whatever else bounds the wallet.
        limits = limits._replace(overdraft=balance.overdraft_limit)
        await self._names.make_sure_of([balance.currency])
        return limits_pb.GetWalletLimitsResponse(
            limits=render.wallet_limits(limits),
            usage=render.usage(found[1], _now_us()) if found is not None else (),
            currency_code=balance.currency,
            exponent=exponent_of(balance.currency),
        )

    async def account_limits(
        self, request: limits_pb.GetAccountLimitsRequest
    ) -> limits_pb.GetAccountLimitsResponse:
        """Read an account's limits in a currency, and what is used of them."""
        account_id, currency = await self._names.read(_account_and_currency, request, free=READERS)
        found = None
        if confined_to(READERS) in {None, account_id}:
            shard = self._router.shard_of_slot(slot_of_account(account_id))
            found = await queries.limits(shard, account_owner(account_id, currency))
        if found is None:
            return limits_pb.GetAccountLimitsResponse(
                limits=res.AccountLimits(), exponent=exponent_of(currency)
            )
        limits, used, held = found
        return limits_pb.GetAccountLimitsResponse(
            limits=render.account_limits(limits),
            usage=render.usage(used, _now_us()),
            held_minor=held,
            exponent=exponent_of(currency),
        )

    async def assets(self) -> Sequence[res.Asset]:
        """Read all that can be held, by code."""
        registered = await self._names.read_assets()
        exponents = {**EXPONENTS, **registered}
        return [
            render.asset(code, exponents[code], registered=code in registered)
            for code in sorted(exponents)
        ]

    async def _wallet_id(self, text: str) -> bytes:
        return await self._names.read(_wallet_id, text, free=READERS)

    async def _sees(self, wallet_ids: Iterable[bytes]) -> bool:
        """Tell whether the caller reaches one of the wallets that something touches."""
        if confined_to(READERS) is None:
            return True
        return bool(await self._names.owners.own(wallet_ids))

    async def _narrow(self, transactions: Collection[res.Transaction]) -> list[res.Transaction]:
        """Return the transactions that the caller may see, without what is not for him."""
        if confined_to(READERS) is None:
            return list(transactions)
        sides = [hiding.side_ids(one) for one in transactions]
        own = await self._names.owners.own(set[bytes]().union(*sides))
        seen = [one for one, touched in zip(transactions, sides, strict=True) if touched & own]
        for one in seen:
            hiding.hide_postings(one, own)
            hiding.hide_cause(one)
        return seen

    async def _transaction(self, tx_id: bytes) -> StoredTransaction | None:
        return await queries.transaction(self._router.shard_of(tx_id), tx_id)

    async def _hold(self, hold_id: bytes) -> Hold | None:
        return await queries.hold(self._router.shard_of(hold_id), hold_id)

    async def _shown(self, stored: StoredTransaction) -> res.Transaction:
        """Write a transaction with its state of now; of several legs its home knows it."""
        single = not stored.lines and not is_system(stored.destination)
        if stored.state == TransactionState.PROCESSING and single:
            state = await self._carrier.landed_state(stored.tx_id, stored.destination)
            stored = stored._replace(state=state)
        await self._names.make_sure_of({stored.currency, *[line.currency for line in stored.lines]})
        return render.transaction(stored)


def _wallet_id(text: str, form: Form) -> bytes:
    wallet_id = form.own("wallet_id", text)
    form.done()
    return wallet_id


def _sides(stored: StoredTransaction) -> Iterator[bytes]:
    """Return all wallets that a transaction touched, system wallets too."""
    yield stored.source
    yield stored.destination
    for line in stored.lines:
        yield line.source
        yield line.destination


def _account_and_currency(
    request: limits_pb.GetAccountLimitsRequest, form: Form
) -> tuple[str, str]:
    account_id = form.read(fields.account_id, request.account_id)
    currency = form.currency("currency_code", request.currency_code)
    form.done()
    return account_id, currency


def _recorded(transaction: res.Transaction) -> tuple[int, int]:
    return transaction.create_time.seconds, transaction.create_time.nanos


def _now_us() -> int:
    """Return the time by this process's clock: it only says which windows are over by now."""
    return time.time_ns() // 1000
