"""Serve the relays' streams.

Read records, hand them to the shard's writer, acknowledge what is durable.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import structlog

from guilder.ledger.v1 import ledger_service_pb2 as api
from ledger.ingest.inbox import WINDOW, Inbox
from ledger.ingest.incoming import check
from ledger.ingest.shard_writer import ShardWriter
from ledger.store.commit import Position
from walletkit.errors import invalid_field
from walletkit.telemetry.metrics.ledger import STREAMS

MAX_SHARD = 1_023
YIELD_BYTES = 64 * 1024
"""After so many bytes of records in a row other calls get their turn."""

log = structlog.get_logger()


class Streams:
    """All streams of this process; one writer for each shard."""

    def __init__(self, open_writer: Callable[[int], ShardWriter], interval_s: float) -> None:
        self._open_writer = open_writer
        self._interval_s = interval_s
        self._writers: dict[int, ShardWriter] = {}

    async def ingest(
        self, requests: AsyncIterator[api.IngestRequest]
    ) -> AsyncIterator[api.IngestResponse]:
        """Answer one stream.

        Raise ``ServiceError`` with the reasons of the proto; what was acknowledged stays.
        """
        opening = await anext(requests, None)
        if opening is None:
            return
        writer = self._writer(opening)
        position = await writer.position()
        log.info("stream opened", shard=opening.shard, seq=position.seq)
        yield _answer(position)
        inbox = Inbox(self._interval_s)
        reader = asyncio.create_task(_read(requests, opening.shard, inbox))
        STREAMS.of().add(1)
        try:
            while batch := await inbox.collect():
                taken = await writer.take(batch)
                position = taken.position
                # Also where all of it was here already: the relay waits for an answer.
                yield _answer(position)
                if taken.refusal is not None:
                    raise taken.refusal
        finally:
            reader.cancel()
            STREAMS.of().add(-1)
            log.info("stream closed", shard=opening.shard, seq=position.seq)

    async def drain(self) -> None:
        """Finish what the writers have begun."""
        await asyncio.gather(*(writer.drain() for writer in self._writers.values()))

    def _writer(self, opening: api.IngestRequest) -> ShardWriter:
        shard = opening.shard
        if shard > MAX_SHARD:
            raise invalid_field("shard", shard, f"0 to {MAX_SHARD}")
        if opening.records:
            raise invalid_field("records", len(opening.records), "none in the first message")
        if shard not in self._writers:
            self._writers[shard] = self._open_writer(shard)
        return self._writers[shard]


async def _read(requests: AsyncIterator[api.IngestRequest], shard: int, inbox: Inbox) -> None:
    """Check what arrives and put it into the inbox, until the stream ends or does not fit."""
    failure: BaseException | None = None
    try:
        async for request in requests:
            await _put_all(request, shard, inbox)
    except Exception as error:  # noqa: BLE001  # whatever it is, the stream's handler raises it
        failure = error
    finally:
        inbox.end(failure)


async def _put_all(request: api.IngestRequest, shard: int, inbox: Inbox) -> None:
    if request.shard != shard:
        raise invalid_field("shard", request.shard, f"{shard}, as in the first message")
    done = 0
    for sent in request.records:
        item = check(shard, sent)
        await inbox.put(item)
        done += item.size
        if done >= YIELD_BYTES:
            done = 0
            await asyncio.sleep(0)


def _answer(position: Position) -> api.IngestResponse:
    return api.IngestResponse(seq=position.seq, hash=position.hash, window=WINDOW)
