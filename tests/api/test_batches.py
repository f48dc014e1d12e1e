"""Many transfers a call: outcomes in order, streams that are answered as they go, bounded waits."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.api import books
from tests.api.failures import KEY_REUSED, declined, not_found, of_result
from tests.api.suite import TIMEOUT_S, Suite, locked, running
from wallet.api.streaming import answered
from walletkit.ids import format_id, new_id

SOON_S = 5


async def batch(suite: Suite, transfers: list[pb.TransferRequest]) -> list[pb.TransferResult]:
    """Make a batch, and check that each has an outcome."""
    request = pb.BatchTransferRequest(transfers=transfers)
    results = list((await suite.stub.BatchTransfer(request, timeout=TIMEOUT_S)).results)
    assert len(results) == len(transfers)
    return results


def amount_of(result: pb.TransferResult) -> int:
    """Return what a transfer moved, 0 when it was declined."""
    return result.response.transaction.amount.amount_minor


async def test_outcomes_are_in_the_order_of_the_request(suite: Suite) -> None:
    """Made, declined, unknown, replayed, to another shard: each outcome stands at its place."""
    one, other, far = await suite.wallet(100), await suite.wallet(), await suite.wallet(shard=1)
    nobody = format_id(new_id(7))
    write = suite.transfer_request
    first = write(one, other, 10)
    reused = write(one, other, 11, idempotency_key=first.idempotency_key)
    results = await batch(
        suite,
        [
            first,
            write(one, nobody, 1),
            write(one, far, 20),
            write(one, other, 71),
            first,
            reused,
            write(other, one, 10),
            write(one, far, 80),
        ],
    )
    made = [amount_of(result) for result in results]
    assert made == [10, 0, 20, 0, 10, 0, 10, 80]
    assert of_result(results[1]) == not_found(nobody)
    assert of_result(results[3]) == declined(
        "INSUFFICIENT_FUNDS", wallet_id=one, available=70, required=71
    )
    assert [results[0].response.replayed, results[4].response.replayed] == [False, True]
    assert results[4].response.transaction == results[0].response.transaction
    assert of_result(results[5]) == KEY_REUSED
    ends = [await suite.posted(wallet) for wallet in (one, other, far)]
    assert ends == [0, 0, 100]


async def test_largest_batch(suite: Suite) -> None:
    """1,000 transfers between 20 wallets on two shards: all made, each with its own balances."""
    wallets = [await suite.wallet(10_000, shard=n % 2) for n in range(20)]
    transfers = [
        suite.transfer_request(wallets[n % 20], wallets[(n * 7 + 3) % 20], 1 + n % 5)
        for n in range(1000)
        if n % 20 != (n * 7 + 3) % 20
    ]
    results = await batch(suite, transfers)
    assert [amount_of(r) for r in results] == [t.amount.amount_minor for t in transfers]
    assert {r.response.transaction.state for r in results} == {res.TRANSACTION_STATE_COMPLETED}
    assert sum([await suite.posted(wallet) for wallet in wallets]) == 200_000


async def test_stream_of_many_messages(suite: Suite) -> None:
    """Each message is answered once under its own number, each transfer at its place."""
    one, other = await suite.wallet(10**6), await suite.wallet(shard=1)
    sent = {
        number: [suite.transfer_request(one, other, number) for _ in range(1 + number % 3)]
        for number in range(1, 61)
    }

    async def messages() -> AsyncIterator[pb.StreamTransfersRequest]:
        for number, transfers in sent.items():
            yield pb.StreamTransfersRequest(batch_id=number, transfers=transfers)

    answered = {}
    async for reply in suite.stub.StreamTransfers(messages(), timeout=TIMEOUT_S):
        assert reply.batch_id not in answered
        answered[reply.batch_id] = [amount_of(result) for result in reply.results]
    assert answered == {number: [number] * len(transfers) for number, transfers in sent.items()}


async def test_stream_answers_without_waiting_for_more(suite: Suite) -> None:
    """A client that sends its next message only after the answer to the last one gets on."""
    one, other = await suite.wallet(100), await suite.wallet()
    call = suite.stub.StreamTransfers(timeout=TIMEOUT_S)
    for number in range(3):
        message = pb.StreamTransfersRequest(
            batch_id=number, transfers=[suite.transfer_request(one, other, 1)]
        )
        await call.write(message)
        async with asyncio.timeout(SOON_S):
            reply = await call.read()
        assert isinstance(reply, pb.StreamTransfersResponse)
        assert reply.batch_id == number
    await call.done_writing()
    assert await suite.posted(other) == 3


async def test_stream_answers_in_the_order_of_finishing(suite: Suite) -> None:
    """A message that is held up, here by a stranger's lock, does not hold up the next one."""
    one, other, far = await suite.wallet(10), await suite.wallet(), await suite.wallet(10, shard=1)
    messages = [
        pb.StreamTransfersRequest(batch_id=1, transfers=[suite.transfer_request(far, one, 1)]),
        pb.StreamTransfersRequest(batch_id=2, transfers=[suite.transfer_request(one, other, 1)]),
    ]
    call = suite.stub.StreamTransfers(iter(messages), timeout=TIMEOUT_S)
    async with locked(suite.urls[1], far), asyncio.timeout(SOON_S):
        first = await call.read()
    second = await call.read()
    assert isinstance(first, pb.StreamTransfersResponse)
    assert isinstance(second, pb.StreamTransfersResponse)
    assert [first.batch_id, second.batch_id] == [2, 1]
    assert amount_of(second.results[0]) == 1


async def test_stream_works_on_a_bounded_number_at_once() -> None:
    """Beyond the limit nothing is read from the stream; one failure ends it and all at work."""
    at_work: set[int] = set()
    most_seen: list[int] = []
    cancelled: list[int] = []

    async def requests() -> AsyncIterator[int]:
        for number in range(10):
            yield number

    async def answer(number: int) -> int:
        at_work.add(number)
        most_seen.append(len(at_work))
        try:
            await asyncio.sleep(0.01 if number < 7 else SOON_S)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        at_work.discard(number)
        if number == 6:
            raise ValueError(number)
        return number

    answers: list[int] = []

    async def collect() -> None:
        async for number in answered(requests(), answer, 3):
            answers.append(number)  # noqa: PERF401  # kept when it raises

    with pytest.raises(ValueError, match="6"):
        await collect()
    await asyncio.sleep(0)
    assert sorted(answers) == list(range(6))
    assert max(most_seen) == 3
    assert 7 in cancelled


async def test_stream_that_is_cancelled_strands_nothing(suite: Suite) -> None:
    """What was decided stands, what was not is dropped; the service goes on."""
    one, other = await suite.wallet(10_000), await suite.wallet(shard=1)
    call = suite.stub.StreamTransfers(timeout=TIMEOUT_S)
    for number in range(10):
        transfers = [suite.transfer_request(one, other, 1) for _ in range(100)]
        await call.write(pb.StreamTransfersRequest(batch_id=number, transfers=transfers))
    await call.read()
    call.cancel()
    await asyncio.sleep(0.5)
    await books.settled(suite.urls)
    moved = await suite.posted(other)
    assert moved >= 100
    assert await suite.posted(one) == 10_000 - moved
    await suite.transfer(one, other, 1)


async def test_batch_waits_once_for_legs_that_are_late(suite: Suite) -> None:
    """However many legs are held up, the reply comes after one wait, and says PROCESSING."""
    async with running(suite.urls, leg_wait_s=0.4) as slow:
        one, other = await slow.wallet(100), await slow.wallet(shard=1)
        await slow.transfer(one, other, 1)
        async with locked(suite.urls[1], other):
            began = time.monotonic()
            results = await batch(slow, [slow.transfer_request(one, other, 1) for _ in range(10)])
            took_s = time.monotonic() - began
        assert {r.response.transaction.state for r in results} == {res.TRANSACTION_STATE_PROCESSING}
        assert took_s < 2
        await books.settled(suite.urls)
        ids = [r.response.transaction.transaction_id for r in results]
        assert {await slow.state(id_) for id_ in ids} == {res.TRANSACTION_STATE_COMPLETED}
        assert await slow.posted(other) == 11


async def test_a_slow_transfer_hides_no_landed_leg(suite: Suite) -> None:
    """The first lands while the second waits for a lock: the reply says COMPLETED of both."""
    payer, far = await suite.wallet(10), await suite.wallet(shard=1)
    slow, other = await suite.wallet(10, shard=1), await suite.wallet(shard=1)
    transfers = [suite.transfer_request(payer, far, 5), suite.transfer_request(slow, other, 5)]
    async with locked(suite.urls[1], slow):
        # Found locked by this one, so that the batch is parked and holds nobody else up.
        first = asyncio.create_task(suite.transfer(slow, other, 1))
        await asyncio.sleep(4.5)
        waiting = asyncio.create_task(batch(suite, transfers))
        await asyncio.sleep(0.5)
        assert await suite.posted(far) == 5
        assert not waiting.done()
    states = [result.response.transaction.state for result in await waiting]
    assert states == [res.TRANSACTION_STATE_COMPLETED] * 2
    await first
