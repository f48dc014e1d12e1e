"""A wallet service whose answers a test scripts, for what the real one can't show on demand.

Losing an answer, being away for two calls, breaking a stream: each at a chosen moment.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from guilder.client import Addresses, CallPolicy, Guilder
from guilder.wallet.v1.wallet_service_pb2 import (
    BatchTransferRequest,
    DepositRequest,
    ListWalletsRequest,
    StreamTransfersRequest,
)
from walletkit.errors import ServiceError
from walletkit.rpc.interceptor import StatusInterceptor

Context = grpc.aio.ServicerContext[Any, Any]
Step = Callable[..., Message]

QUICK = CallPolicy(
    timeout_seconds=2.0, max_attempts=4, first_wait_seconds=0.001, max_wait_seconds=0.01
)


class FakeWallet:
    """Answers each call by the next step of the script: a function that returns or raises."""

    def __init__(self, *steps: Step) -> None:
        """Begin with the first step; the last one goes on for ever."""
        self.steps = deque(steps)
        self.requests: list[Any] = []

    def answer(self, request: Message) -> Message:
        """Note the request and run the next step."""
        self.requests.append(request)
        step = self.steps.popleft() if len(self.steps) > 1 else self.steps[0]
        return step(request)

    async def unary(self, request: Message, _context: Context) -> Message:
        """Answer a call by the script."""
        return self.answer(request)

    async def stream(
        self, requests: AsyncIterator[Message], _context: Context
    ) -> AsyncIterator[Message]:
        """Answer each message of a stream by the script."""
        async for request in requests:
            yield self.answer(request)


def unavailable(_request: Message) -> Message:
    """Be away."""
    raise ServiceError("OUTCOME_UNKNOWN", "the connection broke")


@asynccontextmanager
async def serving(fake: FakeWallet, policy: CallPolicy = QUICK) -> AsyncIterator[Guilder]:
    """Serve the fake on a free loopback port, and give a client of it."""
    server = grpc.aio.server(interceptors=[StatusInterceptor()])
    unary: dict[str, type[Message]] = {
        "Deposit": DepositRequest,
        "ListWallets": ListWalletsRequest,
        "BatchTransfer": BatchTransferRequest,
    }
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        name: grpc.unary_unary_rpc_method_handler(fake.unary, kind.FromString, _serialize)
        for name, kind in unary.items()
    }
    handlers["StreamTransfers"] = grpc.stream_stream_rpc_method_handler(
        fake.stream, StreamTransfersRequest.FromString, _serialize
    )
    service = "guilder.wallet.v1.WalletService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with Guilder(Addresses(wallet=f"127.0.0.1:{port}"), policy) as guilder:
            yield guilder
    finally:
        await server.stop(None)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
