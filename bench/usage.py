"""What a run cost the suite: CPU time by component, commits, bytes, and the ledger's lag.

Asks the operating system for the processes' times, and the databases for the rest. While calls are
made only the ledger's position is looked at, a few times a second.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncmy

from bench.load import Load, percentile
from bench.machine import tree_cpu_seconds
from bench.model import Run
from bench.sessions import ask, sessions
from walletkit.sql.session import Rows
from walletkit.stack import Stack

LAG_LIMIT_S = 300.0
QUERY_TIMEOUT_S = 60.0
LEAST_MOVEMENTS_FOR_BYTES = 20_000
"""Tables grow by 1 MiB at a time: after fewer movements that tells nothing of one."""

_POLL_CALLING_S = 0.1
_POLL_WAITING_S = 0.02
_MICROSECONDS = 1e6
_HEAD = "SELECT seq, EXISTS(SELECT 1 FROM intents) FROM head WHERE id=1"
_CURSORS = "SELECT shard, seq FROM cursors"
_BYTES = (
    "SELECT (SELECT COALESCE(SUM(file_size),0) FROM information_schema.innodb_sys_tablespaces"
    " WHERE name LIKE '{0}/%')-(SELECT COALESCE(SUM(data_free),0) FROM information_schema.tables"
    " WHERE table_schema='{0}')"
)


class LagError(Exception):
    """The ledger did not catch up in time, or legs stayed under way."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Totals since the suite was made."""

    cpu_seconds: dict[str, float]
    """By component, since it was started."""
    commits: int
    """Of all shards."""
    stored_bytes: int
    """In the tables of shards and books, without what they keep free. The outbox is a table."""


def measured(
    stack: Stack,
    scenario: str,
    concurrency: int,
    round_: int,
    work: Callable[[], Load],
    *,
    commands: float = 1.0,
    offered: float | None = None,
) -> Run:
    """Do the work; return what it was and cost. `commands` says how many a movement has.

    Ends when the ledger has all of it, so that its work counts too. Raise `LagError`.
    """
    load, spent, lag_s = asyncio.run(_measure(stack, work))
    commits = spent.commits if load.movements else 0
    enough = commits and load.movements >= LEAST_MOVEMENTS_FOR_BYTES
    return to_run(
        scenario,
        concurrency,
        round_,
        load,
        spent.cpu_seconds,
        offered=offered,
        batch_size=load.movements * commands / commits if commits else None,
        stored_bytes=spent.stored_bytes / load.movements if enough else None,
        lag_s=lag_s,
    )


def to_run(  # noqa: PLR0913  # a run has these
    scenario: str,
    concurrency: int,
    round_: int,
    load: Load,
    cpu_seconds: Mapping[str, float],
    *,
    offered: float | None = None,
    batch_size: float | None = None,
    stored_bytes: float | None = None,
    lag_s: float = 0.0,
) -> Run:
    """Write down a load, and what it cost by component without the load generator itself."""
    spent = {**cpu_seconds, "load": load.cpu_seconds}
    moved = max(load.movements, 1)
    return Run(
        scenario=scenario,
        concurrency=concurrency,
        round=round_,
        seconds=round(load.seconds, 3),
        calls=load.calls,
        movements=load.movements,
        rate=round(load.rate, 1),
        offered=offered,
        p50_ms=_ms(load, 50),
        p95_ms=_ms(load, 95),
        p99_ms=_ms(load, 99),
        p999_ms=_ms(load, 99.9),
        errors=load.errors,
        cpu_us={name: round(used * _MICROSECONDS / moved, 1) for name, used in spent.items()},
        batch_size=None if batch_size is None else round(batch_size, 1),
        stored_bytes=None if stored_bytes is None else round(stored_bytes),
        lag_s=round(lag_s, 2),
    )


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """Return the CPU time that the suite has used, by component; workers count to their service."""
    pids = {
        name: identity.pid
        for name in [*stack.databases, *stack.services, *stack.front]
        if (identity := stack.identity(name)) is not None
    }
    used: dict[str, float] = {}
    for name, seconds in tree_cpu_seconds(pids).items():
        component = "shards" if name.startswith("shard-") else name
        used[component] = used.get(component, 0.0) + seconds
    return used


class Databases:
    """A session on each database of a suite."""

    def __init__(
        self, stack: Stack, shards: list[asyncmy.Connection], books: asyncmy.Connection
    ) -> None:
        """Ask over these."""
        self._stack = stack
        self._shards = shards
        self._books = books

    async def behind(self) -> int:
        """Return how many records the ledger lacks, and at least 1 while a leg is under way."""
        heads = [(await _ask(shard, _HEAD))[0] for shard in self._shards]
        taken: dict[int, int] = dict(await _ask(self._books, _CURSORS))
        missing = sum(int(head[0]) - int(taken.get(n, 0)) for n, head in enumerate(heads))
        under_way = any(head[1] for head in heads)
        return max(missing, int(under_way))

    async def usage(self) -> Usage:
        """Return the totals of now."""
        heads = [(await _ask(shard, _HEAD))[0] for shard in self._shards]
        sizes = [
            await _ask(shard, _BYTES.format(f"wallet_{n}")) for n, shard in enumerate(self._shards)
        ]
        sizes += [await _ask(self._books, _BYTES.format(name)) for name in ("ledger", "notify")]
        return Usage(
            cpu_seconds(self._stack),
            sum(int(head[0]) for head in heads),
            sum(int(size[0][0]) for size in sizes),
        )

    async def caught_up(self) -> float:
        """Wait until the ledger has all; return that moment's time of day. Raise `LagError`."""
        deadline = time.monotonic() + LAG_LIMIT_S
        # Another process catches up, which tells nobody.
        while (missing := await self.behind()) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_WAITING_S)
        if missing:
            raise LagError(f"the ledger lacks {missing} records after {LAG_LIMIT_S:.0f} s")
        return time.time()


@asynccontextmanager
async def databases(stack: Stack) -> AsyncIterator[Databases]:
    """Open a session on each database of a suite, for as long as the block lasts."""
    async with sessions(stack) as (shards, books):
        yield Databases(stack, shards, books)


async def _measure(stack: Stack, work: Callable[[], Load]) -> tuple[Load, Usage, float]:
    async with databases(stack) as suite:
        # What an earlier run left to do is not this one's.
        await suite.caught_up()
        before = await suite.usage()
        working = asyncio.create_task(asyncio.to_thread(work))
        level: float | None = None
        while not working.done():
            # The generator ends some time after its last answer: how long the ledger has been level
            # by then has to be known.
            if await suite.behind():
                level = None
            elif level is None:
                level = time.time()
            await asyncio.wait([working], timeout=_POLL_CALLING_S)
        load = await working
        ended = time.time() if load.ended_at is None else load.ended_at
        if level is None:
            level = await suite.caught_up()
        after = await suite.usage()
    spent = {name: used - before.cpu_seconds[name] for name, used in after.cpu_seconds.items()}
    commits = after.commits - before.commits
    stored = after.stored_bytes - before.stored_bytes
    return load, Usage(spent, commits, stored), max(0.0, level - ended)


async def _ask(connection: asyncmy.Connection, sql: str) -> Rows:
    return await ask(connection, sql, QUERY_TIMEOUT_S)


def _ms(load: Load, percent: float) -> float:
    return round(percentile(load.latencies_ms, percent), 3)
