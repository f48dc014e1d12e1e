"""One Ingest call.

A reader that runs ahead by little, and answers that cover all that came meanwhile.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import suppress

import grpc
import grpc.aio

from guilder.events.v1 import record_pb2
from guilder.notify.v1 import notify_service_pb2 as pb
from notify.ingest.intake import Intake, Sequenced
from notify.streams.records import Head, Records
from notify.streams.tail import Tail
from walletkit.errors import invalid_field

QUEUED_MESSAGES = 16
IDLE_CHECK_S = 2.0
"""How long a silent stream goes on before it looks whether Redis has lost what was acknowledged."""

Requests = AsyncIterator[pb.IngestRequest]
_SILENCE = pb.IngestRequest()
_Queue = asyncio.Queue[pb.IngestRequest | None]


class IngestStreams:
    """Answers Ingest calls; keeps nothing between them."""

    def __init__(self, records: Records, tail: Tail, window: int) -> None:
        self._records = records
        self._tail = tail
        self._window = window

    async def run(self, requests: Requests) -> AsyncGenerator[pb.IngestResponse, None]:
        """Yield the stored position, then one after each step. Errors as those of ``Intake``."""
        queue: _Queue = asyncio.Queue(QUEUED_MESSAGES)
        reader = asyncio.create_task(_pump(requests, queue))
        try:
            first = await queue.get()
            if first is None:
                return
            intake = Intake(self._records, self._tail, first.shard)
            yield self._answer(await intake.open())
            pending, ended = list(first.records), False
            while True:
                if pending:
                    yield self._answer(await intake.take([_to_record(item) for item in pending]))
                if ended:
                    return
                pending, ended = await _next(queue, intake)
        finally:
            reader.cancel()

    def _answer(self, head: Head) -> pb.IngestResponse:
        return pb.IngestResponse(seq=head.seq, hash=head.hash, window=self._window)


async def _pump(requests: Requests, queue: _Queue) -> None:
    """Move messages into the queue, and None at the end, however that came."""
    with suppress(grpc.RpcError, grpc.aio.UsageError, grpc.aio.InternalError):
        # A broken stream is an end, too: what came before it counts, and the relay opens again.
        async for request in requests:
            await queue.put(request)
    await queue.put(None)


async def _next(queue: _Queue, intake: Intake) -> tuple[list[record_pb2.SequencedRecord], bool]:
    """Wait for a message.

    Return the records of all that have come, and whether the stream ended.
    """
    while (request := await _get(queue)) is _SILENCE:
        await intake.check()
    pending: list[record_pb2.SequencedRecord] = []
    for message in _all(request, queue):
        if message is None:
            return pending, True
        if message.shard != intake.shard:
            raise invalid_field("shard", message.shard, f"must stay {intake.shard} on this stream")
        pending.extend(message.records)
    return pending, False


async def _get(queue: _Queue) -> pb.IngestRequest | None:
    """Return the next message, None at the stream's end, ``_SILENCE`` when none came in time."""
    try:
        async with asyncio.timeout(IDLE_CHECK_S):
            return await queue.get()
    except TimeoutError:
        return _SILENCE


def _all(first: pb.IngestRequest | None, queue: _Queue) -> Iterable[pb.IngestRequest | None]:
    """Yield a message and those that wait behind it."""
    yield first
    while first is not None and not queue.empty():
        first = queue.get_nowait()
        yield first


def _to_record(item: record_pb2.SequencedRecord) -> Sequenced:
    return Sequenced(item.seq, item.prev_hash, item.hash, item.payload)
