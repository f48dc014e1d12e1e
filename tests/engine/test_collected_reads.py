"""Reads that come together share a SELECT; each is answered as if alone, and never stale."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Collection
from typing import Any

import asyncmy
import pytest
import pytest_asyncio
from asyncmy.errors import ProgrammingError

from tests.engine.movements import authorize, hold_of, post
from tests.engine.world import World, posted, until
from wallet.store import collect, queries
from wallet.store.shard import Shard
from walletkit.errors import ServiceError
from walletkit.ids import new_id, slot_of
from walletkit.sql.literals import id_list
from walletkit.sql.session import open_session, run_packet

READERS = 200
READS = 500


@pytest_asyncio.fixture
async def shard(world: World) -> AsyncIterator[Shard]:
    """A shard that nobody else reads."""
    shard = Shard(0, world.urls[0], durable=True)
    yield shard
    shard.close()


@pytest_asyncio.fixture
async def server(world: World) -> AsyncIterator[asyncmy.Connection]:
    """A session to look at the shard's server with."""
    session = await open_session(world.urls[0], autocommit=True, durable=False)
    yield session
    session.close()


class Pauses:
    """Reads that take their time in the server, and what they were asked for."""

    def __init__(self, seconds: float) -> None:
        """Take how long each lasts."""
        self.asked: list[list[int]] = []
        self.under_way = 0
        self.most_under_way = 0
        self._seconds = seconds

    async def read(self, shard: Shard, ids: Collection[bytes]) -> dict[bytes, int]:
        """Find of each id the number that it is."""
        self.asked.append(sorted(map(_number, ids)))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await shard.query(f"SELECT SLEEP({self._seconds}) /* pause */")
        finally:
            self.under_way -= 1
        return {id_: _number(id_) for id_ in ids}

    async def get(self, shard: Shard, number: int) -> int | None:
        """Find one."""
        return await shard.find(self.read, _id(number))

    def start(self, shard: Shard, *numbers: int) -> "list[asyncio.Task[int | None]]":
        """Find some, each for itself."""
        return [asyncio.create_task(self.get(shard, number)) for number in numbers]


async def test_each_is_answered_its_own(world: World) -> None:
    """Hundreds at once, of four kinds, among them twins and unknown ids."""
    await world.start()
    wallets = [await world.wallet(0, 100 + n) for n in range(20)]
    hold = hold_of(await world.do(authorize(wallets[0], 7)))
    single = posted(await world.do(world.transfer(wallets[1], wallets[2], 5)))
    lines = [(wallets[3], wallets[4], 1), (wallets[3], wallets[5], 2)]
    several = posted(await world.do(post(slot_of(wallets[3]), *lines)))
    here, unknown = world.shards[0], new_id(0)
    balances = await asyncio.gather(*[queries.balance(here, w) for w in wallets * 10 + [unknown]])
    assert balances.pop() is None
    moved = {1: -5, 2: 5, 3: -3, 4: 1, 5: 2}
    expected = [100 + n + moved.get(n, 0) for n in range(20)]
    assert [b.posted for b in balances if b] == expected * 10
    assert balances[0] is not None
    assert balances[0].held == 7
    stored = await asyncio.gather(*[queries.wallet(here, w) for w in [*wallets, unknown]])
    assert [one and one.facts.wallet_id for one in stored] == [*wallets, None]
    holds = await asyncio.gather(*[queries.hold(here, h) for h in (hold.hold_id, unknown)])
    assert holds == [hold, None]
    refs = (single.command.ref, several.command.ref)
    found = await asyncio.gather(*[queries.transaction(here, tx) for tx in (*refs, unknown)])
    assert [one and one.tx_id for one in found] == [*refs, None]
    assert [len(one.lines) for one in found if one] == [0, 2]


async def test_no_read_is_older_than_a_reply_before_it(world: World) -> None:
    """Two hundred read without pause while one writes: each sees at least what was replied.

    Half of the SELECTs answer long after they looked, so that many replies come in between.
    """
    await world.start(window_s=0.0)
    source, other = await world.wallet(0, 1_000), await world.wallet(0)
    replied, reads, writing = 0, 0, True

    async def write() -> None:
        nonlocal replied, writing
        for amount in range(1, 101):
            posted(await world.do(world.transfer(source, other)))
            replied = amount
        writing = False

    async def looked(shard: Shard, ids: Collection[bytes]) -> dict[bytes, int]:
        rows: list[Any] = await shard.query(
            f"SELECT wallet_id,posted,SLEEP(0.02) FROM balances WHERE wallet_id IN ({id_list(ids)})"
        )
        return {wallet_id: posted for wallet_id, posted, _ in rows}

    async def read(n: int) -> None:
        nonlocal reads
        while writing:
            before, found = replied, None
            if n % 2:
                found = await world.shards[0].find(looked, other)
            elif balance := await queries.balance(world.shards[0], other):
                found = balance.posted
            assert found is not None
            assert found >= before
            reads += 1
            await asyncio.sleep(random.uniform(0, 0.005))

    await asyncio.gather(write(), *[read(n) for n in range(READERS)])
    assert reads > READERS
    await world.check()


async def test_reads_share_selects(world: World, server: asyncmy.Connection, shard: Shard) -> None:
    """One alone is one SELECT; five hundred together are few."""
    router = await world.start()
    wallets = [await world.wallet(0, 1) for _ in range(5)]
    await router.drain()
    world.routers.clear()
    await asyncio.gather(*[shard.query("SELECT SLEEP(0.05)") for _ in range(4)])

    async def selects() -> int:
        ((row,),) = await run_packet(server, "SHOW GLOBAL STATUS LIKE 'Com_select'")
        return int(row[1])

    async def read(n: int) -> None:
        await asyncio.sleep(random.uniform(0, 0.001))
        for _ in range(4):
            assert await queries.balance(shard, wallets[n % 5]) is not None

    before = await selects()
    assert await queries.balance(shard, wallets[0]) is not None
    assert await selects() == before + 1
    await asyncio.gather(*[queries.balance(shard, wallets[n % 5]) for n in range(READS)])
    assert await selects() <= before + 3
    before = await selects()
    await asyncio.gather(*[read(n) for n in range(READS)])
    assert await selects() - before <= 4 * READS / 10


async def test_at_most_so_many_ids_and_selects(
    shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too much for one SELECT is left for the next; the ones under way are counted."""
    monkeypatch.setattr(collect, "MAX_IDS", 10)
    pauses = Pauses(0.02)
    assert await asyncio.gather(*pauses.start(shard, *range(75))) == list(range(75))
    assert [len(ids) for ids in pauses.asked] == [10] * 7 + [5]
    assert pauses.most_under_way == collect.MAX_UNDER_WAY
    assert await pauses.get(shard, 1) == 1


async def test_who_comes_later_goes_with_a_later_select(shard: Shard) -> None:
    """A read is never answered by a SELECT that was under way when it came."""
    pauses = Pauses(0.1)
    first = pauses.start(shard, 1)
    await until(lambda: pauses.under_way == 1)
    second = pauses.start(shard, 1)
    await until(lambda: pauses.under_way == 2)
    third = pauses.start(shard, 1, 1, 2)
    await asyncio.gather(*first, *second, *third)
    assert pauses.asked == [[1], [1], [1, 2]]


async def test_a_killed_connection_is_replaced(
    world: World, shard: Shard, server: asyncmy.Connection
) -> None:
    """Idle or reading: nobody hears of it."""
    await world.start()
    wallet = await world.wallet(0, 5)
    ids = await asyncio.gather(
        *[shard.query("SELECT CONNECTION_ID(),SLEEP(0.05)") for _ in range(2)]
    )
    await run_packet(server, "; ".join([f"KILL {rows[0][0]}" for rows in ids]))
    found = await asyncio.gather(*[queries.balance(shard, wallet) for _ in range(50)])
    assert [one.posted for one in found if one] == [5] * 50
    pauses = Pauses(0.5)
    reads = pauses.start(shard, 1, 2, 3)
    await _kill_pauses(server, 1)
    assert await asyncio.gather(*reads) == [1, 2, 3]


async def test_a_connection_that_breaks_twice_fails_its_callers_alone(
    shard: Shard, server: asyncmy.Connection
) -> None:
    """SHARD_UNAVAILABLE for all who were in that SELECT; who comes next is served."""
    pauses = Pauses(1.5)
    lost = pauses.start(shard, 1, 2)
    await until(lambda: pauses.under_way == 1)
    await _kill_pauses(server, 1)
    await _kill_pauses(server, 1)
    errors = await asyncio.gather(*lost, return_exceptions=True)
    for error in errors:
        assert isinstance(error, ServiceError)
        assert (error.reason, error.metadata) == ("SHARD_UNAVAILABLE", {"shard": "0"})
    assert len(errors) == 2
    assert await pauses.get(shard, 3) == 3


async def test_a_faulty_select_fails_its_callers_alone(shard: Shard) -> None:
    """What the driver raises comes through, and the next SELECT begins anew."""
    faulty = True

    async def read(shard: Shard, ids: Collection[bytes]) -> dict[bytes, int]:
        await shard.query("SELECT 1 FROM nowhere" if faulty else "SELECT 1")
        return dict.fromkeys(ids, 1)

    failing = [shard.find(read, _id(n)) for n in range(3)]
    errors = await asyncio.gather(*failing, return_exceptions=True)
    assert [type(error) for error in errors] == [ProgrammingError] * 3
    faulty = False
    assert await shard.find(read, _id(0)) == 1


async def test_callers_who_go_away_cost_nothing(shard: Shard) -> None:
    """One who waited is not read for; one whose SELECT is under way leaves the others theirs."""
    pauses = Pauses(0.1)
    first = pauses.start(shard, 1, 2)
    await until(lambda: pauses.under_way == 1)
    second = pauses.start(shard, 3)
    await until(lambda: pauses.under_way == 2)
    waiting = pauses.start(shard, 4, 5, 6)
    await asyncio.sleep(0.01)
    for gone in (first[0], waiting[0], waiting[2]):
        gone.cancel()
    done = await asyncio.gather(*first, *second, *waiting, return_exceptions=True)
    assert [one for one in done if not isinstance(one, BaseException)] == [2, 3, 5]
    assert pauses.asked == [[1, 2], [3], [5]]


async def test_callers_who_all_go_away_strand_nobody(shard: Shard) -> None:
    """Cancelled at any moment, by hundreds: whoever stays is served."""
    pauses = Pauses(0.001)
    random.seed(5)
    reads = []
    for n in range(READS):
        reads += pauses.start(shard, n)
        if n % 2:
            asyncio.get_running_loop().call_later(random.uniform(0, 0.02), reads[-1].cancel)
        if n % 20 == 0:
            await asyncio.sleep(0.001)
    async with asyncio.timeout(5):
        done = await asyncio.gather(*reads, return_exceptions=True)
    assert done[::2] == list(range(0, READS, 2))
    assert any(isinstance(one, asyncio.CancelledError) for one in done)


async def test_too_many_waiting_reads_are_refused(
    shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OVERLOADED at once; those who wait are served all the same."""
    monkeypatch.setattr(collect, "MAX_WAITING", 3)
    pauses = Pauses(0.2)
    reads = []
    for n in range(2):
        reads += pauses.start(shard, n)
        await until(lambda n=n: pauses.under_way == n + 1)  # type: ignore[misc]
    reads += pauses.start(shard, 2, 3, 4)
    await asyncio.sleep(0)
    began = time.monotonic()
    with pytest.raises(ServiceError) as refused:
        await pauses.get(shard, 5)
    assert time.monotonic() - began < 0.1
    assert (refused.value.reason, refused.value.metadata) == ("OVERLOADED", {"shard": "0"})
    assert await asyncio.gather(*reads) == [0, 1, 2, 3, 4]


async def test_reads_that_wait_too_long_are_refused(
    shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OVERLOADED for each when its own time is over; later ones are served."""
    monkeypatch.setattr(collect, "MAX_WAIT_S", 0.3)
    pauses = Pauses(0.8)
    reads = []
    for n in range(2):
        reads += pauses.start(shard, n)
        await until(lambda n=n: pauses.under_way == n + 1)  # type: ignore[misc]
    began = time.monotonic()
    early = pauses.start(shard, 2, 3)
    await asyncio.sleep(0.15)
    late = pauses.start(shard, 4)
    for read, least_s in ((early[0], 0.3), (early[1], 0.3), (late[0], 0.45)):
        with pytest.raises(ServiceError) as refused:
            await read
        assert refused.value.reason == "OVERLOADED"
        assert least_s - 0.05 < time.monotonic() - began < 0.7
    assert await asyncio.gather(*reads) == [0, 1]
    assert await pauses.get(shard, 5) == 5


async def _kill_pauses(server: asyncmy.Connection, least: int) -> None:
    """Kill the connections in which pauses are under way, as soon as there are some."""
    give_up = time.monotonic() + 5
    ids: list[int] = []
    while len(ids) < least:
        assert time.monotonic() < give_up, "nothing to kill"
        (rows,) = await run_packet(
            server,
            "SELECT id FROM information_schema.processlist"
            " WHERE info LIKE 'SELECT SLEEP%pause%' AND id<>CONNECTION_ID()",
        )
        ids = [id_ for (id_,) in rows]
    await run_packet(server, "; ".join([f"KILL {id_}" for id_ in ids]))


def _id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _number(id_: bytes) -> int:
    return int.from_bytes(id_, "big")
