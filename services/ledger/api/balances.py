"""Answer the balances: of a wallet at any time, of all books together, and what they stand for."""

import asyncio
from contextlib import nullcontext

from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.type.v1.position_pb2 import Position
from ledger.api import convert
from ledger.api.lists import find
from ledger.api.waiting import Context, Waiting
from ledger.domain.account import Account
from ledger.domain.chart import CHART
from ledger.store import queries
from ledger.store.assets_read import exponent, exponents
from ledger.store.effective import correction
from ledger.store.pool import Pool, Session
from ledger.store.queries import Edge
from ledger.store.trial import trial_balance
from walletkit.errors import ServiceError, invalid_field
from walletkit.ids import format_id

MAX_PAST_AT_ONCE = 2
"""Trial balances of earlier moments that are summed up at the same time: each holds a session for
long, and the others wait their turn within their deadlines."""


class Balances:
    """Balances of now, of a recorded time, and of an effective time."""

    def __init__(self, pool: Pool, waiting: Waiting) -> None:
        self._pool = pool
        self._waiting = waiting
        self._past = asyncio.Semaphore(MAX_PAST_AT_ONCE)

    async def get_balance(
        self, request: api.GetBalanceRequest, context: Context
    ) -> api.GetBalanceResponse:
        """Give a balance, now or at a time.

        At a recorded time it is what the wallet's newest entry before it says. At an effective time
        T it is that same balance at the recorded time T, less the entries that were recorded
        before T but count at T or later, plus those that were recorded at T or later but count
        before T. Only entries whose two times differ can be either, and these few are kept apart.

        Raise ``ServiceError`` (INVALID_FIELD, WALLET_NOT_FOUND, DEADLINE_EXCEEDED,
        LEDGER_UNAVAILABLE).
        """
        wallet_id = convert.wallet_id(request.wallet_id)
        time_us = convert.moment(request, "at_time")
        effective_us = convert.moment(request, "at_effective_time")
        if time_us is not None and effective_us is not None:
            raise invalid_field("at_effective_time", effective_us, "not beside at_time")
        await self._waiting.for_wallet(request, wallet_id, context)
        async with self._pool.session() as session:
            account, position = await find(session, wallet_id, request.wallet_id)
            edge = Edge(account.version, 0, account.posted)
            if time_us is not None:
                edge = await queries.last_before(session, wallet_id, account, time_us)
            if effective_us is not None:
                posted = await effective_balance(session, wallet_id, account, effective_us)
                edge = edge._replace(balance=posted)
            digits = await exponent(session, account.currency)
        return api.GetBalanceResponse(
            wallet_id=format_id(wallet_id),
            currency_code=account.currency,
            exponent=digits,
            posted_minor=str(edge.balance),
            version=edge.version,
            position=position,
        )

    async def get_trial_balance(
        self, request: api.GetTrialBalanceRequest
    ) -> api.GetTrialBalanceResponse:
        """Sum the books up, now or before a time.

        Raise ``ServiceError`` (INVALID_FIELD, SHARD_NOT_FOUND, LEDGER_UNAVAILABLE).
        """
        shard = request.shard if request.HasField("shard") else None
        time_us = convert.moment(request, "at_time")
        async with self._past if time_us is not None else nullcontext():
            lines, positions = await trial_balance(self._pool, shard, time_us)
        if shard is not None and not positions:
            raise ServiceError("SHARD_NOT_FOUND", f"no record of shard {shard} has come in")
        async with self._pool.session() as session:
            digits = await exponents(session, {line.currency for line in lines})
        return api.GetTrialBalanceResponse(
            lines=[convert.trial_line(line, digits[line.currency]) for line in lines],
            positions=[Position(shard=number, seq=seq) for number, seq in positions.items()],
            balanced=convert.balanced(lines),
        )


async def effective_balance(
    session: Session, wallet_id: bytes, account: Account, time_us: int
) -> int:
    """Return the balance of all entries that count before a moment, up to the account's version."""
    edge = await queries.last_before(session, wallet_id, account, time_us)
    moved = await correction(session, wallet_id, account.version, time_us)
    return edge.balance + moved


def chart_of_accounts() -> api.GetChartOfAccountsResponse:
    """List the accounts of the trial balance, by code."""
    return api.GetChartOfAccountsResponse(accounts=map(convert.chart_account, CHART))
