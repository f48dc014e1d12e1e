"""Answer the lists: read one page of entries or transactions, and say where the next one begins."""

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.type.v1.position_pb2 import Position
from ledger.api import convert
from ledger.api.reach import find_account
from ledger.api.scopes import Query
from ledger.api.waiting import Context, Waiting, named
from ledger.domain.account import Account
from ledger.store import queries
from ledger.store.assets_read import exponents
from ledger.store.merged import Mark, Merge, wallets_of
from ledger.store.narrowing import Filters, Found, OfLabel, OfWallets, Source, narrow
from ledger.store.pool import Pool, Session
from ledger.store.queries import Place
from walletkit.clock import day_of
from walletkit.errors import ServiceError
from walletkit.ids import format_id
from walletkit.principal import READERS
from walletkit.rpc import pages
from walletkit.rpc.permission import require
from walletkit.rpc.times import timestamp

MAX_SCANNED = 5_000
"""Entries that one call looks through; what is left is for the next page."""

MAX_RECORDS = 500
"""Records that one call reads only to narrow its list."""

NARROWED_AT_ONCE = 250
MAX_WALLETS = 100
"""Wallets of one account that are listed together."""

_TAIL_BYTES = 8
_MARK = struct.Struct(f">{_TAIL_BYTES}sQH")
"""What a page token holds for each wallet: the random half of its id, version and day."""

_PLACE = struct.Struct(">HQi")
"""What a page token of a label holds: where the last transaction of the page stands."""

_Wallets = Mapping[bytes, Account]


class _Page(NamedTuple):
    """One page: what is on it, where the next one begins, and what all of it may be about."""

    found: list[Found]
    next_place: bytes | None
    wallets: _Wallets
    position: Position | None
    exponents: Mapping[str, int]


class Lists:
    """Lists of the past, newest first."""

    def __init__(self, pool: Pool, waiting: Waiting) -> None:
        self._pool = pool
        self._waiting = waiting

    async def list_entries(
        self, request: api.ListEntriesRequest, context: Context
    ) -> api.ListEntriesResponse:
        """List a wallet's entries, newest first.

        Raise ``ServiceError`` (INVALID_FIELD, WALLET_NOT_FOUND, DEADLINE_EXCEEDED,
        LEDGER_UNAVAILABLE).
        """
        query = Query.of_entries(request)
        size = pages.size_of(request.page_size)
        await self._waiting.for_wallet(request, query.wallet_id, context)
        async with self._pool.session() as session:
            # An entry does not tell its transaction's home: nobody need look for it.
            page = await _of_wallets(session, query, size, request.page_token, homes=False)
        response = api.ListEntriesResponse(
            next_page_token=_token(query, page), position=page.position
        )
        for found in page.found:
            _fill_entry(response.entries.add(), found, page)
        return response

    async def list_transactions(
        self, request: api.ListTransactionsRequest, context: Context
    ) -> api.ListTransactionsResponse:
        """List transactions, newest first.

        It tells both sides of each whole, so it is not for customers: the wallet service lists
        theirs. Raise ``ServiceError`` as ``list_entries`` does, or ACCOUNT_TOO_LARGE, or
        PERMISSION_DENIED.
        """
        require(READERS)
        query = Query.of_transactions(request)
        size = pages.size_of(request.page_size)
        await self._wait(request, query, context)
        async with self._pool.session() as session:
            if query.label is None:
                page = await _of_wallets(session, query, size, request.page_token)
            else:
                position = request.min_position if named(request) else None
                page = await _of_label(session, query, size, request.page_token, position)
            listed = await _transactions(session, page)
        return api.ListTransactionsResponse(
            transactions=[item for item in listed if query.admits(item)],
            next_page_token=_token(query, page),
            position=page.position,
        )

    async def _wait(
        self, request: api.ListTransactionsRequest, query: Query, context: Context
    ) -> None:
        if query.wallet_id:
            await self._waiting.for_wallet(request, query.wallet_id, context)
        elif named(request):
            shard = None
            if query.account_id:
                async with self._pool.session() as session:
                    wallets, _ = await wallets_of(session, query.account_id, 1)
                shard = next((account.shard for account in wallets.values()), None)
            await self._waiting.reached(request, shard, context)


async def find(session: Session, wallet_id: bytes, shown: str = "") -> tuple[Account, Position]:
    """Return a wallet's account, and how far its shard is. Raise WALLET_NOT_FOUND."""
    found = await find_account(session, wallet_id)
    if found is None:
        text = shown or format_id(wallet_id)
        raise ServiceError("WALLET_NOT_FOUND", f"no wallet {text}", {"wallet_id": text})
    account, seq = found
    return account, Position(shard=account.shard, seq=seq)


async def _of_wallets(
    session: Session, query: Query, size: int, token: str, *, homes: bool = True
) -> _Page:
    """Read a page of a wallet's or an account's entries."""
    resumed = _read_marks(query, token) if token else None
    wallets, position = await _wallets(session, query)
    marks = (
        await _first_marks(session, wallets, query)
        if resumed is None
        else [
            Mark(wallet_id, *resumed[wallet_id[-_TAIL_BYTES:]])
            for wallet_id in wallets
            if wallet_id[-_TAIL_BYTES:] in resumed
        ]
    )
    merge = Merge(marks, query.filters.types, query.start_us, size + 1)
    source = OfWallets(merge, homes=homes)
    found, unused = await _fill(session, source, query.filters, size)
    place = None
    if unused or not source.done:
        place = b"".join(
            [_MARK.pack(mark.wallet_id[-_TAIL_BYTES:], *mark[1:]) for mark in source.marks(unused)]
        )
    digits = await exponents(session, {account.currency for account in wallets.values()})
    return _Page(found, place, wallets, position, digits)


async def _of_label(
    session: Session, query: Query, size: int, token: str, position: Position | None
) -> _Page:
    """Read a page of the transactions that have a label."""
    before = None
    if token:
        before = Place(*_PLACE.unpack(pages.place_of(query.name, token, bytes(_PLACE.size))))
    source = OfLabel(query.label or b"", before, query.start_us, query.end_us)
    found, unused = await _fill(session, source, query.filters, size)
    after = source.before(unused)
    if after is None or (source.done and not unused):
        return _Page(found, None, {}, position, {})
    return _Page(found, _PLACE.pack(*after), {}, position, {})


async def _fill(
    session: Session, source: Source, filters: Filters, size: int
) -> tuple[list[Found], Sequence[Found]]:
    """Return a page's items, and what was taken beyond them."""
    kept: list[Found] = []
    records = 0
    at_once = NARROWED_AT_ONCE if any(filters) else size + 1
    while source.scanned < MAX_SCANNED and records < MAX_RECORDS:
        taken = await source.take(session, at_once, MAX_SCANNED)
        if not taken:
            break
        fitting, read = await narrow(session, taken, filters)
        records += read
        if len(kept) + len(fitting) > size:
            beyond = taken.index(fitting[size - len(kept)])
            return [*kept, *fitting][:size], taken[beyond:]
        kept += fitting
    return kept, ()


async def _wallets(session: Session, query: Query) -> tuple[_Wallets, Position | None]:
    """Return the wallets that a list is about, and how far their shard is."""
    if query.wallet_id:
        account, position = await find(session, query.wallet_id)
        return {query.wallet_id: account}, position
    wallets, seq = await wallets_of(session, query.account_id, MAX_WALLETS + 1)
    if len(wallets) > MAX_WALLETS:
        text = f"account {query.account_id} has more than {MAX_WALLETS} wallets"
        raise ServiceError("ACCOUNT_TOO_LARGE", text, {"account_id": query.account_id})
    if not wallets:
        return wallets, None
    return wallets, Position(shard=next(iter(wallets.values())).shard, seq=seq)


async def _first_marks(session: Session, wallets: _Wallets, query: Query) -> list[Mark]:
    """Return where a list begins: at each wallet's newest entry, or the last one before the end."""
    marks = []
    for wallet_id, account in wallets.items():
        version, day = account.version, day_of(account.time_us)
        if query.end_us is not None:
            edge = await queries.last_before(session, wallet_id, account, query.end_us)
            version, day = edge.version, edge.day
        if version:
            marks.append(Mark(wallet_id, version + 1, day))
    return marks


def _read_marks(query: Query, token: str) -> dict[bytes, tuple[int, int]]:
    """Return where a page goes on: version and day, by the random half of a wallet's id."""
    # As many marks as fit; whether it is a token of ours is checked right after.
    length = (len(token) - len(pages.token_of(b"", b""))) * 3 // 4
    count = max(length // _MARK.size, 1)
    place = pages.place_of(query.name, token, bytes(count * _MARK.size))
    return {tail: (below, day) for tail, below, day in _MARK.iter_unpack(place)}


def _token(query: Query, page: _Page) -> str:
    return "" if page.next_place is None else pages.token_of(query.name, page.next_place)


async def _transactions(session: Session, page: _Page) -> list[api.JournalTransaction]:
    """Find what each item is, as its home recorded it, with its state of now."""
    states = await queries.changed_states(session, {found.tx_id for found in page.found})
    places = {found.place for found in page.found if found.place is not None}
    read = await queries.read_transactions(session, places)
    listed = []
    for found in page.found:
        item = api.JournalTransaction()
        if found.row is not None:
            _fill_entry(item.entry, found, page)
        if found.place in read:
            transaction, time_us = read[found.place]
            item.transaction.CopyFrom(transaction)
            item.transaction.state = convert.state(states.get(found.tx_id, transaction.state))
            item.create_time.CopyFrom(timestamp(time_us))
        listed.append(item)
    return listed


def _fill_entry(into: api.Entry, found: Found, page: _Page) -> None:
    if found.row is None:
        raise AssertionError
    currency = page.wallets[found.wallet_id].currency
    digits = page.exponents[currency]
    convert.fill_entry(into, format_id(found.wallet_id), currency, digits, found.row)
