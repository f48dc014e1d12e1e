"""A sink for relay tests: takes records in over gRPC as the contract says, and can misbehave."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import grpc.aio

from guilder.events.v1.record_pb2 import SequencedRecord
from guilder.ledger.v1 import ledger_service_pb2 as pb
from wallet.relay.sinks import CHANNEL_OPTIONS, Sink, ledger
from walletkit.chain import genesis_hash, next_hash
from walletkit.errors import ServiceError
from walletkit.rpc.interceptor import StatusInterceptor


class IngestSink:
    """Keeps the hash of every record; survives a restart of its server."""

    def __init__(self, *, window: int = 100) -> None:
        """Start empty."""
        self.window = window
        self.hashes: dict[int, list[bytes]] = {}
        self.messages = 0
        self.openings = 0
        self.refusal: ServiceError | None = None
        self.free = asyncio.Event()
        self.free.set()
        self.most_unacknowledged = 0
        self._server: grpc.aio.Server | None = None
        self._port = 0

    async def start(self) -> None:
        """Listen; after a stop again on the same port."""
        handler = grpc.stream_stream_rpc_method_handler(
            self.ingest,
            request_deserializer=pb.IngestRequest.FromString,
            response_serializer=pb.IngestResponse.SerializeToString,
        )
        self._server = grpc.aio.server(interceptors=(StatusInterceptor(),))
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "guilder.ledger.v1.LedgerService", {"Ingest": handler}
                ),
            )
        )
        self._port = self._server.add_insecure_port(f"127.0.0.1:{self._port}")
        await self._server.start()

    async def stop(self) -> None:
        """Cut every stream and stop listening."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def client(self) -> Sink:
        """Describe this sink to a relay."""
        return ledger(grpc.aio.insecure_channel(f"127.0.0.1:{self._port}", options=CHANNEL_OPTIONS))

    def of(self, shard: int) -> list[bytes]:
        """Return genesis and the hashes taken in from a shard."""
        return self.hashes.setdefault(shard, [genesis_hash(shard)])

    def taken(self, shard: int) -> list[tuple[int, bytes]]:
        """Return seq and hash of what was taken in from a shard."""
        return list(enumerate(self.of(shard)))[1:]

    async def ingest(
        self,
        request_iterator: AsyncIterator[pb.IngestRequest],
        context: object,  # noqa: ARG002  # gRPC's signature
    ) -> AsyncIterator[pb.IngestResponse]:
        """Take records in as the ledger does."""
        shard = (await anext(request_iterator)).shard
        self.openings += 1
        hashes = self.of(shard)
        yield self._answer(hashes)
        async for request in request_iterator:
            self.messages += 1
            self.most_unacknowledged = max(self.most_unacknowledged, len(request.records))
            await self.free.wait()
            for record in request.records:
                self._take(hashes, record)
            yield self._answer(hashes)

    def _take(self, hashes: list[bytes], record: SequencedRecord) -> None:
        if self.refusal is not None:
            raise self.refusal
        if record.seq > len(hashes):
            raise ServiceError("RECORD_GAP", f"{record.seq} after {len(hashes) - 1}")
        if record.hash != next_hash(record.prev_hash, record.payload):
            raise ServiceError("CHAIN_BROKEN", "hash")
        if record.prev_hash != hashes[record.seq - 1]:
            raise ServiceError("CHAIN_BROKEN", "previous hash")
        if record.seq < len(hashes):
            if record.hash != hashes[record.seq]:
                raise ServiceError("RECORD_CONFLICT", str(record.seq))
            return
        hashes.append(record.hash)

    def _answer(self, hashes: list[bytes]) -> pb.IngestResponse:
        return pb.IngestResponse(seq=len(hashes) - 1, hash=hashes[-1], window=self.window)
