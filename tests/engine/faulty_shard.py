"""A shard that does to its engine, at a named point, what networks and other processes do."""

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

from wallet.domain.batch import Batch
from wallet.store.needs import ReadSet
from wallet.store.shard import Shard
from walletkit.sql.session import error_number, run_packet


class Point(Enum):
    """Where a fault can be put."""

    BEFORE_LOAD = auto()
    AFTER_LOAD = auto()
    BEFORE_SAVE = auto()
    AFTER_SAVE = auto()


Deed = Callable[[], Awaitable[None]]


class FaultyShard(Shard):
    """A real shard over a real database; at its points deeds wait, each for its one turn."""

    def __init__(self, number: int, url: str, *, durable: bool = True) -> None:
        """Begin without faults."""
        super().__init__(number, url, durable=durable)
        self.url = url
        self.once: dict[Point, deque[Deed]] = defaultdict(deque)
        self.always: dict[Point, Deed] = {}
        self.loads = 0
        self.saves = 0
        self.errors: list[BaseException] = []

    async def load(self, needs: ReadSet) -> Batch:
        """Load as the shard does, between two points."""
        self.loads += 1
        with self._noted():
            await self._reach(Point.BEFORE_LOAD)
            batch = await super().load(needs)
            await self._reach(Point.AFTER_LOAD)
            return batch

    async def save(self, batch: Batch) -> int:
        """Save as the shard does, between two points; what raises behind it loses the answer."""
        self.saves += 1
        with self._noted():
            await self._reach(Point.BEFORE_SAVE)
            seq = await super().save(batch)
            await self._reach(Point.AFTER_SAVE)
            return seq

    async def writer_id(self) -> int:
        """Return the server's number of the writing connection."""
        ((connection_id,),) = (
            await run_packet(await self._write_connection(), "SELECT CONNECTION_ID()")
        )[0]
        return int(connection_id)

    @property
    def error_numbers(self) -> list[int]:
        """Return the server's or client's number of every error so far."""
        return [error_number(error) for error in self.errors]

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.errors.append(error)
            raise

    async def _reach(self, point: Point) -> None:
        if point in self.always:
            await self.always[point]()
        if self.once[point]:
            await self.once[point].popleft()()
