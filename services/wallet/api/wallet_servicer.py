"""WalletService: one short method for each RPC. Errors are raised; one interceptor renders them."""

from collections.abc import AsyncIterator
from time import monotonic

from guilder.wallet.v1 import holds_pb2 as holds
from guilder.wallet.v1 import limits_pb2 as limits
from guilder.wallet.v1 import postings_pb2 as postings
from guilder.wallet.v1 import wallet_service_pb2 as pb
from guilder.wallet.v1 import wallet_service_pb2_grpc as stubs
from wallet.api import verbs
from wallet.api.batches import Batches
from wallet.api.carry import DEFAULT_DEADLINE_S, Carrier, Context, deadline_of
from wallet.api.history import History
from wallet.api.names import Names
from wallet.api.reading import Reading
from wallet.api.streaming import answered
from wallet.engine.router import Router
from walletkit.request import begin
from walletkit.rpc.interceptor import request_id_of

MAX_MESSAGES_UNDER_WAY = 16
"""Messages of one stream that are worked on at once; the next is read when one is answered."""


class WalletServicer(stubs.WalletServiceServicer):
    """The wallets' RPCs."""

    def __init__(self, router: Router, history: History) -> None:
        """Take the shards and the way to the ledger's lists."""
        names = Names(router)
        self._carrier = Carrier(router, names)
        self._batches = Batches(router, names, self._carrier)
        self._reading = Reading(router, names, self._carrier, history)

    async def CreateWallet(
        self, request: pb.CreateWalletRequest, context: Context
    ) -> pb.CreateWalletResponse:
        """Create a wallet."""
        return await self._carrier.out(verbs.CREATE_WALLET, request, context)

    async def UpdateWallet(
        self, request: pb.UpdateWalletRequest, context: Context
    ) -> pb.UpdateWalletResponse:
        """Replace a wallet's metadata."""
        return await self._carrier.out(verbs.UPDATE_WALLET, request, context)

    async def FreezeWallet(
        self, request: pb.FreezeWalletRequest, context: Context
    ) -> pb.FreezeWalletResponse:
        """Freeze a wallet."""
        return await self._carrier.administer(verbs.FREEZE_WALLET, request, context)

    async def UnfreezeWallet(
        self, request: pb.UnfreezeWalletRequest, context: Context
    ) -> pb.UnfreezeWalletResponse:
        """Make a frozen wallet active again."""
        return await self._carrier.administer(verbs.UNFREEZE_WALLET, request, context)

    async def CloseWallet(
        self, request: pb.CloseWalletRequest, context: Context
    ) -> pb.CloseWalletResponse:
        """Close a wallet for good."""
        return await self._carrier.administer(verbs.CLOSE_WALLET, request, context)

    async def FreezeAccount(
        self, request: limits.FreezeAccountRequest, context: Context
    ) -> limits.FreezeAccountResponse:
        """Freeze all wallets of an account."""
        return await self._carrier.administer(verbs.FREEZE_ACCOUNT, request, context)

    async def UnfreezeAccount(
        self, request: limits.UnfreezeAccountRequest, context: Context
    ) -> limits.UnfreezeAccountResponse:
        """Undo FreezeAccount."""
        return await self._carrier.administer(verbs.UNFREEZE_ACCOUNT, request, context)

    async def SetWalletLimits(
        self, request: limits.SetWalletLimitsRequest, context: Context
    ) -> limits.SetWalletLimitsResponse:
        """Replace a wallet's limits."""
        return await self._carrier.administer(verbs.SET_WALLET_LIMITS, request, context)

    async def SetAccountLimits(
        self, request: limits.SetAccountLimitsRequest, context: Context
    ) -> limits.SetAccountLimitsResponse:
        """Replace the limits of an account's wallets in one currency together."""
        return await self._carrier.administer(verbs.SET_ACCOUNT_LIMITS, request, context)

    async def RegisterAsset(
        self, request: limits.RegisterAssetRequest, context: Context
    ) -> limits.RegisterAssetResponse:
        """Register an asset that ISO 4217 does not know."""
        return await self._carrier.administer(verbs.REGISTER_ASSET, request, context)

    async def Deposit(self, request: pb.DepositRequest, context: Context) -> pb.DepositResponse:
        """Bring money from outside into a wallet."""
        return await self._carrier.out(verbs.DEPOSIT, request, context)

    async def Withdraw(self, request: pb.WithdrawRequest, context: Context) -> pb.WithdrawResponse:
        """Take money from a wallet to the outside."""
        return await self._carrier.out(verbs.WITHDRAW, request, context)

    async def Transfer(self, request: pb.TransferRequest, context: Context) -> pb.TransferResponse:
        """Move money from a wallet to another."""
        return await self._carrier.out(verbs.TRANSFER, request, context)

    async def Authorize(
        self, request: holds.AuthorizeRequest, context: Context
    ) -> holds.AuthorizeResponse:
        """Reserve money of a wallet."""
        return await self._carrier.out(verbs.AUTHORIZE, request, context)

    async def IncrementHold(
        self, request: holds.IncrementHoldRequest, context: Context
    ) -> holds.IncrementHoldResponse:
        """Reserve more under a hold."""
        return await self._carrier.out(verbs.INCREMENT_HOLD, request, context)

    async def ExtendHold(
        self, request: holds.ExtendHoldRequest, context: Context
    ) -> holds.ExtendHoldResponse:
        """Let a hold end later."""
        return await self._carrier.out(verbs.EXTEND_HOLD, request, context)

    async def CaptureHold(
        self, request: holds.CaptureHoldRequest, context: Context
    ) -> holds.CaptureHoldResponse:
        """Move money that a hold reserves."""
        return await self._carrier.out(verbs.CAPTURE_HOLD, request, context)

    async def VoidHold(
        self, request: holds.VoidHoldRequest, context: Context
    ) -> holds.VoidHoldResponse:
        """Release what a hold still reserves."""
        return await self._carrier.out(verbs.VOID_HOLD, request, context)

    async def PostTransaction(
        self, request: postings.PostTransactionRequest, context: Context
    ) -> postings.PostTransactionResponse:
        """Carry out several postings, all or none."""
        return await self._carrier.out(verbs.POST_TRANSACTION, request, context)

    async def ReverseTransaction(
        self, request: postings.ReverseTransactionRequest, context: Context
    ) -> postings.ReverseTransactionResponse:
        """Send a transaction's money back, all or part of it."""
        return await self._carrier.administer(verbs.REVERSE_TRANSACTION, request, context)

    async def BatchTransfer(
        self, request: pb.BatchTransferRequest, context: Context
    ) -> pb.BatchTransferResponse:
        """Make transfers that do not depend on each other."""
        reply = pb.BatchTransferResponse()
        deadline, dry = deadline_of(context), request.validate_only
        await self._batches.transfers(request.transfers, reply, deadline, validate_only=dry)
        return reply

    async def StreamTransfers(
        self, request_iterator: AsyncIterator[pb.StreamTransfersRequest], context: Context
    ) -> AsyncIterator[pb.StreamTransfersResponse]:
        """Make transfers as they stream in; each message is answered when all of it is decided."""
        messages = aiter(request_iterator)
        async for reply in answered(messages, self._stream_message, MAX_MESSAGES_UNDER_WAY):
            yield reply

    async def BatchExecute(
        self, request: pb.BatchExecuteRequest, context: Context
    ) -> pb.BatchExecuteResponse:
        """Carry out commands of any kind, each for itself or all or none."""
        begin(request_id_of(context))
        return await self._batches.execute(request, deadline_of(context))

    async def GetWallet(
        self, request: pb.GetWalletRequest, context: Context
    ) -> pb.GetWalletResponse:
        """Get a wallet."""
        return pb.GetWalletResponse(wallet=await self._reading.wallet(request.wallet_id))

    async def ListWallets(
        self, request: pb.ListWalletsRequest, context: Context
    ) -> pb.ListWalletsResponse:
        """List the wallets of an account."""
        return await self._reading.wallets(request)

    async def GetBalance(
        self, request: pb.GetBalanceRequest, context: Context
    ) -> pb.GetBalanceResponse:
        """Get a wallet's balance from its shard's primary."""
        return pb.GetBalanceResponse(balance=await self._reading.balance(request.wallet_id))

    async def GetHold(
        self, request: holds.GetHoldRequest, context: Context
    ) -> holds.GetHoldResponse:
        """Get a hold from its shard's primary."""
        return holds.GetHoldResponse(hold=await self._reading.hold(request.hold_id))

    async def ListHolds(
        self, request: holds.ListHoldsRequest, context: Context
    ) -> holds.ListHoldsResponse:
        """List a wallet's holds, newest first."""
        return await self._reading.holds(request)

    async def GetTransaction(
        self, request: pb.GetTransactionRequest, context: Context
    ) -> pb.GetTransactionResponse:
        """Get a transaction, with its state of now."""
        found = await self._reading.transaction(request.transaction_id)
        return pb.GetTransactionResponse(transaction=found)

    async def GetTransactionFamily(
        self, request: postings.GetTransactionFamilyRequest, context: Context
    ) -> postings.GetTransactionFamilyResponse:
        """Get all that belongs together."""
        return await self._reading.family(request, context.time_remaining())

    async def ListTransactions(
        self, request: pb.ListTransactionsRequest, context: Context
    ) -> pb.ListTransactionsResponse:
        """List transactions, from the ledger."""
        return await self._reading.transactions(request, context.time_remaining())

    async def GetWalletLimits(
        self, request: limits.GetWalletLimitsRequest, context: Context
    ) -> limits.GetWalletLimitsResponse:
        """Get a wallet's limits, and what is used of them."""
        return await self._reading.wallet_limits(request.wallet_id)

    async def GetAccountLimits(
        self, request: limits.GetAccountLimitsRequest, context: Context
    ) -> limits.GetAccountLimitsResponse:
        """Get an account's limits in one currency, and what is used of them."""
        return await self._reading.account_limits(request)

    async def ListAssets(
        self, request: limits.ListAssetsRequest, context: Context
    ) -> limits.ListAssetsResponse:
        """List all that can be held."""
        return limits.ListAssetsResponse(assets=await self._reading.assets())

    async def _stream_message(
        self, request: pb.StreamTransfersRequest
    ) -> pb.StreamTransfersResponse:
        deadline = monotonic() + DEFAULT_DEADLINE_S
        reply = pb.StreamTransfersResponse(batch_id=request.batch_id)
        await self._batches.transfers(request.transfers, reply, deadline, validate_only=False)
        return reply
