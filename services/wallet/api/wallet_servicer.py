"""WalletService: one short method for each RPC. Errors are raised; one interceptor renders them."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias, cast

import grpc.aio

from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1 import wallet_service_pb2 as pb
from guilder.wallet.v1 import wallet_service_pb2_grpc as stubs
from wallet.api import convert, fields
from wallet.api.history import History
from wallet.api.streaming import answered
from wallet.domain.commands import Command, Transfer
from wallet.domain.kinds import RETURN_LEG, LegResult, TransactionState, WalletChangeKind
from wallet.domain.outcome import Posted, WalletSet
from wallet.domain.wallet import not_found
from wallet.engine.queue import Answer
from wallet.engine.router import Router
from wallet.store import queries
from walletkit.errors import ServiceError, invalid_field
from walletkit.ids import NIL, format_id, slot_of_account
from walletkit.rpc import pages
from walletkit.rpc.status import to_status

MAX_TRANSFERS = 1000
"""Transfers in one batch, and in one message of a stream."""
MAX_MESSAGES_UNDER_WAY = 16
"""Messages of one stream that are worked on at once; the next is read when one is answered."""
DEFAULT_DEADLINE_S = 30.0
LANDED_TIMEOUT_S = 1.0
"""Longest wait for another shard's word on whether a leg has landed."""

Movement = Transfer
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class WalletServicer(stubs.WalletServiceServicer):
    """The wallets' RPCs."""

    def __init__(self, router: Router, history: History) -> None:
        """Take the shards and the way to the ledger's lists."""
        self._router = router
        self._history = history

    async def CreateWallet(
        self, request: pb.CreateWalletRequest, context: Context
    ) -> pb.CreateWalletResponse:
        """Create a wallet."""
        outcome, position = await self._set_wallet(convert.create_wallet(request), context)
        wallet, balance = convert.wallet_set(outcome)
        return pb.CreateWalletResponse(
            wallet=wallet, balance=balance, replayed=outcome.replayed, position=position
        )

    async def FreezeWallet(
        self, request: pb.FreezeWalletRequest, context: Context
    ) -> pb.FreezeWalletResponse:
        """Freeze a wallet."""
        command = convert.change_status(WalletChangeKind.FROZEN, request)
        outcome, position = await self._set_wallet(command, context)
        wallet, balance = convert.wallet_set(outcome)
        return pb.FreezeWalletResponse(
            wallet=wallet, balance=balance, replayed=outcome.replayed, position=position
        )

    async def UnfreezeWallet(
        self, request: pb.UnfreezeWalletRequest, context: Context
    ) -> pb.UnfreezeWalletResponse:
        """Make a frozen wallet active again."""
        command = convert.change_status(WalletChangeKind.UNFROZEN, request)
        outcome, position = await self._set_wallet(command, context)
        wallet, balance = convert.wallet_set(outcome)
        return pb.UnfreezeWalletResponse(
            wallet=wallet, balance=balance, replayed=outcome.replayed, position=position
        )

    async def CloseWallet(
        self, request: pb.CloseWalletRequest, context: Context
    ) -> pb.CloseWalletResponse:
        """Close a wallet for good."""
        command = convert.change_status(WalletChangeKind.CLOSED, request)
        outcome, position = await self._set_wallet(command, context)
        wallet, balance = convert.wallet_set(outcome)
        return pb.CloseWalletResponse(
            wallet=wallet, balance=balance, replayed=outcome.replayed, position=position
        )

    async def Deposit(self, request: pb.DepositRequest, context: Context) -> pb.DepositResponse:
        """Bring money from outside into a wallet."""
        posted, position = await self._move(convert.deposit(request), context)
        return pb.DepositResponse(
            transaction=convert.posted_transaction(posted),
            balance=convert.changed_balance(posted),
            replayed=posted.replayed,
            position=position,
        )

    async def Withdraw(self, request: pb.WithdrawRequest, context: Context) -> pb.WithdrawResponse:
        """Take money from a wallet to the outside."""
        posted, position = await self._move(convert.withdrawal(request), context)
        return pb.WithdrawResponse(
            transaction=convert.posted_transaction(posted),
            balance=convert.changed_balance(posted),
            replayed=posted.replayed,
            position=position,
        )

    async def Transfer(self, request: pb.TransferRequest, context: Context) -> pb.TransferResponse:
        """Move money from a wallet to another."""
        posted, position = await self._move(convert.transfer(request), context)
        return convert.transfer_response(posted, position)

    async def BatchTransfer(
        self, request: pb.BatchTransferRequest, context: Context
    ) -> pb.BatchTransferResponse:
        """Make transfers that do not depend on each other."""
        results = await self._transfers(request.transfers, _deadline(context))
        return pb.BatchTransferResponse(results=results)

    async def StreamTransfers(
        self, request_iterator: AsyncIterator[pb.StreamTransfersRequest], context: Context
    ) -> AsyncIterator[pb.StreamTransfersResponse]:
        """Make transfers as they stream in; each message is answered when all of it is decided."""
        messages = aiter(request_iterator)
        async for reply in answered(messages, self._stream_message, MAX_MESSAGES_UNDER_WAY):
            yield reply

    async def GetWallet(
        self, request: pb.GetWalletRequest, context: Context
    ) -> pb.GetWalletResponse:
        """Get a wallet."""
        wallet_id = fields.wallet_id("wallet_id", request.wallet_id)
        found = await queries.wallet(self._router.shard_of(wallet_id), wallet_id)
        if found is None:
            raise not_found(wallet_id)
        return pb.GetWalletResponse(wallet=convert.wallet(found.facts, found.status))

    async def ListWallets(
        self, request: pb.ListWalletsRequest, context: Context
    ) -> pb.ListWalletsResponse:
        """List the wallets of an account."""
        account_id = fields.account_id(request.account_id)
        size = pages.size_of(request.page_size)
        query = account_id.encode()
        after = pages.place_of(query, request.page_token, NIL)
        shard = self._router.shard_of_slot(slot_of_account(account_id))
        found = await queries.wallets_of(shard, account_id, after, size + 1)
        page = found[:size]
        token = pages.token_of(query, page[-1].facts.wallet_id) if len(found) > size else ""
        wallets = [convert.wallet(one.facts, one.status) for one in page]
        return pb.ListWalletsResponse(wallets=wallets, next_page_token=token)

    async def GetBalance(
        self, request: pb.GetBalanceRequest, context: Context
    ) -> pb.GetBalanceResponse:
        """Get a wallet's balance from its shard's primary."""
        wallet_id = fields.wallet_id("wallet_id", request.wallet_id)
        found = await queries.balance(self._router.shard_of(wallet_id), wallet_id)
        if found is None:
            raise not_found(wallet_id)
        return pb.GetBalanceResponse(balance=convert.balance(wallet_id, found))

    async def GetTransaction(
        self, request: pb.GetTransactionRequest, context: Context
    ) -> pb.GetTransactionResponse:
        """Get a transaction, with its state of now."""
        tx_id = fields.wallet_id("transaction_id", request.transaction_id)
        stored = await queries.transaction(self._router.shard_of(tx_id), tx_id)
        if stored is None:
            shown = format_id(tx_id)
            raise ServiceError(
                "TRANSACTION_NOT_FOUND", f"no transaction {shown}", {"transaction_id": shown}
            )
        if stored.state == TransactionState.PROCESSING:
            state = await self._landed_state(tx_id, stored.destination)
            stored = stored._replace(state=state)
        return pb.GetTransactionResponse(transaction=convert.transaction(stored))

    async def ListTransactions(
        self, request: pb.ListTransactionsRequest, context: Context
    ) -> pb.ListTransactionsResponse:
        """List a wallet's transactions, from the ledger."""
        wallet_id = fields.wallet_id("wallet_id", request.wallet_id)
        pages.size_of(request.page_size)
        if await queries.balance(self._router.shard_of(wallet_id), wallet_id) is None:
            raise not_found(wallet_id)
        return await self._history.list(request, context.time_remaining())

    async def _set_wallet(self, command: Command, context: Context) -> tuple[WalletSet, Position]:
        answer = await self._execute(command, context)
        if not isinstance(answer.outcome, WalletSet):
            raise _unexpected(answer)
        return answer.outcome, self._position(command.slot, answer.seq)

    async def _move(self, command: Movement, context: Context) -> tuple[Posted, Position]:
        answer = await self._execute(command, context)
        if not isinstance(answer.outcome, Posted):
            raise _unexpected(answer)
        return await self._as_of_now(answer.outcome), self._position(command.slot, answer.seq)

    async def _execute(self, command: Command, context: Context) -> Answer:
        future = self._router.submit(command, _deadline(context))
        return await self._router.finish(command, await future)

    async def _transfers(
        self, requests: Sequence[pb.TransferRequest], deadline: float
    ) -> list[pb.TransferResult]:
        """Queue all that is well-formed at once, then render each outcome in order."""
        if not 1 <= len(requests) <= MAX_TRANSFERS:
            rule = f"must hold 1 to {MAX_TRANSFERS} transfers"
            raise invalid_field("transfers", f"{len(requests)} transfers", rule)
        queued = [self._queue(request, deadline) for request in requests]
        # Each waits for its own leg: one after the other, late legs would add up.
        return await asyncio.gather(*[self._result(one) for one in queued])

    def _queue(
        self, request: pb.TransferRequest, deadline: float
    ) -> asyncio.Future[Answer] | ServiceError:
        try:
            return self._router.submit(convert.transfer(request), deadline)
        except ServiceError as error:
            return error

    async def _result(self, one: asyncio.Future[Answer] | ServiceError) -> pb.TransferResult:
        if isinstance(one, ServiceError):
            return pb.TransferResult(error=to_status(one))
        answer = await one
        if isinstance(answer.outcome, ServiceError):
            return pb.TransferResult(error=to_status(answer.outcome))
        posted, seq = await self._router.finish(None, answer)
        if not isinstance(posted, Posted):
            raise _unexpected(answer)
        posted = await self._as_of_now(posted)
        position = self._position(posted.command.slot, seq)
        return pb.TransferResult(response=convert.transfer_response(posted, position))

    async def _stream_message(
        self, request: pb.StreamTransfersRequest
    ) -> pb.StreamTransfersResponse:
        deadline = time.monotonic() + DEFAULT_DEADLINE_S
        results = await self._transfers(request.transfers, deadline)
        return pb.StreamTransfersResponse(batch_id=request.batch_id, results=results)

    async def _as_of_now(self, posted: Posted) -> Posted:
        """Give a replay its transaction's state of now: its leg may have landed since it began."""
        if not posted.replayed or posted.state != TransactionState.PROCESSING:
            return posted
        command = posted.command
        return posted._replace(state=await self._landed_state(command.ref, command.destination))

    async def _landed_state(self, tx_id: bytes, destination: bytes) -> TransactionState:
        """Ask where the money went: the home hears of it a moment later than the destination."""
        try:
            async with asyncio.timeout(LANDED_TIMEOUT_S):
                there = self._router.shard_of(destination)
                result = await queries.leg_result(there, tx_id, 0)
                if result == LegResult.CREDITED:
                    return TransactionState.COMPLETED
                home = self._router.shard_of(tx_id)
                if result == LegResult.RETURNED and (
                    await queries.leg_result(home, tx_id, RETURN_LEG) is not None
                ):
                    return TransactionState.RETURNED
        except (ServiceError, TimeoutError):
            pass  # The other shard is down: as far as anybody can tell it is on its way.
        return TransactionState.PROCESSING

    def _position(self, slot: int, seq: int) -> Position:
        return Position(shard=self._router.loop_of(slot).shard.number, seq=seq)


def _deadline(context: Context) -> float:
    """Return when the caller stops waiting, by ``time.monotonic``."""
    # None without a deadline, whatever the stubs say.
    remaining = cast("float | None", context.time_remaining())
    return time.monotonic() + (DEFAULT_DEADLINE_S if remaining is None else remaining)


def _unexpected(answer: Answer) -> Exception:
    """Return the decline that an answer carries; anything else is a fault of ours."""
    if isinstance(answer.outcome, ServiceError):
        return answer.outcome
    return TypeError(f"unexpected outcome: {answer!r}")
