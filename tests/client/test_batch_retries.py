"""Batches send again what is safe, as often as the policy says, and keep what they know."""

import pytest
from google.protobuf.message import Message

from guilder.client import GuilderError, OutcomeUnknownError
from guilder.wallet.v1.wallet_service_pb2 import BatchTransferRequest, BatchTransferResponse
from tests.client.batch_samples import answer_batch, bad, good, shown, transfers
from tests.client.fake_wallet import QUICK, FakeWallet, Step, serving, unavailable
from walletkit.errors import ServiceError


def partly(request: BatchTransferRequest) -> BatchTransferResponse:
    """Answer the first of a batch; the shard of the others is away."""
    first, *others = request.transfers
    return BatchTransferResponse(results=[good(first), *(bad("SHARD_UNAVAILABLE") for _ in others)])


def internal(_request: Message) -> BatchTransferResponse:
    """Fail in a way that sending again does not mend."""
    raise ServiceError("INTERNAL", "broken")


def too_few(_request: Message) -> BatchTransferResponse:
    """Leave the batch's transfers out of the answer."""
    return BatchTransferResponse()


async def test_only_unavailable_items_are_sent_again() -> None:
    """What met an unavailable shard goes out again with its key; decided items do not."""

    def step(request: BatchTransferRequest) -> BatchTransferResponse:
        one, _, three = request.transfers
        results = [good(one), bad("SHARD_UNAVAILABLE"), good(three)]
        return BatchTransferResponse(results=results)

    fake = FakeWallet(step, answer_batch)
    async with serving(fake) as guilder:
        outcomes = await guilder.wallet.batch_transfer(transfers(3))
    assert shown(outcomes) == ["0", "1", "2"]
    assert [item.idempotency_key for item in fake.requests[1].transfers] == ["1"]


async def test_items_that_stay_unavailable_are_given_back() -> None:
    """After the policy's attempts the item's error is its outcome."""

    def step(request: BatchTransferRequest) -> BatchTransferResponse:
        return BatchTransferResponse(results=[bad("SHARD_UNAVAILABLE") for _ in request.transfers])

    fake = FakeWallet(step)
    async with serving(fake) as guilder:
        assert shown(await guilder.wallet.batch_transfer(transfers(1))) == ["SHARD_UNAVAILABLE"]
    assert len(fake.requests) == QUICK.max_attempts


async def test_a_later_call_that_fails_keeps_what_is_known() -> None:
    """A service that goes away after its first answer fails those that still wait, not the rest."""
    fake = FakeWallet(partly, unavailable)
    async with serving(fake) as guilder:
        outcomes = await guilder.wallet.batch_transfer(transfers(3))
    assert shown(outcomes) == ["0", "OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN"]
    assert isinstance(outcomes[1], OutcomeUnknownError)
    assert len(fake.requests) == QUICK.max_attempts


async def test_a_later_call_that_fails_is_made_again() -> None:
    """A failed call between two answers costs an attempt and nothing else."""
    fake = FakeWallet(unavailable, partly, unavailable, answer_batch)
    async with serving(fake) as guilder:
        assert shown(await guilder.wallet.batch_transfer(transfers(3))) == ["0", "1", "2"]
    sent = [[item.idempotency_key for item in request.transfers] for request in fake.requests]
    assert sent == [["0", "1", "2"], ["0", "1", "2"], ["1", "2"], ["1", "2"]]


@pytest.mark.parametrize("step", [internal, too_few])
async def test_a_later_call_that_fails_for_good_ends_the_batch(step: Step) -> None:
    """An error that may not be tried again ends it; who waits keeps what was known of them."""
    fake = FakeWallet(partly, step)
    async with serving(fake) as guilder:
        outcomes = await guilder.wallet.batch_transfer(transfers(3))
    assert shown(outcomes) == ["0", "SHARD_UNAVAILABLE", "SHARD_UNAVAILABLE"]
    assert len(fake.requests) == 2


async def test_a_batch_that_is_never_answered_raises() -> None:
    """When nothing is known of any transfer the call's error comes, after the policy's attempts."""
    fake = FakeWallet(unavailable)
    async with serving(fake) as guilder:
        with pytest.raises(OutcomeUnknownError):
            await guilder.wallet.batch_transfer(transfers(2))
    assert len(fake.requests) == QUICK.max_attempts


@pytest.mark.parametrize("step", [internal, too_few])
async def test_a_batch_that_fails_for_good_raises_at_once(step: Step) -> None:
    """A first call whose error may not be tried again is the only one."""
    fake = FakeWallet(step)
    async with serving(fake) as guilder:
        with pytest.raises(GuilderError) as caught:
            await guilder.wallet.batch_transfer(transfers(2))
    assert caught.value.reason == "INTERNAL"
    assert len(fake.requests) == 1


async def test_failed_calls_and_unavailable_items_share_the_attempts() -> None:
    """Retries do not nest: whatever an attempt met, the policy's number bounds the calls."""
    fake = FakeWallet(partly, unavailable, unavailable, partly, unavailable)
    async with serving(fake) as guilder:
        outcomes = await guilder.wallet.batch_transfer(transfers(4))
    assert shown(outcomes) == ["0", "1", "SHARD_UNAVAILABLE", "SHARD_UNAVAILABLE"]
    assert len(fake.requests) == QUICK.max_attempts
