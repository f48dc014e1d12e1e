"""Faults at named points, drawn from a seed, one after the other, while clients are at work."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from asyncmy.errors import OperationalError

from tests.engine.faulty_shard import Deed, FaultyShard, Point
from tests.engine.world import id_sql, run_sql, stranger
from tests.simulation.processes import WalletProcess
from wallet.domain.batch import Counterparty
from wallet.domain.commands import Intent, LandLeg
from wallet.domain.kinds import WalletStatus
from wallet.engine.legs import _slot_of_landing
from walletkit.errors import ServiceError
from walletkit.stack import Stack

PAUSE_S = 0.06
DEADLOCK, LOST = 1213, 2013
LOCKED_S = 0.5
STALE_S = 3.0


class Trouble:
    """Brings faults over processes, sessions and databases."""

    def __init__(
        self, chance: random.Random, processes: Sequence[WalletProcess], stack: Stack
    ) -> None:
        """Draw from ``chance``; nothing happens yet."""
        self._chance = chance
        self._processes = processes
        self._stack = stack
        self.brought: Counter[str] = Counter()
        self._kinds: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "lost before load": (6, self._point(Point.BEFORE_LOAD, _lose)),
            "deadlock after load": (6, self._point(Point.AFTER_LOAD, _deadlock)),
            "lost before save": (6, self._point(Point.BEFORE_SAVE, _lose)),
            "lost after commit": (12, self._point(Point.AFTER_SAVE, _lose)),
            "timeout after commit": (4, self._point(Point.AFTER_SAVE, _hang)),
            "duplicated legs": (6, self._duplicate_legs),
            "stale statuses": (10, self._age_statuses),
            "connection killed": (6, self._kill_connection),
            "usurped after commit": (4, self._usurp_after_commit),
            "new epoch": (2, self._new_epoch),
            "wallet locked": (1, self._lock_wallet),
            "process killed": (2, self._kill_process),
            "shard killed": (1, self._kill_shard),
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Bring one fault after the other until the event; each kind comes at least once."""
        first = list(self._kinds)
        self._chance.shuffle(first)
        weights = [weight for weight, _ in self._kinds.values()]
        while not stop.is_set() or first:
            kind = first.pop() if first else self._chance.choices(list(self._kinds), weights)[0]
            await self._kinds[kind][1]()
            self.brought[kind] += 1
            await asyncio.sleep(self._chance.uniform(0, 2 * PAUSE_S))

    def _shard(self) -> FaultyShard:
        return self._chance.choice(self._chance.choice(self._processes).shards)

    def _point(self, point: Point, deed: Deed) -> Callable[[], Awaitable[None]]:
        async def put() -> None:
            self._shard().once[point].append(deed)

        return put

    async def _duplicate_legs(self) -> None:
        """Send what is open once more, as a sweep of another process would."""
        for shard in self._processes[0].shards:
            columns = "tx_id,leg,source,destination,currency,amount,legs,effective_us"
            for row in await run_sql(shard.url, f"SELECT {columns} FROM intents LIMIT 20"):
                intent = Intent(*row)
                try:
                    router = self._chance.choice(self._processes).router
                    router.submit(LandLeg(_slot_of_landing(intent), intent), float("inf"))
                except ServiceError:
                    return

    async def _age_statuses(self) -> None:
        """Let a process believe for seconds that every closed wallet elsewhere is active still."""
        process = self._chance.choice(self._processes)
        cache = process.router.counterparties._cache
        until = time.monotonic() + STALE_S
        for shard in process.shards:
            closed = "SELECT wallet_id,currency FROM balances WHERE status=3"
            for wallet_id, currency in await run_sql(shard.url, closed):
                cache[wallet_id] = (Counterparty(currency, WalletStatus.ACTIVE), until)

    async def _kill_connection(self) -> None:
        url = self._shard().url
        sessions = "SELECT id FROM information_schema.PROCESSLIST WHERE db=DATABASE() AND id<>"
        rows = await run_sql(url, f"{sessions}CONNECTION_ID()")
        if rows:
            try:
                await run_sql(url, f"KILL {self._chance.choice(rows)[0]}")
            except OperationalError:
                return  # It has ended by itself.

    async def _usurp_after_commit(self) -> None:
        """Lose the answer of a commit, and the right to ask what became of it."""
        shard = self._shard()

        async def usurp() -> None:
            await run_sql(shard.url, "UPDATE head SET epoch=epoch+1")
            await _lose()

        shard.once[Point.AFTER_SAVE].append(usurp)

    async def _new_epoch(self) -> None:
        await run_sql(self._shard().url, "UPDATE head SET epoch=epoch+1")

    async def _lock_wallet(self) -> None:
        url = self._shard().url
        rows = await run_sql(url, "SELECT wallet_id FROM balances ORDER BY version DESC LIMIT 3")
        async with stranger(url) as run:
            wallet = id_sql(self._chance.choice(rows)[0])
            await run(f"SELECT 1 FROM balances WHERE wallet_id={wallet} FOR UPDATE")
            await asyncio.sleep(LOCKED_S)

    async def _kill_process(self) -> None:
        process = self._chance.choice(self._processes)
        await process.kill()
        await process.start()

    async def _kill_shard(self) -> None:
        name = f"shard-{self._shard().number}"
        await asyncio.to_thread(self._stack.kill, name)
        await asyncio.sleep(self._chance.choice((0.0, 1.0)))
        await asyncio.to_thread(self._stack.start, name)


async def _lose() -> None:
    raise OperationalError(LOST, "Lost connection to MySQL server during query")


async def _deadlock() -> None:
    raise OperationalError(DEADLOCK, "Deadlock found when trying to get lock")


async def _hang() -> None:
    raise TimeoutError
