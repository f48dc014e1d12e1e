"""Make transfers over a stream that survives its connection. Client room: over the stubs.

Each transfer has a key of its own, so whatever was not answered is sent again.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

import grpc
import grpc.aio

from guilder.client.batches import Outcome, outcome_of
from guilder.client.calls import CallPolicy
from guilder.client.errors import DeadlineExceededError, GuilderError, UnavailableError
from guilder.client.statuses import from_rpc_error, trailing_status
from guilder.wallet.v1.wallet_service_pb2 import (
    StreamTransfersRequest,
    StreamTransfersResponse,
    TransferRequest,
)

STREAM_WINDOW = 8
"""How many batches of a stream may be unanswered."""

StreamMethod = grpc.aio.StreamStreamMultiCallable[StreamTransfersRequest, StreamTransfersResponse]
StreamCall = grpc.aio.StreamStreamCall[StreamTransfersRequest, StreamTransfersResponse]


@dataclass(frozen=True, slots=True)
class Answer:
    """A batch of a stream, and what became of each of its transfers, in order."""

    transfers: Sequence[TransferRequest]
    outcomes: Sequence[Outcome]


@dataclass(slots=True)
class _Stream:
    """What a stream of transfers has to remember over its connections."""

    method: StreamMethod
    policy: CallPolicy
    pending: dict[int, Sequence[TransferRequest]] = field(default_factory=dict)
    # Bounded by the window: an id is in here only while its batch is pending. None: no more come.
    unsent: asyncio.Queue[int | None] = field(default_factory=asyncio.Queue)
    window: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(STREAM_WINDOW))
    ended: bool = False
    progress_at: float = 0.0

    async def feed(self, source: AsyncIterable[Sequence[TransferRequest]]) -> None:
        """Take batches from the caller as fast as the window allows."""
        batch_id = 0
        try:
            async for transfers in source:
                await self.window.acquire()
                batch_id += 1
                if not self.pending:
                    self.progress_at = time.monotonic()
                self.pending[batch_id] = transfers
                self.unsent.put_nowait(batch_id)
        finally:  # also when the source fails: what was sent is still answered
            self.ended = True
            self.unsent.put_nowait(None)

    def rewind(self) -> None:
        """Put everything that was not answered back before what was not sent."""
        self.unsent = asyncio.Queue()
        for batch_id in sorted(self.pending):
            self.unsent.put_nowait(batch_id)
        if self.ended:
            self.unsent.put_nowait(None)

    async def write(self, call: StreamCall) -> None:
        """Send what is to be sent, until no more comes."""
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # the reader meets it too
            while (batch_id := await self.unsent.get()) is not None:
                transfers = self.pending[batch_id]
                await call.write(StreamTransfersRequest(batch_id=batch_id, transfers=transfers))
            await call.done_writing()

    async def read(self, call: StreamCall) -> StreamTransfersResponse | None:
        """Return the next answer, None at the end; raise when one is due and does not come."""
        reading = asyncio.ensure_future(call.read())
        try:
            while True:
                done, _ = await asyncio.wait({reading}, timeout=self.policy.timeout_seconds)
                if done:
                    break
                waited = time.monotonic() - self.progress_at
                if self.pending and waited >= self.policy.timeout_seconds:
                    message = f"no answer on the stream for {waited:.0f} s"
                    code = grpc.StatusCode.DEADLINE_EXCEEDED
                    raise DeadlineExceededError(code, code.name, message)
            answer = reading.result()
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.INTERNAL and trailing_status(error) is None:
                # Not the service's word but gRPC's own: a write met a stream that had just broken.
                raise UnavailableError(
                    grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "the stream broke"
                ) from error
            raise from_rpc_error(error) from error
        finally:
            reading.cancel()
        return answer if isinstance(answer, StreamTransfersResponse) else None

    def settle(self, answer: StreamTransfersResponse) -> Answer:
        """Match an answer with its batch and make room for another one."""
        transfers = self.pending.pop(answer.batch_id, None)
        if transfers is None or len(transfers) != len(answer.results):
            message = f"the answer to batch {answer.batch_id} does not fit what was sent"
            raise GuilderError(grpc.StatusCode.INTERNAL, "INTERNAL", message)
        self.progress_at = time.monotonic()
        self.window.release()
        return Answer(transfers, [outcome_of(result) for result in answer.results])

    async def connection(self) -> AsyncGenerator[Answer]:
        """Open one call and yield its answers, until all is answered or it breaks."""
        self.rewind()
        self.progress_at = time.monotonic()
        call = self.method()
        writing = asyncio.create_task(self.write(call))
        try:
            while (answer := await self.read(call)) is not None:
                yield self.settle(answer)
            if self.pending or not self.ended:
                message = "the stream ended early"
                raise UnavailableError(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", message)
        finally:
            writing.cancel()
            call.cancel()


async def stream_transfers(
    method: StreamMethod,
    source: AsyncIterable[Sequence[TransferRequest]],
    policy: CallPolicy,
) -> AsyncIterator[Answer]:
    """Yield answers; open the stream again when it breaks.

    The policy bounds how often it may break without one answer in between.
    """
    stream = _Stream(method, policy)
    feeding = asyncio.create_task(stream.feed(source))
    failures = 0
    try:
        while True:
            try:
                async with aclosing(stream.connection()) as answers:
                    async for answer in answers:
                        failures = 0
                        yield answer
            except UnavailableError:
                failures += 1
                if failures >= policy.max_attempts:
                    raise
                await asyncio.sleep(policy.wait_seconds(failures))
                continue
            await feeding
            return
    finally:
        feeding.cancel()
