"""Call the wallet service: wallets, and what moves their money. Client room: over the stubs.

The rest of the same service: ``holds``, ``limits``, ``accounts``, ``assets``.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Unpack

import grpc.aio

from guilder.client import batches, streams
from guilder.client import commands as make
from guilder.client.amounts import Amount
from guilder.client.calls import DEFAULT_POLICY, CallPolicy, change, read
from guilder.client.options import (
    DryRunOptions,
    MoneyOptions,
    PostingOptions,
    WalletOptions,
    dry_run_fields,
    wallet_fields,
)
from guilder.client.pages import page_size, walk
from guilder.client.times import to_timestamp
from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1 import postings_pb2, resources_pb2, wallet_service_pb2
from guilder.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub


class WalletClient:
    """Wallets and the money in them. Every method raises ``GuilderError`` by reason.

    A ``reason`` of at most 256 bytes is told in the audit log: ``LedgerClient.list_audit_events``.

    Wherever a wallet id goes, ``alias:{account_id}/{name}`` goes too. Each attempt of a call ends
    after ``timeout_seconds``, where it is given.

    What moves money may be refused by ``WalletNotFoundError``, ``WalletFrozenError`` (its own or
    its account's freeze), ``WalletClosedError``, ``CurrencyMismatchError``, ``LimitError``,
    ``InsufficientFundsError``, ``BalanceOverflowError``, ``VersionMismatchError``; below these are
    "those of money", and only what comes on top is named.
    """

    def __init__(self, channel: grpc.aio.Channel, policy: CallPolicy = DEFAULT_POLICY) -> None:
        """Speak over ``channel``, which stays its owner's to close."""
        self._stub = WalletServiceStub(channel)
        self._policy = policy

    async def create_wallet(
        self,
        account_id: str,
        currency_code: str,
        metadata: Mapping[str, str] | None = None,
        *,
        alias: str = "",
        timeout_seconds: float | None = None,
        **options: Unpack[DryRunOptions],
    ) -> wallet_service_pb2.CreateWalletResponse:
        """Create a wallet, or get the one that this key created. Raise ``AliasTakenError``."""
        request = wallet_service_pb2.CreateWalletRequest(
            account_id=account_id,
            currency_code=currency_code,
            metadata=metadata or {},
            alias=alias,
            **dry_run_fields(options),
        )
        return await change(self._stub.CreateWallet, request, self._policy, timeout_seconds)

    async def get_wallet(
        self, wallet_id: str, *, timeout_seconds: float | None = None
    ) -> resources_pb2.Wallet:
        """Get a wallet. Raise ``WalletNotFoundError``."""
        request = wallet_service_pb2.GetWalletRequest(wallet_id=wallet_id)
        reply = await read(self._stub.GetWallet, request, self._policy, timeout_seconds)
        return reply.wallet

    async def update_wallet(
        self,
        wallet_id: str,
        metadata: Mapping[str, str],
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[WalletOptions],
    ) -> wallet_service_pb2.UpdateWalletResponse:
        """Replace a wallet's metadata, all of it.

        Raise ``WalletNotFoundError``, ``WalletClosedError``, ``VersionMismatchError``.
        """
        request = wallet_service_pb2.UpdateWalletRequest(
            wallet_id=wallet_id, metadata=metadata, **wallet_fields(options)
        )
        return await change(self._stub.UpdateWallet, request, self._policy, timeout_seconds)

    def list_wallets(
        self, account_id: str, *, limit: int | None = None, timeout_seconds: float | None = None
    ) -> AsyncIterator[resources_pb2.Wallet]:
        """Iterate over the wallets of an account, in the order of their ids."""

        async def fetch(token: str) -> tuple[Sequence[resources_pb2.Wallet], str]:
            request = wallet_service_pb2.ListWalletsRequest(
                account_id=account_id, page_size=page_size(limit), page_token=token
            )
            page = await read(self._stub.ListWallets, request, self._policy, timeout_seconds)
            return page.wallets, page.next_page_token

        return walk(fetch, limit)

    async def get_balance(
        self, wallet_id: str, *, timeout_seconds: float | None = None
    ) -> resources_pb2.Balance:
        """Get a wallet's balance as its shard has it now. Raise ``WalletNotFoundError``."""
        request = wallet_service_pb2.GetBalanceRequest(wallet_id=wallet_id)
        reply = await read(self._stub.GetBalance, request, self._policy, timeout_seconds)
        return reply.balance

    async def deposit(
        self,
        wallet_id: str,
        amount: Amount,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[MoneyOptions],
    ) -> wallet_service_pb2.DepositResponse:
        """Bring money from outside into a wallet. Raise those of money, but for funds."""
        request = make.deposit_request(wallet_id, amount, **options)
        return await change(self._stub.Deposit, request, self._policy, timeout_seconds)

    async def withdraw(
        self,
        wallet_id: str,
        amount: Amount,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[MoneyOptions],
    ) -> wallet_service_pb2.WithdrawResponse:
        """Take money from a wallet to the outside. Raise those of money."""
        request = make.withdraw_request(wallet_id, amount, **options)
        return await change(self._stub.Withdraw, request, self._policy, timeout_seconds)

    async def transfer(
        self,
        source_wallet_id: str,
        destination_wallet_id: str,
        amount: Amount,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[MoneyOptions],
    ) -> wallet_service_pb2.TransferResponse:
        """Move money from a wallet to another. Raise those of money."""
        request = make.transfer_request(source_wallet_id, destination_wallet_id, amount, **options)
        return await change(self._stub.Transfer, request, self._policy, timeout_seconds)

    async def batch_transfer(
        self,
        transfers: Sequence[wallet_service_pb2.TransferRequest],
        *,
        validate_only: bool = False,
        timeout_seconds: float | None = None,
    ) -> list[batches.Outcome]:
        """Make up to 1,000 transfers; get a response or an error for each, in order.

        Those that met ``UnavailableError`` are tried again, each with its own key; what still fails
        stays in the list.
        """
        policy = self._policy.within(timeout_seconds)
        method = self._stub.BatchTransfer
        return await batches.batch_transfer(method, transfers, policy, validate_only=validate_only)

    def stream_transfers(
        self, transfers: AsyncIterable[Sequence[wallet_service_pb2.TransferRequest]]
    ) -> AsyncIterator[streams.Answer]:
        """Make transfers over one stream, in batches of up to 1,000; get the answers as they come.

        A broken stream is opened again, and what was not answered sent again with its keys. At most
        ``streams.STREAM_WINDOW`` batches are unanswered at a time.
        """
        return streams.stream_transfers(self._stub.StreamTransfers, transfers, self._policy)

    async def batch_execute(
        self,
        commands: Sequence[make.Command],
        *,
        validate_only: bool = False,
        timeout_seconds: float | None = None,
    ) -> list[batches.CommandOutcome]:
        """Carry out up to 1,000 commands, each for itself; get a response or an error for each.

        ``deposit_request``, ``authorize_request`` and so on make them. Those that met
        ``UnavailableError`` are tried again, each with its own key; what still fails stays in the
        list.
        """
        policy = self._policy.within(timeout_seconds)
        method = self._stub.BatchExecute
        return await batches.batch_execute(method, commands, policy, validate_only=validate_only)

    async def batch_execute_atomic(
        self,
        commands: Sequence[make.Command],
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[DryRunOptions],
    ) -> list[make.CommandResponse]:
        """Carry out up to 1,000 commands of one shard, all or none; get a response for each.

        The batch has one key; keys and dry runs of the commands are left out. What refuses a
        command refuses all: its error is raised, with ``failed_index`` in its metadata. Commands on
        several shards: ``InvalidArgumentError``.
        """
        policy = self._policy.within(timeout_seconds)
        fields = dry_run_fields(options)
        return await batches.execute_atomic(self._stub.BatchExecute, commands, policy, fields)

    async def post_transaction(
        self,
        postings: Sequence[postings_pb2.Posting],
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[PostingOptions],
    ) -> postings_pb2.PostTransactionResponse:
        """Carry out 1 to 100 postings, all or none; ``posting`` makes one.

        Raise those of money, and ``MultiShardDebitError``.
        """
        request = make.post_transaction_request(postings, **options)
        return await change(self._stub.PostTransaction, request, self._policy, timeout_seconds)

    async def reverse_transaction(
        self,
        transaction_id: str,
        amount: Amount | None = None,
        *,
        reason: str = "",
        actor: str = "",
        timeout_seconds: float | None = None,
        **options: Unpack[MoneyOptions],
    ) -> postings_pb2.ReverseTransactionResponse:
        """Send a transaction's money back: an amount of it, else all that is not reversed yet.

        Raise those of money, ``TransactionNotFoundError``, ``ReversalRefusedError``,
        ``MultiShardDebitError``.
        """
        request = make.reverse_transaction_request(
            transaction_id, amount, reason=reason, actor=actor, **options
        )
        return await change(self._stub.ReverseTransaction, request, self._policy, timeout_seconds)

    async def get_transaction(
        self, transaction_id: str, *, timeout_seconds: float | None = None
    ) -> resources_pb2.Transaction:
        """Get a transaction with its state of now. Raise ``TransactionNotFoundError``."""
        request = wallet_service_pb2.GetTransactionRequest(transaction_id=transaction_id)
        reply = await read(self._stub.GetTransaction, request, self._policy, timeout_seconds)
        return reply.transaction

    async def get_transaction_family(
        self,
        id: str,  # noqa: A002 - the proto's name
        *,
        min_position: Position | None = None,
        timeout_seconds: float | None = None,
    ) -> postings_pb2.GetTransactionFamilyResponse:
        """Get what belongs together: the first hold or transaction, captures and reversals.

        From the ledger. Raise ``TransactionNotFoundError``, ``HoldNotFoundError``.
        """
        request = postings_pb2.GetTransactionFamilyRequest(id=id, min_position=min_position)
        return await read(self._stub.GetTransactionFamily, request, self._policy, timeout_seconds)

    def list_transactions(  # noqa: PLR0913 - the proto's filters, by name
        self,
        wallet_id: str = "",
        *,
        account_id: str = "",
        reference: str = "",
        metadata_key: str = "",
        metadata_value: str = "",
        types: Sequence[resources_pb2.TransactionType.ValueType] = (),
        states: Sequence[resources_pb2.TransactionState.ValueType] = (),
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        min_position: Position | None = None,
        limit: int | None = None,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[wallet_service_pb2.WalletTransaction]:
        """Iterate over transactions that meet all that is given, newest first, from the ledger.

        A wallet, an account, a reference or a pair of metadata is given. They were recorded at or
        after ``start_time`` and before ``end_time``. With ``min_position``, of a change's reply,
        the ledger first waits until it has that change. Raise ``WalletNotFoundError``,
        ``AccountTooLargeError``.
        """
        request = wallet_service_pb2.ListTransactionsRequest(
            wallet_id=wallet_id,
            page_size=page_size(limit),
            start_time=to_timestamp(start_time),
            end_time=to_timestamp(end_time),
            min_position=min_position,
            account_id=account_id,
            reference=reference,
            metadata_key=metadata_key,
            metadata_value=metadata_value,
            types=types,
            states=states,
        )

        async def fetch(token: str) -> tuple[Sequence[wallet_service_pb2.WalletTransaction], str]:
            request.page_token = token
            page = await read(self._stub.ListTransactions, request, self._policy, timeout_seconds)
            return page.transactions, page.next_page_token

        return walk(fetch, limit)

    async def freeze_wallet(
        self,
        wallet_id: str,
        *,
        scope: resources_pb2.FreezeScope.ValueType = resources_pb2.FREEZE_SCOPE_UNSPECIFIED,
        reason: str = "",
        timeout_seconds: float | None = None,
        **options: Unpack[WalletOptions],
    ) -> wallet_service_pb2.FreezeWalletResponse:
        """Freeze a wallet, for all or for debits: nothing decided after the reply moves its money.

        Raise ``WalletNotFoundError``, ``WalletFrozenError``, ``WalletClosedError``,
        ``VersionMismatchError``.
        """
        request = wallet_service_pb2.FreezeWalletRequest(
            wallet_id=wallet_id, scope=scope, reason=reason, **wallet_fields(options)
        )
        return await change(self._stub.FreezeWallet, request, self._policy, timeout_seconds)

    async def unfreeze_wallet(
        self,
        wallet_id: str,
        *,
        reason: str = "",
        timeout_seconds: float | None = None,
        **options: Unpack[WalletOptions],
    ) -> wallet_service_pb2.UnfreezeWalletResponse:
        """Make a frozen wallet active again.

        Raise ``WalletNotFoundError``, ``WalletNotFrozenError``, ``WalletClosedError``,
        ``VersionMismatchError``.
        """
        request = wallet_service_pb2.UnfreezeWalletRequest(
            wallet_id=wallet_id, reason=reason, **wallet_fields(options)
        )
        return await change(self._stub.UnfreezeWallet, request, self._policy, timeout_seconds)

    async def close_wallet(
        self,
        wallet_id: str,
        *,
        reason: str = "",
        timeout_seconds: float | None = None,
        **options: Unpack[WalletOptions],
    ) -> wallet_service_pb2.CloseWalletResponse:
        """Close an empty wallet for good.

        Raise ``WalletNotFoundError``, ``WalletNotEmptyError``, ``WalletHasOpenIntentsError``,
        ``WalletClosedError``, ``VersionMismatchError``.
        """
        request = wallet_service_pb2.CloseWalletRequest(
            wallet_id=wallet_id, reason=reason, **wallet_fields(options)
        )
        return await change(self._stub.CloseWallet, request, self._policy, timeout_seconds)
