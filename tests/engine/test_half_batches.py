"""A batch that breaks in two steps: nobody waits for ever, and nobody is told what is not true."""

import asyncio
import math
import time

from asyncmy.errors import OperationalError

from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.engine.faulty_shard import Point
from tests.engine.world import World, account_on, posted
from wallet.api.form import Form
from wallet.api.parse import wallets
from wallet.engine.group_commit import MAX_BATCH_BYTES
from wallet.engine.queue import Item
from walletkit.errors import ServiceError

ANSWERED_S = 15.0
LOST = 2013
DISK_FULL = 1030


async def test_a_shard_lost_within_half_a_batch_answers_the_other_half(world: World) -> None:
    """A fault of our own splits the batch; the shard goes away while the first half runs."""
    await world.start()
    wallets = [await world.wallet(0, 100) for _ in range(4)]
    faulty = world.shards[0]

    async def lose() -> None:
        raise OperationalError(LOST, "lost")

    async def split() -> None:
        faulty.always[Point.BEFORE_LOAD] = lose
        raise ValueError

    faulty.once[Point.BEFORE_SAVE].append(split)
    pairs = zip(wallets, wallets[1:] + wallets[:1], strict=True)
    futures = world.queue([world.transfer(source, to) for source, to in pairs])
    done, waiting = await asyncio.wait(futures, timeout=ANSWERED_S)
    faulty.always.clear()
    assert not waiting
    outcomes = [future.result().outcome for future in done]
    # The first error came out of the save, and not from the server: it might have been committed.
    reasons = {one.reason for one in outcomes if isinstance(one, ServiceError)}
    assert reasons == {"OUTCOME_UNKNOWN"}
    assert [await world.posted(0, wallet) for wallet in wallets] == [100] * 4


async def test_a_commit_whose_answer_was_lost_is_never_called_failed(world: World) -> None:
    """Committed, the answer lost, and then the server is ill: nobody knows, and that is said."""
    await world.start()
    source, near = await world.wallet(0, 100), await world.wallet(0)
    faulty = world.shards[0]

    async def reset() -> None:
        raise ConnectionResetError

    async def fill() -> None:
        raise OperationalError(DISK_FULL, "No space left on device")

    async def pass_by() -> None:
        return

    faulty.once[Point.AFTER_SAVE].append(reset)
    faulty.once[Point.BEFORE_LOAD].extend([pass_by, fill])
    command = world.transfer(source, near, 40)
    outcome = await world.do(command)
    assert isinstance(outcome, ServiceError)
    assert outcome.reason == "OUTCOME_UNKNOWN"
    posted(await world.do(command))
    assert await world.posted(0, near) == 40


async def test_a_deadline_changes_nothing_for_what_may_be_committed(world: World) -> None:
    """Parked behind its commit, a command is run to its end: only that tells what became of it."""
    router = await world.start()
    source, near = await world.wallet(0, 100), await world.wallet(0)
    loop = asyncio.get_running_loop()
    item = Item(world.transfer(source, near, 40), loop.create_future(), time.monotonic() - 1, 0)
    item.maybe_committed = True
    router.loops[0]._enqueue(item)
    async with asyncio.timeout(ANSWERED_S):
        posted((await item.future).outcome)


def test_the_bytes_of_a_new_wallet_count() -> None:
    """A thousand creations with much metadata are several batches, not one packet of 17 MB."""
    request = pb.CreateWalletRequest(
        account_id=account_on(0, 2),
        currency_code="EUR",
        metadata={"m": "x" * 4_000},
        idempotency_key="k",
    )
    loop = asyncio.new_event_loop()
    size = Item(wallets.create(request, Form()), loop.create_future(), math.inf, 0).size
    loop.close()
    assert size > 4_000
    assert 1_000 * size > MAX_BATCH_BYTES
