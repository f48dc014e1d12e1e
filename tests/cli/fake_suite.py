"""A suite that answers any call with what a test scripts, and notes what it was asked."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from guilder.ledger.v1 import ledger_service_pb2
from guilder.notify.v1 import notify_service_pb2
from guilder.wallet.v1 import wallet_audit_service_pb2, wallet_service_pb2
from walletkit.errors import ServiceError
from walletkit.rpc.status import DETAILS_KEY, to_status

Answer = Message | list[Message] | ServiceError
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

SERVICES = (
    wallet_service_pb2.DESCRIPTOR.services_by_name["WalletService"],
    wallet_audit_service_pb2.DESCRIPTOR.services_by_name["WalletAuditService"],
    ledger_service_pb2.DESCRIPTOR.services_by_name["LedgerService"],
    notify_service_pb2.DESCRIPTOR.services_by_name["NotifyService"],
)


class FakeSuite:
    """Answers each method by the script; one without is answered with an empty reply."""

    def __init__(self) -> None:
        """Begin without a script."""
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.environment: dict[str, str] = {}

    def requests(self, method: str) -> list[dict[str, Any]]:
        """Return what a method was asked, as the API's JSON, without the key."""
        found = [dict(request) for name, request in self.asked if name == method]
        for request in found:
            request.pop("idempotencyKey", None)
        return found

    def handler(self, method: MethodDescriptor) -> Handler:
        """Return what answers a method."""
        reply = GetMessageClass(method.output_type)

        def note(request: Message, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
            self.asked.append((method.name, MessageToDict(request)))
            answer = self.answers.get(method.name, reply())
            if isinstance(answer, ServiceError):
                context.abort_with_status(_Status(answer))
            return answer

        def stream(request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
            yield from note(request, context)

        parse = GetMessageClass(method.input_type).FromString
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream, parse, _serialize)
        return grpc.unary_unary_rpc_method_handler(note, parse, _serialize)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


class _Status(grpc.Status):
    """A service error as gRPC sends it."""

    def __init__(self, error: ServiceError) -> None:
        status = to_status(error)
        self.code = next(each for each in grpc.StatusCode if each.value[0] == status.code)
        self.details = status.message
        self.trailing_metadata = ((DETAILS_KEY, status.SerializeToString()),)


@contextmanager
def serving() -> Iterator[FakeSuite]:
    """Serve a fake on a free loopback port, for all three services."""
    fake = FakeSuite()
    server = grpc.server(ThreadPoolExecutor(4))
    for service in SERVICES:
        handlers: dict[str, Handler] = {
            method.name: fake.handler(method)
            for method in service.methods
            if not method.client_streaming
        }
        generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
        server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port("127.0.0.1:0")
    fake.environment = {
        f"GUILDER_{name}_ADDRESS": f"127.0.0.1:{port}" for name in ("WALLET", "LEDGER", "NOTIFY")
    }
    server.start()
    try:
        yield fake
    finally:
        server.stop(None).wait()
