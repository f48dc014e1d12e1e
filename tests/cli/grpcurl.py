"""Stand in for grpcurl where the guide is run: the tests need no Go.

Understands what the guide uses: `-plaintext -d JSON HOST:PORT SERVICE/METHOD`. Field names are
written as in the protos, as grpcurl does.
"""

import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory

import guilder.ledger.v1.ledger_service_pb2
import guilder.wallet.v1.wallet_service_pb2  # noqa: F401  # both register their services

DEADLINE_S = 30.0


def main(arguments: list[str]) -> int:
    """Make the call, print its messages, and return the exit code."""
    _, _, text, address, path = arguments
    service, name = path.split("/")
    method = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    request = json_format.Parse(text, message_factory.GetMessageClass(method.input_type)())
    reply = message_factory.GetMessageClass(method.output_type)
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_stream(
            f"/{path}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        try:
            for message in call(request, timeout=DEADLINE_S):
                print(json_format.MessageToJson(message, preserving_proto_field_name=True))  # noqa: T201
        except grpc.RpcError as error:
            print(error, file=sys.stderr)  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
