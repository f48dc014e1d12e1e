"""Batches keep their order; a stream survives its connection."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from google.protobuf.message import Message

from guilder.client import (
    Answer,
    CallPolicy,
    DeadlineExceededError,
    InsufficientFundsError,
    OutcomeUnknownError,
)
from guilder.client.streams import STREAM_WINDOW
from guilder.wallet.v1.wallet_service_pb2 import (
    BatchTransferRequest,
    BatchTransferResponse,
    StreamTransfersRequest,
    StreamTransfersResponse,
    TransferRequest,
)
from tests.client.batch_samples import bad, good, shown, transfers
from tests.client.fake_wallet import QUICK, Context, FakeWallet, serving, unavailable


def answer_message(request: StreamTransfersRequest) -> StreamTransfersResponse:
    """Answer all of a stream's message."""
    results = [good(item) for item in request.transfers]
    return StreamTransfersResponse(batch_id=request.batch_id, results=results)


async def test_each_transfer_has_its_outcome_in_order() -> None:
    """A decline is an item of the list, as the exception that a single call would raise."""

    def step(request: BatchTransferRequest) -> BatchTransferResponse:
        first, _ = request.transfers
        return BatchTransferResponse(results=[good(first), bad("INSUFFICIENT_FUNDS")])

    async with serving(FakeWallet(step)) as guilder:
        outcomes = await guilder.wallet.batch_transfer(transfers(2))
    assert shown(outcomes) == ["0", "INSUFFICIENT_FUNDS"]
    assert isinstance(outcomes[1], InsufficientFundsError)


async def batches(count: int, size: int) -> AsyncIterator[list[TransferRequest]]:
    """Give batches of transfers with keys 0, 1, 2, …."""
    for number in range(count):
        yield transfers(size, number * size)


async def keys_answered(source: AsyncIterator[Answer], found: list[str] | None = None) -> list[str]:
    """Collect the outcomes of a stream, into ``found`` where a test wants them after an error."""
    found = [] if found is None else found
    async for answer in source:
        found += shown(answer.outcomes)
    return found


async def test_a_stream_answers_every_batch() -> None:
    """More batches than the window are all answered, each once."""
    count = STREAM_WINDOW * 3
    async with serving(FakeWallet(answer_message)) as guilder:
        found = await keys_answered(guilder.wallet.stream_transfers(batches(count, 2)))
    assert sorted(map(int, found)) == list(range(count * 2))


async def test_a_broken_stream_goes_on() -> None:
    """When the connection breaks, what was not answered is sent again, and nothing else."""
    fake = FakeWallet(answer_message, unavailable, unavailable, answer_message)
    async with serving(fake) as guilder:
        found = await keys_answered(guilder.wallet.stream_transfers(batches(4, 1)))
    assert sorted(found) == ["0", "1", "2", "3"]
    ids = [request.batch_id for request in fake.requests]
    assert ids.count(1) == 1
    assert ids.count(2) == 3


async def test_a_stream_that_only_breaks_is_given_up() -> None:
    """Breaks without an answer in between are bounded."""
    fake = FakeWallet(unavailable)
    async with serving(fake) as guilder:
        with pytest.raises(OutcomeUnknownError):
            await keys_answered(guilder.wallet.stream_transfers(batches(1, 1)))
    assert len(fake.requests) == QUICK.max_attempts


class Silent(FakeWallet):
    """Takes messages and never answers."""

    async def stream(
        self, requests: AsyncIterator[Message], _context: Context
    ) -> AsyncIterator[Message]:
        """Read on."""
        async for request in requests:
            self.requests.append(request)
        await asyncio.Event().wait()
        yield StreamTransfersResponse()


async def test_a_silent_stream_ends_by_deadline() -> None:
    """A batch without an answer in time counts as a broken stream."""
    policy = CallPolicy(timeout_seconds=0.1, max_attempts=2, first_wait_seconds=0.001)
    async with serving(Silent(answer_message), policy) as guilder:
        with pytest.raises(DeadlineExceededError):
            await keys_answered(guilder.wallet.stream_transfers(batches(1, 1)))


async def test_an_idle_stream_is_no_broken_one() -> None:
    """A caller that has nothing to send for longer than the deadline keeps its stream."""

    async def slow() -> AsyncIterator[list[TransferRequest]]:
        yield transfers(1)
        await asyncio.sleep(0.3)
        yield transfers(1, 1)

    policy = CallPolicy(timeout_seconds=0.1, max_attempts=1)
    async with serving(FakeWallet(answer_message), policy) as guilder:
        assert await keys_answered(guilder.wallet.stream_transfers(slow())) == ["0", "1"]


async def test_an_error_of_the_source_comes_through() -> None:
    """What was sent before is answered; then the source's own error is raised."""

    async def failing() -> AsyncIterator[list[TransferRequest]]:
        yield transfers(1)
        raise LookupError("source")

    found: list[str] = []
    async with serving(FakeWallet(answer_message)) as guilder:
        with pytest.raises(LookupError):
            await keys_answered(guilder.wallet.stream_transfers(failing()), found)
    assert found == ["0"]
