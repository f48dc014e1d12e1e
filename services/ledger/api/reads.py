"""Answer the lists and balances: check the request, wait for its position, read, render."""

import asyncio
import struct
from typing import Any, NamedTuple, cast

import grpc.aio

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.type.v1.position_pb2 import Position
from ledger.api import convert
from ledger.domain.account import Account
from ledger.store import queries
from ledger.store.pool import Pool, Session
from ledger.store.positions import Positions
from ledger.store.queries import Edge, EntryRow, Place
from ledger.store.trial import trial_balance
from walletkit.clock import day_of
from walletkit.errors import ServiceError, invalid_field
from walletkit.ids import format_id
from walletkit.rpc import pages

MAX_WAIT_S = 30
"""The longest wait for ``min_position``, for callers without a deadline."""

_PLACE = struct.Struct(">QI")
"""What a page token holds: version and day at which the next page begins."""

Context = grpc.aio.ServicerContext[Any, Any]
_ListRequest = api.ListEntriesRequest | api.ListTransactionsRequest
_AnyRequest = _ListRequest | api.GetBalanceRequest


class _Page(NamedTuple):
    """One page of a wallet's entries."""

    account: Account
    rows: list[EntryRow]
    next_token: str
    position: Position


class Reads:
    """Everything that asks about the past, over one small pool."""

    def __init__(self, pool: Pool, positions: Positions) -> None:
        self._pool = pool
        self._positions = positions

    async def list_entries(
        self, request: api.ListEntriesRequest, context: Context
    ) -> api.ListEntriesResponse:
        """List a wallet's entries, newest first.

        Raise ``ServiceError`` (INVALID_FIELD, WALLET_NOT_FOUND, DEADLINE_EXCEEDED,
        LEDGER_UNAVAILABLE).
        """
        wallet_id = convert.wallet_id(request.wallet_id)
        size = pages.size_of(request.page_size)
        await self._wait(request, wallet_id, context)
        async with self._pool.session() as session:
            page = await _page(session, request, wallet_id, size)
        currency, wallet_text = page.account.currency, format_id(wallet_id)
        return api.ListEntriesResponse(
            entries=[convert.entry(wallet_text, currency, row) for row in page.rows],
            next_page_token=page.next_token,
            position=page.position,
        )

    async def list_transactions(
        self, request: api.ListTransactionsRequest, context: Context
    ) -> api.ListTransactionsResponse:
        """List transactions, newest first. Raise as ``list_entries`` does."""
        wallet_id = convert.wallet_id(request.wallet_id)
        size = pages.size_of(request.page_size)
        await self._wait(request, wallet_id, context)
        async with self._pool.session() as session:
            page = await _page(session, request, wallet_id, size)
            transactions = await _transactions(
                session, format_id(wallet_id), page.account.currency, page.rows
            )
        return api.ListTransactionsResponse(
            transactions=transactions, next_page_token=page.next_token, position=page.position
        )

    async def get_balance(
        self, request: api.GetBalanceRequest, context: Context
    ) -> api.GetBalanceResponse:
        """Give a balance, now or at a time. Raise as ``list_entries`` does."""
        wallet_id = convert.wallet_id(request.wallet_id)
        time_us = convert.moment(request, "at_time")
        await self._wait(request, wallet_id, context)
        async with self._pool.session() as session:
            account, position = await _account(session, wallet_id, request.wallet_id)
            edge = Edge(account.version, 0, account.posted)
            if time_us is not None:
                edge = await queries.last_before(session, wallet_id, account, time_us)
        return api.GetBalanceResponse(
            wallet_id=format_id(wallet_id),
            currency_code=account.currency,
            exponent=convert.exponent(account.currency),
            posted_minor=str(edge.balance),
            version=edge.version,
            position=position,
        )

    async def get_trial_balance(
        self, request: api.GetTrialBalanceRequest
    ) -> api.GetTrialBalanceResponse:
        """Sum the books up. Raise ``ServiceError`` (SHARD_NOT_FOUND, LEDGER_UNAVAILABLE)."""
        shard = request.shard if request.HasField("shard") else None
        lines, positions = await trial_balance(self._pool, shard)
        if shard is not None and not positions:
            raise ServiceError("SHARD_NOT_FOUND", f"no record of shard {shard} has come in")
        return api.GetTrialBalanceResponse(
            lines=map(convert.trial_line, lines),
            positions=[Position(shard=number, seq=seq) for number, seq in positions.items()],
            balanced=convert.balanced(lines),
        )

    async def _wait(self, request: _AnyRequest, wallet_id: bytes, context: Context) -> None:
        """Wait until ``min_position`` is here, bounded by the call's deadline."""
        if not request.HasField("min_position"):
            return
        shard, seq = request.min_position.shard, request.min_position.seq
        async with self._pool.session() as session:
            found = await queries.find_account(session, wallet_id)
        if found is not None and found[0].shard != shard:
            rule = f"a position of the wallet's shard, {found[0].shard}"
            raise invalid_field("min_position.shard", shard, rule)
        # The stubs forget that a call may have no deadline.
        remaining = cast("float | None", context.time_remaining())
        limit = MAX_WAIT_S if remaining is None else min(remaining, MAX_WAIT_S)
        try:
            async with asyncio.timeout(limit):
                await self._positions.reached(shard, seq)
        except TimeoutError as error:
            text = f"shard {shard} has not come to {seq} here"
            raise ServiceError("DEADLINE_EXCEEDED", text) from error


async def _account(session: Session, wallet_id: bytes, text: str) -> tuple[Account, Position]:
    found = await queries.find_account(session, wallet_id)
    if found is None:
        raise ServiceError("WALLET_NOT_FOUND", f"no wallet {text}", {"wallet_id": text})
    account, seq = found
    return account, Position(shard=account.shard, seq=seq)


async def _page(session: Session, request: _ListRequest, wallet_id: bytes, size: int) -> _Page:
    """Read one page and the token of the next."""
    start = convert.moment(request, "start_time")
    end = convert.moment(request, "end_time")
    query = repr((type(request).__name__, wallet_id, start, end)).encode()
    resumed = _read_place(query, request.page_token) if request.page_token else None
    account, position = await _account(session, wallet_id, request.wallet_id)
    newest = Edge(account.version, day_of(account.time_us), 0)
    if resumed is not None:
        newest = Edge(*resumed, 0)
    elif end is not None:
        newest = await queries.last_before(session, wallet_id, account, end)
    oldest = queries.NOTHING
    if start is not None:
        oldest = await queries.last_before(session, wallet_id, account, start)
    rows = await queries.list_entries(
        session, wallet_id, newest=newest, oldest=oldest, limit=size + 1
    )
    token = ""
    if rows[size:]:
        token = pages.token_of(query, _PLACE.pack(rows[size].version, rows[size].day))
    return _Page(account, rows[:size], token, position)


def _read_place(query: bytes, token: str) -> tuple[int, int]:
    """Return version and day at which a page goes on downwards."""
    version, day = _PLACE.unpack(pages.place_of(query, token, bytes(_PLACE.size)))
    return version, day


async def _transactions(
    session: Session, wallet_text: str, currency: str, rows: list[EntryRow]
) -> list[api.JournalTransaction]:
    """Find the transaction behind each entry, as its home recorded it, with its state of now."""
    homes = await queries.homes_of_legs(session, {row.tx_id for row in rows if row.n < 0})
    states = await queries.changed_states(session, {row.tx_id for row in rows})
    places = [
        Place(row.shard, row.seq, row.n) if row.n >= 0 else homes.get(row.tx_id) for row in rows
    ]
    found = await queries.read_transactions(session, {place for place in places if place})
    listed = []
    for row, place in zip(rows, places, strict=True):
        item = api.JournalTransaction(entry=convert.entry(wallet_text, currency, row))
        if place in found:
            transaction, time_us = found[place]
            item.transaction.CopyFrom(transaction)
            state = states.get(row.tx_id, transaction.state)
            item.transaction.state = events.TransactionState.ValueType(state)
            item.create_time.CopyFrom(convert.timestamp(time_us))
        listed.append(item)
    return listed
