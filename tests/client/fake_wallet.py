"""Services whose answers a test scripts, for what the real ones can't show on demand.

Losing an answer, being away for two calls, breaking a stream: each at a chosen moment. All three
services are here on one port.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from guilder.client import Addresses, CallPolicy, Guilder
from guilder.client.sync import Guilder as SyncGuilder
from guilder.client.threads import EventLoopThread
from guilder.edge.v1 import key_service_pb2
from guilder.ledger.v1 import ledger_service_pb2
from guilder.notify.v1 import notify_service_pb2
from guilder.wallet.v1 import wallet_audit_service_pb2, wallet_service_pb2
from walletkit.errors import ServiceError
from walletkit.rpc.interceptor import StatusInterceptor

Context = grpc.aio.ServicerContext[Any, Any]
Step = Callable[..., Any]

SERVICES: dict[str, ServiceDescriptor] = {
    service.full_name: service
    for module in (
        wallet_service_pb2,
        wallet_audit_service_pb2,
        ledger_service_pb2,
        notify_service_pb2,
        key_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
}

QUICK = CallPolicy(
    timeout_seconds=2.0, max_attempts=4, first_wait_seconds=0.001, max_wait_seconds=0.01
)


class FakeWallet:
    """Answers each call by the next step of the script: a function that returns or raises."""

    def __init__(self, *steps: Step) -> None:
        """Begin with the first step; the last one goes on for ever."""
        self.steps = deque(steps)
        self.requests: list[Any] = []
        self.methods: list[str] = []
        self.deadlines: list[float | None] = []
        self.not_serving: set[str] = set()

    def answer(self, request: Message) -> Any:  # noqa: ANN401 - a message, or several
        """Note the request and run the next step."""
        self.requests.append(request)
        step = self.steps.popleft() if len(self.steps) > 1 else self.steps[0]
        return step(request)

    async def unary(self, request: Message, _context: Context) -> Message:
        """Answer a call by the script."""
        answer: Message = self.answer(request)
        return answer

    async def parts(self, request: Message, _context: Context) -> AsyncIterator[Message]:
        """Answer a call by the several messages of the script's step."""
        answer: Iterable[Message] = self.answer(request)
        for part in answer:
            yield part

    async def stream(
        self, requests: AsyncIterator[Message], _context: Context
    ) -> AsyncIterator[Message]:
        """Answer each message of a stream by the script."""
        async for request in requests:
            yield self.answer(request)

    def handler(self, method: MethodDescriptor) -> "grpc.RpcMethodHandler[Any, Any]":
        """Make the handler of a method, whatever its kind."""

        async def unary(request: Message, context: Context) -> Message:
            self.note(method, context)
            return await self.unary(request, context)

        reader = GetMessageClass(method.input_type).FromString
        if method.client_streaming:
            return grpc.stream_stream_rpc_method_handler(self.stream, reader, _serialize)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self.parts, reader, _serialize)
        return grpc.unary_unary_rpc_method_handler(unary, reader, _serialize)

    def note(self, method: MethodDescriptor, context: Context) -> None:
        """Note what was called, and with which deadline."""
        self.methods.append(method.name)
        self.deadlines.append(context.time_remaining())


def empty(_request: Message) -> Message:
    """Answer with a message without fields, whatever its type."""
    return wallet_service_pb2.GetWalletRequest()


def unavailable(_request: Message) -> Message:
    """Be away."""
    raise ServiceError("OUTCOME_UNKNOWN", "the connection broke")


@asynccontextmanager
async def listening(fake: FakeWallet, listen: str = "127.0.0.1:0") -> AsyncIterator[Addresses]:
    """Serve the fake, on a free loopback port where none is given."""
    server = grpc.aio.server(interceptors=[StatusInterceptor()])
    for name, service in SERVICES.items():
        handlers = {method.name: fake.handler(method) for method in service.methods}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    for name in SERVICES.keys() - fake.not_serving:
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    port = server.add_insecure_port(listen)
    await server.start()
    address = f"127.0.0.1:{port}"
    try:
        yield Addresses(address, address, address, address)
    finally:
        await server.stop(None)


@asynccontextmanager
async def serving(fake: FakeWallet, policy: CallPolicy = QUICK) -> AsyncIterator[Guilder]:
    """Serve the fake, and give a client of it."""
    async with listening(fake) as addresses, Guilder(addresses, policy) as guilder:
        yield guilder


@contextmanager
def serving_sync(fake: FakeWallet, policy: CallPolicy = QUICK) -> Iterator[SyncGuilder]:
    """Serve the fake in a thread of its own, and give a blocking client of it."""
    thread = EventLoopThread()
    server = listening(fake)
    try:
        addresses = thread.run(_enter(server))
        with SyncGuilder(addresses, policy) as guilder:
            yield guilder
    finally:
        thread.close(_leave(server))


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


async def _enter(server: AbstractAsyncContextManager[Addresses]) -> Addresses:
    return await server.__aenter__()


async def _leave(server: AbstractAsyncContextManager[Addresses]) -> None:
    await server.__aexit__(None, None, None)
