"""A wallet service of a test's own: real server, real stubs, and short ways to what tests need."""

import itertools
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypedDict, Unpack

import asyncmy
import grpc.aio
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as pb
from guilder.wallet.v1 import wallet_service_pb2_grpc as stubs
from wallet.api.history import History
from wallet.api.wallet_servicer import WalletServicer
from wallet.engine.router import Router
from wallet.store.shard import Shard
from walletkit.ids import SLOTS, parse_id, slot_of_account
from walletkit.rpc.interceptor import StatusInterceptor
from walletkit.rpc.server import OPTIONS, by_name
from walletkit.sql.session import open_session, run_packet

NOWHERE = "127.0.0.1:1"
"""Nothing listens here: the ledger is down for nearly all tests of this rung."""
TIMEOUT_S = 20


class More(TypedDict, total=False):
    """Fields that a movement may have."""

    idempotency_key: str
    reference: str
    description: str
    metadata: dict[str, str]
    expected_version: int
    validate_only: bool


class Suite:
    """What tests do with the service; fresh keys unless they say one."""

    def __init__(self, router: Router, channel: grpc.aio.Channel, urls: Sequence[str]) -> None:
        """Talk to a server through a channel."""
        self.router = router
        self.channel = channel
        self.urls = urls
        self.stub = stubs.WalletServiceStub(channel)
        self._numbers = itertools.count(1)
        self._name = secrets.token_hex(6)

    def key(self) -> str:
        """Return a fresh idempotency key."""
        return f"{self._name}-{next(self._numbers)}"

    def account(self, shard: int) -> str:
        """Return the name of a fresh account that lives on a shard."""
        names = (f"{self._name}.{number}" for number in self._numbers)
        return next(
            name for name in names if slot_of_account(name) * len(self.urls) // SLOTS == shard
        )

    async def wallet(self, posted: int = 0, *, shard: int = 0, currency: str = "EUR") -> str:
        """Create a wallet in an account of its own and put money into it; return its id."""
        wallet_id = await self.wallet_in(self.account(shard), currency)
        if posted:
            await self.deposit(wallet_id, posted, currency=currency)
        return wallet_id

    async def wallet_in(self, account: str, currency: str = "EUR") -> str:
        """Create a wallet in an account; return its id."""
        request = pb.CreateWalletRequest(
            account_id=account, currency_code=currency, idempotency_key=self.key()
        )
        reply = await self.stub.CreateWallet(request, timeout=TIMEOUT_S)
        return reply.wallet.wallet_id

    async def deposit(
        self, wallet_id: str, amount: int, *, currency: str = "EUR", **fields: Unpack[More]
    ) -> pb.DepositResponse:
        """Deposit."""
        fields.setdefault("idempotency_key", self.key())
        request = pb.DepositRequest(wallet_id=wallet_id, amount=money(amount, currency), **fields)
        return await self.stub.Deposit(request, timeout=TIMEOUT_S)

    async def withdraw(
        self, wallet_id: str, amount: int, *, currency: str = "EUR", **fields: Unpack[More]
    ) -> pb.WithdrawResponse:
        """Withdraw."""
        fields.setdefault("idempotency_key", self.key())
        request = pb.WithdrawRequest(wallet_id=wallet_id, amount=money(amount, currency), **fields)
        return await self.stub.Withdraw(request, timeout=TIMEOUT_S)

    def transfer_request(
        self,
        source: str,
        destination: str,
        amount: int,
        *,
        currency: str = "EUR",
        **fields: Unpack[More],
    ) -> pb.TransferRequest:
        """Write a transfer."""
        fields.setdefault("idempotency_key", self.key())
        return pb.TransferRequest(
            source_wallet_id=source,
            destination_wallet_id=destination,
            amount=money(amount, currency),
            **fields,
        )

    async def transfer(
        self,
        source: str,
        destination: str,
        amount: int,
        *,
        currency: str = "EUR",
        **fields: Unpack[More],
    ) -> pb.TransferResponse:
        """Transfer."""
        request = self.transfer_request(source, destination, amount, currency=currency, **fields)
        return await self.stub.Transfer(request, timeout=TIMEOUT_S)

    async def freeze(self, wallet_id: str, key: str = "") -> pb.FreezeWalletResponse:
        """Freeze."""
        request = pb.FreezeWalletRequest(wallet_id=wallet_id, idempotency_key=key or self.key())
        return await self.stub.FreezeWallet(request, timeout=TIMEOUT_S)

    async def unfreeze(self, wallet_id: str, key: str = "") -> pb.UnfreezeWalletResponse:
        """Unfreeze."""
        request = pb.UnfreezeWalletRequest(wallet_id=wallet_id, idempotency_key=key or self.key())
        return await self.stub.UnfreezeWallet(request, timeout=TIMEOUT_S)

    async def close(self, wallet_id: str, key: str = "") -> pb.CloseWalletResponse:
        """Close."""
        request = pb.CloseWalletRequest(wallet_id=wallet_id, idempotency_key=key or self.key())
        return await self.stub.CloseWallet(request, timeout=TIMEOUT_S)

    async def do(self, method: str, /, **fields: Any) -> Any:  # noqa: ANN401  # any reply
        """Make any call; what takes a key gets a fresh one unless it is given."""
        return await getattr(self.stub, method)(self.ask(method, **fields), timeout=TIMEOUT_S)

    def ask(self, method: str, /, **fields: Any) -> Any:  # noqa: ANN401  # any request
        """Write the request of any call."""
        request = request_of(method)
        if "idempotency_key" in request.DESCRIPTOR.fields_by_name:
            fields.setdefault("idempotency_key", self.key())
        return request(**fields)

    async def authorize(
        self,
        wallet_id: str,
        amount: int,
        **fields: Any,  # noqa: ANN401  # whatever the request has
    ) -> res.Hold:
        """Reserve; return the hold."""
        reply = await self.do("Authorize", wallet_id=wallet_id, amount=money(amount), **fields)
        hold: res.Hold = reply.hold
        return hold

    async def balance(self, wallet_id: str) -> res.Balance:
        """Return a wallet's balance."""
        balance: res.Balance = (await self.do("GetBalance", wallet_id=wallet_id)).balance
        return balance

    async def posted(self, wallet_id: str) -> int:
        """Return a wallet's posted balance."""
        reply = await self.stub.GetBalance(
            pb.GetBalanceRequest(wallet_id=wallet_id), timeout=TIMEOUT_S
        )
        return reply.balance.posted_minor

    async def state(self, transaction_id: str) -> int:
        """Return a transaction's state of now."""
        request = pb.GetTransactionRequest(transaction_id=transaction_id)
        return (await self.stub.GetTransaction(request, timeout=TIMEOUT_S)).transaction.state


def request_of(method: str) -> type[Message]:
    """Return the class of a call's requests."""
    service = pb.DESCRIPTOR.services_by_name["WalletService"]
    return GetMessageClass(service.methods_by_name[method].input_type)


def money(amount: int, currency: str = "EUR") -> Money:
    """Write an amount."""
    return Money(currency_code=currency, amount_minor=amount)


@asynccontextmanager
async def running(
    urls: Sequence[str],
    *,
    queue_limit: int = 10_000,
    leg_wait_s: float = 1.0,
    ledger_address: str = NOWHERE,
    before: Sequence[grpc.aio.ServerInterceptor] = (),
) -> AsyncIterator[Suite]:
    """Run the service, as wiring.py puts it together, for the time of the block.

    ``before``: interceptors that see a call first.
    """
    router = Router(
        [Shard(number, url, durable=True) for number, url in enumerate(urls)],
        window_s=0.005,
        queue_limit=queue_limit,
        leg_wait_s=leg_wait_s,
    )
    await router.start()
    server = grpc.aio.server(interceptors=(*before, StatusInterceptor()), options=OPTIONS)
    async with (
        grpc.aio.insecure_channel(ledger_address) as ledger,
        grpc.aio.insecure_channel(f"127.0.0.1:{_serve(server, router, ledger)}") as channel,
    ):
        await server.start()
        try:
            yield Suite(router, channel, urls)
        finally:
            await server.stop(1)
            await router.drain()


def _serve(server: grpc.aio.Server, router: Router, ledger: grpc.aio.Channel) -> int:
    servicer = WalletServicer(router, History(ledger))
    stubs.add_WalletServiceServicer_to_server(servicer, by_name(server))
    return server.add_insecure_port("127.0.0.1:0")


@asynccontextmanager
async def locked(url: str, wallet_id: str) -> AsyncIterator[asyncmy.Connection]:
    """Hold a wallet's row locked, as some other session might, for the time of the block."""
    stranger = await open_session(url, autocommit=False)
    try:
        row = f"x'{parse_id(wallet_id).hex()}'"
        await run_packet(stranger, f"SELECT 1 FROM balances WHERE wallet_id={row} FOR UPDATE")
        yield stranger
    finally:
        stranger.close()
