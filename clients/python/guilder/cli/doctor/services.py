"""Ask the services whether they serve, and whether they speak the contract of this program."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict

import grpc.aio
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from guilder.cli.doctor.deadline import CALL_TIMEOUT_S, bounded
from guilder.cli.doctor.finding import Finding, fail, ok, warn
from guilder.cli.reach import Dial, dialler
from guilder.cli.session import Session
from guilder.edge.v1 import key_service_pb2
from guilder.ledger.v1 import ledger_service_pb2
from guilder.notify.v1 import notify_service_pb2
from guilder.wallet.v1 import wallet_service_pb2
from walletkit.rpc.health import SERVING, health_of

_CONTRACTS: Mapping[str, FileDescriptor] = {
    "wallet": wallet_service_pb2.DESCRIPTOR,
    "ledger": ledger_service_pb2.DESCRIPTOR,
    "notify": notify_service_pb2.DESCRIPTOR,
    "edge": key_service_pb2.DESCRIPTOR,
}
_OURS = "guilder/"


async def look_at_all(session: Session) -> list[Finding]:
    """Ask every service at its address."""
    dial = dialler(session)
    addresses: dict[str, str] = asdict(session.addresses)
    looked = [look(name, addresses[name], dial) for name in _CONTRACTS]
    return [finding for findings in await asyncio.gather(*looked) for finding in findings]


async def look(name: str, address: str, dial: Dial) -> list[Finding]:
    """Ask one service; it does not answer: one line."""
    channel = dial(address)
    try:
        found = await bounded(name, "health", _health(name, address, channel))
        if found[0].status == "ok":
            found += await bounded(name, "contract", _contract(name, channel), CALL_TIMEOUT_S)
        return found
    finally:
        await channel.close()


async def _health(name: str, address: str, channel: grpc.aio.Channel) -> list[Finding]:
    try:
        word = await health_of(channel, CALL_TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        means = "it is down, or can't be reached from here"
        mend = f"start it, or say where it is: GUILDER_{name.upper()}_ADDRESS; GUILDER_TLS_CA"
        return [fail(name, "health", f"{address}: {error.code().name}", means, mend)]
    if word != SERVING:
        means = "it runs, but its database does not answer, or it is about to stop"
        return [fail(name, "health", f"{address}: {word}", means, "look at its log")]
    return [ok(name, "health", f"{address}: {word}", "it is ready for calls")]


async def _contract(name: str, channel: grpc.aio.Channel) -> list[Finding]:
    """Compare the protos that a service has with ours, by its reflection."""
    mine = _CONTRACTS[name]
    try:
        theirs = await _protos(channel, mine.name)
    except grpc.aio.AioRpcError as error:
        means = "whether it speaks the contract of this program is not known"
        mend = "give a token that may ask for reflection: --token-file"
        return [warn(name, "contract", f"not told: {error.code().name}", means, mend)]
    different = [
        proto.name
        for proto in theirs
        if proto.name.startswith(_OURS) and proto.SerializeToString() != _local(proto.name)
    ]
    if different:
        means = "it was made from other protos than this program: one of them is older"
        mend = "bring all to one version; old ones still understand each other"
        return [warn(name, "contract", ", ".join(different), means, mend)]
    return [ok(name, "contract", mine.package, "the same protos as this program's")]


async def _protos(channel: grpc.aio.Channel, name: str) -> list[FileDescriptorProto]:
    """Return a file of a service, and those that it brings along."""
    ask = channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )

    async def requests() -> AsyncIterator[ServerReflectionRequest]:
        yield ServerReflectionRequest(file_by_filename=name)

    found: list[FileDescriptorProto] = []
    async for reply in ask(requests(), timeout=CALL_TIMEOUT_S):
        files = reply.file_descriptor_response.file_descriptor_proto
        found += [FileDescriptorProto.FromString(file) for file in files]
    return found


def _local(name: str) -> bytes:
    """Return a proto of ours, written as it was read; nothing where we have none of this name."""
    pool = next(iter(_CONTRACTS.values())).pool
    try:
        file = pool.FindFileByName(name)
    except KeyError:
        return b""
    return FileDescriptorProto.FromString(file.serialized_pb).SerializeToString()
