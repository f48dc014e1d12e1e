"""Speak ``Ingest`` with a sink: a stream for each shard, and what is in flight. gRPC only."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from guilder.events.v1.record_pb2 import SequencedRecord
from guilder.ledger.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from guilder.notify.v1 import notify_service_pb2, notify_service_pb2_grpc
from wallet.relay.outbox import Position

OPEN_TIMEOUT_S = 10
STALL_TIMEOUT_S = 30
"""A sink that acknowledges nothing of what it got for so long is taken for dead."""
STALL_CHECK_S = 1
MAX_IN_FLIGHT = 4_096
"""Records sent and not acknowledged, whatever window a sink offers."""

CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 3_000),
)


Answer = ledger_service_pb2.IngestResponse | notify_service_pb2.IngestResponse


class SinkError(RuntimeError):
    """A sink answers what its contract does not allow."""


@dataclass(frozen=True, slots=True)
class Sink:
    """A service that takes records in: its channel, and the types of its ``Ingest``."""

    name: str
    channel: grpc.aio.Channel
    ingest: Any
    request: Any
    may_fence: bool
    """Whether its position may stop a shard: only for a sink that must hold all that is true."""


def ledger(channel: grpc.aio.Channel) -> Sink:
    """Describe the ledger; it is connected when it is needed."""
    stub = ledger_service_pb2_grpc.LedgerServiceStub(channel)
    request = ledger_service_pb2.IngestRequest
    return Sink("ledger", channel, stub.Ingest, request, may_fence=True)


def notify(channel: grpc.aio.Channel) -> Sink:
    """Describe notify; it is connected when it is needed.

    It may not fence: its position lies in Redis, and a wrong number there must not stop money.
    """
    stub = notify_service_pb2_grpc.NotifyServiceStub(channel)
    request = notify_service_pb2.IngestRequest
    return Sink("notify", channel, stub.Ingest, request, may_fence=False)


async def ask(sink: Sink, shard: int) -> Position:
    """Return what is durable at a sink now, by a stream that is opened for nothing else."""
    stream = Stream(sink, shard)
    try:
        return await stream.open()
    finally:
        stream.close()


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason that a sink gave for its refusal, or nothing."""
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # has all that it reads
    except ValueError:
        return ""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status is not None else ():
        if detail.Unpack(info):
            return str(info.reason)
    return ""


class Stream:
    """One open stream of one shard to one sink.

    It has no deadline of its own, for it lives as long as both ends do: opening has one, keepalive
    finds a dead peer, and ``watch`` a sink that hangs.
    """

    def __init__(
        self, sink: Sink, shard: int, on_progress: Callable[[int], None] = lambda _seq: None
    ) -> None:
        """Name the two ends; ``open`` comes next.

        ``on_progress`` is told of each record up to which the sink has all that was sent.
        """
        self._on_progress = on_progress
        self._sink = sink
        self._shard = shard
        self._call: Any = None
        self._window = 0
        self._acknowledged = Position(0, b"")
        self._in_flight: deque[Position] = deque()
        self._progress_at = 0.0
        self._moved = asyncio.Event()

    async def open(self) -> Position:
        """Open the stream and return the position that is durable at the sink."""
        self._call = self._sink.ingest()
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await self._call.write(self._sink.request(shard=self._shard))
            answer = await self._read()
        self._acknowledged = Position(answer.seq, answer.hash)
        self._window = answer.window
        return self._acknowledged

    async def room(self) -> int:
        """Wait until the window has room, and return for how many records."""
        while (room := min(self._window, MAX_IN_FLIGHT) - len(self._in_flight)) <= 0:
            self._moved.clear()
            await self._moved.wait()
        return room

    async def send(self, records: Sequence[SequencedRecord]) -> None:
        """Send records; they are in flight until they are acknowledged."""
        if not self._in_flight:
            self._progress_at = asyncio.get_running_loop().time()
        self._in_flight.extend([Position(record.seq, record.hash) for record in records])
        try:
            await self._call.write(self._sink.request(shard=self._shard, records=records))
        except asyncio.InvalidStateError:
            # The stream has ended: its status says why.
            await self._read()
            raise

    async def receive(self) -> None:
        """Take acknowledgements until the stream ends. Raise ``AioRpcError`` or ``SinkError``."""
        while True:
            answer = await self._read()
            self._acknowledge(Position(answer.seq, answer.hash))
            self._window = answer.window
            self._moved.set()

    async def watch(self) -> None:
        """Raise ``TimeoutError`` when the sink has stopped acknowledging what it got."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(STALL_CHECK_S)
            if self._in_flight and loop.time() > self._progress_at + STALL_TIMEOUT_S:
                raise TimeoutError(f"no acknowledgement within {STALL_TIMEOUT_S} s")

    @property
    def acknowledged(self) -> Position:
        """The last position that is known to be durable at the sink."""
        return self._acknowledged

    def close(self) -> None:
        """End the stream at once; what was in flight is sent again by the next one."""
        if self._call is not None:
            self._call.cancel()

    async def _read(self) -> Answer:
        answer = await self._call.read()
        if not isinstance(answer, Answer):
            raise SinkError(f"the stream ended with {await self._call.code()}")
        return answer

    def _acknowledge(self, position: Position) -> None:
        """Drop from flight what is durable.

        A sink may be further than what was sent here, for another relay may serve it too; then this
        stream goes on where it is, and the sink takes no record twice.
        """
        if position.seq < self._acknowledged.seq:
            raise SinkError(f"went back from {self._acknowledged.seq} to {position.seq}")
        while self._in_flight and self._in_flight[0].seq <= position.seq:
            self._acknowledged = self._in_flight.popleft()
            self._progress_at = asyncio.get_running_loop().time()
        self._on_progress(self._acknowledged.seq)
        if position.seq == self._acknowledged.seq and position.hash != self._acknowledged.hash:
            raise SinkError(f"has another record {position.seq} than this shard")
