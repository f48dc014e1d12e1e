"""A freeze is a barrier: when its reply is there, nothing is decided any more. And what ends it."""

import asyncio

import grpc.aio
import pytest

from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.api import books
from tests.api.failures import declined, failure_of, of_error
from tests.api.suite import Suite, locked, running
from walletkit.ids import parse_id

FROZEN = "WALLET_FROZEN"


async def seq_of(url: str) -> int:
    """Return a shard's last record."""
    ((seq,),) = await books.ask(url, "SELECT seq FROM head")
    return int(seq)


async def pay_until_frozen(
    suite: Suite, source: str, destination: str, made: list[pb.TransferResponse]
) -> None:
    """Transfer one unit again and again until that is declined as frozen."""
    failure = None
    while failure is None:
        try:
            made.append(await suite.transfer(source, destination, 1))
        except grpc.aio.AioRpcError as error:
            failure = of_error(error)
    assert failure.reason == FROZEN


@pytest.mark.parametrize("there", [0, 1])
@pytest.mark.parametrize("side", ["source", "destination"])
async def test_t26_freeze_is_a_barrier(suite: Suite, side: str, there: int) -> None:
    """With 200 transfers at work all the time, none is decided after the reply to Freeze."""
    source, destination = await suite.wallet(10**6), await suite.wallet(shard=there)
    made: list[pb.TransferResponse] = []
    workers = asyncio.gather(
        *[pay_until_frozen(suite, source, destination, made) for _ in range(200)]
    )
    while len(made) < 200:  # noqa: ASYNC110  # they are many
        await asyncio.sleep(0.01)
    await suite.freeze(source if side == "source" else destination)
    last, left = await seq_of(suite.urls[0]), await suite.posted(source)
    await workers
    assert max(reply.position.seq for reply in made) <= last
    assert await suite.posted(source) == left == 10**6 - len(made)
    await books.settled(suite.urls)
    assert await suite.posted(destination) == len(made)


async def test_freeze_waits_for_a_batch_that_is_held_up(suite: Suite) -> None:
    """A batch that saw the destination active, and then waits for a lock, ends before the reply."""
    source, destination = await suite.wallet(100), await suite.wallet(shard=1)
    async with locked(suite.urls[0], source):
        paying = asyncio.create_task(suite.transfer(source, destination, 1))
        await asyncio.sleep(0.1)
        freezing = asyncio.create_task(suite.freeze(destination))
        await asyncio.sleep(0.6)
        assert not freezing.done()
    await freezing
    last = await seq_of(suite.urls[0])
    paid = (await asyncio.gather(paying, return_exceptions=True))[0]
    if isinstance(paid, pb.TransferResponse):
        assert paid.position.seq <= last
    else:
        assert isinstance(paid, grpc.aio.AioRpcError)
        assert of_error(paid).reason == FROZEN


async def test_freeze_is_a_barrier_for_other_processes(suite: Suite) -> None:
    """Another process, held up behind its look at the destination, looks again and declines."""
    source, destination = await suite.wallet(100), await suite.wallet(shard=1)
    async with running(suite.urls) as other:
        await other.transfer(source, destination, 1)
        async with locked(suite.urls[0], source):
            paying = asyncio.create_task(other.transfer(source, destination, 1))
            await asyncio.sleep(0.05)
            await suite.freeze(destination)
        assert (await failure_of(paying)) == declined(FROZEN, wallet_id=destination)
    assert await suite.posted(source) == 99


async def test_frozen_wallet_can_be_unfrozen(suite: Suite) -> None:
    """Freeze, unfreeze: replies show status and version; right after, money moves again."""
    far, wallet = await suite.wallet(100), await suite.wallet(10, shard=1)
    frozen = await suite.freeze(wallet)
    assert (frozen.wallet.status, frozen.balance.version) == (res.WALLET_STATUS_FROZEN, 3)
    assert frozen.balance.posted_minor == 10
    assert await failure_of(suite.transfer(far, wallet, 1)) == declined(FROZEN, wallet_id=wallet)
    assert await failure_of(suite.freeze(wallet)) == declined(FROZEN, wallet_id=wallet)
    active = await suite.unfreeze(wallet)
    assert (active.wallet.status, active.balance.version) == (res.WALLET_STATUS_ACTIVE, 4)
    await suite.transfer(far, wallet, 1)
    expected = declined("WALLET_NOT_FROZEN", wallet_id=wallet)
    assert await failure_of(suite.unfreeze(wallet)) == expected


async def test_leg_lands_in_a_wallet_that_was_frozen_meanwhile(suite: Suite) -> None:
    """What was decided before the freeze still arrives."""
    async with running(suite.urls, leg_wait_s=0.0) as hasty:
        source, destination = await hasty.wallet(100), await hasty.wallet(shard=1)
        await hasty.transfer(source, destination, 1)
        async with locked(suite.urls[1], destination):
            reply = await hasty.transfer(source, destination, 9)
            assert reply.transaction.state == res.TRANSACTION_STATE_PROCESSING
            freezing = asyncio.create_task(hasty.freeze(destination))
            await asyncio.sleep(0.2)
        await freezing
        await books.settled(suite.urls)
        assert await hasty.posted(destination) == 10
        state = await hasty.state(reply.transaction.transaction_id)
        assert state == res.TRANSACTION_STATE_COMPLETED


async def test_t23_concurrent_freezes_and_closes(suite: Suite) -> None:
    """Of many freezes, or closes, with keys of their own one has effect; the others are told."""
    wallet = await suite.wallet()
    for call, reason in ((suite.freeze, FROZEN), (suite.close, "WALLET_CLOSED")):
        results = await asyncio.gather(*[call(wallet) for _ in range(30)], return_exceptions=True)
        failures = [of_error(r) for r in results if isinstance(r, grpc.aio.AioRpcError)]
        assert failures == [declined(reason, wallet_id=wallet)] * 29
    found = await suite.stub.GetBalance(pb.GetBalanceRequest(wallet_id=wallet))
    assert found.balance.version == 3


async def test_t23_close_races_deposits(suite: Suite) -> None:
    """Either the close wins and every deposit is refused, or a deposit does and the close is."""
    for _ in range(5):
        wallet = await suite.wallet()
        calls = [suite.deposit(wallet, 1), suite.close(wallet), suite.deposit(wallet, 1)]
        first, close, second = await asyncio.gather(*calls, return_exceptions=True)
        deposits = [not isinstance(reply, BaseException) for reply in (first, second)]
        if isinstance(close, grpc.aio.AioRpcError):
            assert of_error(close).reason == "WALLET_NOT_EMPTY"
            assert all(deposits)
        else:
            assert deposits == [False, False]
        assert await suite.posted(wallet) == sum(deposits)


async def test_close(suite: Suite) -> None:
    """An empty wallet closes, frozen or not, for good; it can still be read."""
    for frozen in (False, True):
        wallet = await suite.wallet(5)
        refusal = await failure_of(suite.close(wallet))
        assert refusal == declined("WALLET_NOT_EMPTY", wallet_id=wallet, posted=5, held=0)
        await suite.withdraw(wallet, 5)
        if frozen:
            await suite.freeze(wallet)
        reply = await suite.close(wallet)
        assert reply.wallet.status == res.WALLET_STATUS_CLOSED
        assert reply.balance.posted_minor == 0
        for call in (suite.close(wallet), suite.freeze(wallet), suite.unfreeze(wallet)):
            assert await failure_of(call) == declined("WALLET_CLOSED", wallet_id=wallet)
        found = await suite.stub.GetWallet(pb.GetWalletRequest(wallet_id=wallet))
        assert found.wallet == reply.wallet


async def test_close_waits_for_money_on_its_way(suite: Suite) -> None:
    """A wallet whose money has not landed yet can't be closed: it might come back."""
    async with running(suite.urls, leg_wait_s=0.0) as hasty:
        source, destination = await hasty.wallet(10), await hasty.wallet(shard=1)
        async with locked(suite.urls[1], destination):
            await hasty.transfer(source, destination, 10)
            refusal = await failure_of(hasty.close(source))
            assert refusal == declined("WALLET_HAS_OPEN_INTENTS", wallet_id=source)
        await books.settled(suite.urls)
        await hasty.close(source)


async def test_money_for_a_wallet_that_was_closed_meanwhile_comes_back(suite: Suite) -> None:
    """It is home again, the transaction says RETURNED, and the source can be closed then."""
    source, destination = await suite.wallet(100), await suite.wallet(shard=1)
    reply = await pay_into_a_closing_wallet(suite, source, destination)
    left = reply.source_balance.posted_minor
    await books.settled(suite.urls)
    state = await suite.state(reply.transaction.transaction_id)
    assert state == res.TRANSACTION_STATE_RETURNED
    assert await suite.posted(source) == left + 9
    assert await suite.posted(destination) == 100 - left - 9
    await suite.withdraw(source, left + 9)
    await suite.close(source)


async def pay_into_a_closing_wallet(
    suite: Suite, source: str, destination: str
) -> pb.TransferResponse:
    """Transfer 9 to a wallet between the look at it and its closing."""
    update = f"UPDATE balances SET status={{}} WHERE wallet_id=x'{parse_id(destination).hex()}'"
    for _ in range(20):
        await suite.transfer(source, destination, 1)
        # Straight into the row: the service would look again before it pays.
        await books.ask(suite.urls[1], update.format(3))
        try:
            return await suite.transfer(source, destination, 9)
        except grpc.aio.AioRpcError:
            await books.ask(suite.urls[1], update.format(1))
            await asyncio.sleep(0.3)
    pytest.fail("the look at the wallet was never recent enough")
