"""Answer many reads of single rows by few SELECTs. No SQL here: how a set is read is given.

A lone read goes at once; after a SELECT that answered several the next one waits a moment for more,
and so does one of many, to see whether more would come: a busy process lets its callers in one by
one, so that they would never be found together.

Who comes while SELECTs are under way is answered by the next one, never by one that was sent before
he came. So a read sees every change whose reply came before it began.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import Generic, TypeAlias, TypeVar

from walletkit.errors import ServiceError

MAX_IDS = 500
"""Most reads that one SELECT answers."""
MAX_UNDER_WAY = 2
"""SELECTs of one kind at once: while one waits for a row from the disk the other goes on."""
BUSY_READS = 2
"""A SELECT of at least so many reads means load: the next one waits for company."""
COMPANY_S = 0.004
"""How long: a SELECT costs as much as ten more rows of it, and quick ones follow each other."""
PROBE_EVERY = 50
"""One SELECT of so many waits for company though none was seen before."""
MAX_WAITING = 10_000
"""Reads of one kind that may wait for their SELECT; beyond it they are refused."""
MAX_WAIT_S = 2.0
"""Longest wait until a read's SELECT begins; then it is refused."""

Found = TypeVar("Found")
Reader: TypeAlias = Callable[[Collection[bytes]], Awaitable[Mapping[bytes, Found]]]
"""Reads the rows of several ids, in a bounded time; what there is none of is left out."""
_Callers: TypeAlias = "dict[bytes, list[asyncio.Future[Found | None]]]"


class Collector(Generic[Found]):
    """Reads of one kind from one shard."""

    def __init__(self, read: Reader[Found], overloaded: Callable[[], ServiceError]) -> None:
        """Take how several ids are read, and what those hear who can't be served in time."""
        self._read = read
        self._overloaded = overloaded
        self._waiting: dict[asyncio.Future[Found | None], tuple[bytes, float]] = {}
        """Who waits, in order, with the id and until when."""
        self._under_way: set[asyncio.Task[None]] = set()
        self._watch: asyncio.TimerHandle | None = None
        self._last_size = 0
        self._alone = 0
        """SELECTs since one last waited for company."""

    async def get(self, id_: bytes) -> Found | None:
        """Return what there is of an id now, or None.

        Raise ``ServiceError`` OVERLOADED, or whatever the SELECT raises.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise self._overloaded()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Found | None] = loop.create_future()
        self._waiting[future] = id_, loop.time() + MAX_WAIT_S
        if len(self._waiting) == 1:
            # The others go along with this one.
            self._begin(loop)
        try:
            return await future
        except asyncio.CancelledError:
            self._waiting.pop(future, None)
            raise

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have those who wait taken along: by a SELECT of their own, or by the next that ends."""
        if len(self._under_way) < MAX_UNDER_WAY:
            task = loop.create_task(self._run(loop))
            self._under_way.add(task)
            task.add_done_callback(self._ended)
        elif self._watch is None:
            self._watch = loop.call_later(MAX_WAIT_S, self._shed, loop)

    async def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._alone += 1
        if self._last_size >= BUSY_READS or self._alone >= PROBE_EVERY:
            self._alone = 0
            await asyncio.sleep(COMPANY_S)
        callers = self._take()
        if self._waiting:
            self._begin(loop)
        if callers:
            await self._answer(callers)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if self._waiting:
            self._begin(task.get_loop())

    def _take(self) -> "_Callers[Found]":
        """Take those who have waited longest, by id."""
        callers: _Callers[Found] = {}
        taken = list(islice(self._waiting.items(), MAX_IDS))
        self._last_size = len(taken)
        for future, (id_, _) in taken:
            del self._waiting[future]
            if not future.done():
                callers.setdefault(id_, []).append(future)
        return callers

    async def _answer(self, callers: "_Callers[Found]") -> None:
        try:
            found = await self._read(callers.keys())
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what they asked for
            for futures in callers.values():
                _fail(futures, error)
            return
        for id_, futures in callers.items():
            row = found.get(id_)
            for future in futures:
                if not future.done():
                    future.set_result(row)

    def _shed(self, loop: asyncio.AbstractEventLoop) -> None:
        """Refuse those who have waited too long. One timer for all: most are served in no time."""
        self._watch = None
        for future, (_, until) in list(self._waiting.items()):
            if until > loop.time():
                self._watch = loop.call_at(until, self._shed, loop)
                return
            del self._waiting[future]
            _fail([future], self._overloaded())


def _fail(futures: "Iterable[asyncio.Future[Found | None]]", error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
            # A caller may go away before he hears of it; then nobody has to.
            future.exception()
