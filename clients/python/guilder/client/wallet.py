"""Call the wallet service: wallets, balances, movements of money. Client room: over the stubs."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from typing import Unpack

import grpc.aio

from guilder.client import batches
from guilder.client.calls import (
    DEFAULT_POLICY,
    CallPolicy,
    ChangeOptions,
    MoneyOptions,
    call_unary,
    key_of,
    money_fields,
)
from guilder.client.pages import page_size, walk
from guilder.type.v1.money_pb2 import Money
from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1.resources_pb2 import Balance, Transaction, Wallet
from guilder.wallet.v1.wallet_service_pb2 import (
    CloseWalletRequest,
    CloseWalletResponse,
    CreateWalletRequest,
    CreateWalletResponse,
    DepositRequest,
    DepositResponse,
    FreezeWalletRequest,
    FreezeWalletResponse,
    GetBalanceRequest,
    GetTransactionRequest,
    GetWalletRequest,
    ListTransactionsRequest,
    ListWalletsRequest,
    TransferRequest,
    TransferResponse,
    UnfreezeWalletRequest,
    UnfreezeWalletResponse,
    WalletTransaction,
    WithdrawRequest,
    WithdrawResponse,
)
from guilder.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub


def transfer_request(
    source_wallet_id: str,
    destination_wallet_id: str,
    amount: Money,
    **options: Unpack[MoneyOptions],
) -> TransferRequest:
    """Make a transfer for ``batch_transfer`` or ``stream_transfers``, with a key of its own."""
    return TransferRequest(
        source_wallet_id=source_wallet_id,
        destination_wallet_id=destination_wallet_id,
        amount=amount,
        **money_fields(options),
    )


class WalletClient:
    """Wallets and the money in them. Every method raises ``GuilderError`` by reason."""

    def __init__(self, channel: grpc.aio.Channel, policy: CallPolicy = DEFAULT_POLICY) -> None:
        """Speak over ``channel``, which stays its owner's to close."""
        self._stub = WalletServiceStub(channel)
        self._policy = policy

    async def create_wallet(
        self,
        account_id: str,
        currency_code: str,
        metadata: Mapping[str, str] | None = None,
        **options: Unpack[ChangeOptions],
    ) -> CreateWalletResponse:
        """Create a wallet, or get the one that this key created."""
        request = CreateWalletRequest(
            account_id=account_id,
            currency_code=currency_code,
            metadata=metadata or {},
            idempotency_key=key_of(options),
        )
        return await call_unary(self._stub.CreateWallet, request, self._policy)

    async def get_wallet(self, wallet_id: str) -> Wallet:
        """Get a wallet."""
        request = GetWalletRequest(wallet_id=wallet_id)
        return (await call_unary(self._stub.GetWallet, request, self._policy)).wallet

    def list_wallets(self, account_id: str, *, limit: int | None = None) -> AsyncIterator[Wallet]:
        """Iterate over the wallets of an account, in the order of their ids."""

        async def fetch(token: str) -> tuple[Sequence[Wallet], str]:
            request = ListWalletsRequest(
                account_id=account_id, page_size=page_size(limit), page_token=token
            )
            page = await call_unary(self._stub.ListWallets, request, self._policy)
            return page.wallets, page.next_page_token

        return walk(fetch, limit)

    async def get_balance(self, wallet_id: str) -> Balance:
        """Get a wallet's balance as its shard has it now."""
        request = GetBalanceRequest(wallet_id=wallet_id)
        return (await call_unary(self._stub.GetBalance, request, self._policy)).balance

    async def deposit(
        self, wallet_id: str, amount: Money, **options: Unpack[MoneyOptions]
    ) -> DepositResponse:
        """Bring money from outside into a wallet."""
        request = DepositRequest(wallet_id=wallet_id, amount=amount, **money_fields(options))
        return await call_unary(self._stub.Deposit, request, self._policy)

    async def withdraw(
        self, wallet_id: str, amount: Money, **options: Unpack[MoneyOptions]
    ) -> WithdrawResponse:
        """Take money from a wallet to the outside."""
        request = WithdrawRequest(wallet_id=wallet_id, amount=amount, **money_fields(options))
        return await call_unary(self._stub.Withdraw, request, self._policy)

    async def transfer(
        self,
        source_wallet_id: str,
        destination_wallet_id: str,
        amount: Money,
        **options: Unpack[MoneyOptions],
    ) -> TransferResponse:
        """Move money from a wallet to another."""
        request = transfer_request(source_wallet_id, destination_wallet_id, amount, **options)
        return await call_unary(self._stub.Transfer, request, self._policy)

    async def batch_transfer(self, transfers: Sequence[TransferRequest]) -> list[batches.Outcome]:
        """Make up to 1,000 transfers; get a response or an error for each, in order.

        Those that met ``UnavailableError`` are tried again, each with its own key; what still fails
        stays in the list.
        """
        return await batches.batch_transfer(self._stub.BatchTransfer, transfers, self._policy)

    def stream_transfers(
        self, transfers: AsyncIterable[Sequence[TransferRequest]]
    ) -> AsyncIterator[batches.Answer]:
        """Make transfers over one stream, in batches of up to 1,000; get the answers as they come.

        A broken stream is opened again, and what was not answered sent again with its keys. At most
        ``batches.STREAM_WINDOW`` batches are unanswered at a time.
        """
        return batches.stream_transfers(self._stub.StreamTransfers, transfers, self._policy)

    async def get_transaction(self, transaction_id: str) -> Transaction:
        """Get a transaction with its state of now."""
        request = GetTransactionRequest(transaction_id=transaction_id)
        return (await call_unary(self._stub.GetTransaction, request, self._policy)).transaction

    def list_transactions(
        self, wallet_id: str, *, limit: int | None = None, min_position: Position | None = None
    ) -> AsyncIterator[WalletTransaction]:
        """Iterate over the transactions that moved a wallet's balance, newest first.

        They come from the ledger. With ``min_position``, of a change's reply, it waits until it has
        that change.
        """

        async def fetch(token: str) -> tuple[Sequence[WalletTransaction], str]:
            request = ListTransactionsRequest(
                wallet_id=wallet_id,
                page_size=page_size(limit),
                page_token=token,
                min_position=min_position,
            )
            page = await call_unary(self._stub.ListTransactions, request, self._policy)
            return page.transactions, page.next_page_token

        return walk(fetch, limit)

    async def freeze_wallet(
        self, wallet_id: str, **options: Unpack[ChangeOptions]
    ) -> FreezeWalletResponse:
        """Freeze a wallet: nothing decided after the reply moves its money."""
        request = FreezeWalletRequest(wallet_id=wallet_id, idempotency_key=key_of(options))
        return await call_unary(self._stub.FreezeWallet, request, self._policy)

    async def unfreeze_wallet(
        self, wallet_id: str, **options: Unpack[ChangeOptions]
    ) -> UnfreezeWalletResponse:
        """Make a frozen wallet active again."""
        request = UnfreezeWalletRequest(wallet_id=wallet_id, idempotency_key=key_of(options))
        return await call_unary(self._stub.UnfreezeWallet, request, self._policy)

    async def close_wallet(
        self, wallet_id: str, **options: Unpack[ChangeOptions]
    ) -> CloseWalletResponse:
        """Close an empty wallet for good."""
        request = CloseWalletRequest(wallet_id=wallet_id, idempotency_key=key_of(options))
        return await call_unary(self._stub.CloseWallet, request, self._policy)
