"""Keep a steady load on the suite for minutes, and hold it to its bounds.

Uniform transfers in an open loop: half of them between shards, calls begin at a constant rate
whatever the suite does. Tells the share of the machine's processors that each component took, the
latencies, and how far the ledger was behind, sampled each second. Ends with the proof of the books.

Exit code 1 when a bound is broken, a call failed, or the books don't hold.
"""

import argparse
import asyncio
import math
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import asyncmy
from asyncmy.errors import MySQLError

from bench import suite, unary, wallets
from bench.model import Run
from bench.scenarios import SCENARIOS
from walletkit.sql.session import open_session, run_packet
from walletkit.stack import Stack

MINUTES = 10.0
RATE = 1_160.0
"""Calls a second: 100 million a day."""
MAX_P99_MS = 50.0
MAX_CPU = 0.7
MAX_LAG_S = 1.0
LEAST_RATE = 0.98
"""Share of the offered calls that have to be made in the time: less is no steady state."""
MAX_CALLS = 1_000_000
"""ghz tells the latency of so many calls, and of none that comes later."""
SAMPLE_S = 1.0
SCENARIO = SCENARIOS["uniform"]
_QUERY_TIMEOUT_S = 10.0
_MICROSECONDS = 1e6
_NEWEST = "SELECT clock_us FROM head WHERE id=1"
_TAKEN = (
    "SELECT c.shard,COALESCE(r.time_us,0) FROM cursors c"
    " LEFT JOIN records r ON r.shard=c.shard AND r.seq=c.seq"
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a soak is held to."""

    p99_ms: float = MAX_P99_MS
    cpu: float = MAX_CPU
    """Share of all processors, load generator included."""
    lag_s: float = MAX_LAG_S


@dataclass(frozen=True, slots=True)
class Soak:
    """What came of it."""

    run: Run
    """Its lag is the largest that was sampled, or that was left at the end."""
    cores: int
    lags_s: list[float] = field(default_factory=list)

    def shares(self) -> dict[str, float]:
        """Return each component's share of all processors."""
        seconds = self.run.seconds * self.cores
        return {
            name: used * self.run.movements / _MICROSECONDS / seconds
            for name, used in self.run.cpu_us.items()
        }

    def broken(self, bounds: Bounds) -> list[str]:
        """Say which bounds do not hold."""
        cpu = sum(self.shares().values())
        offered = self.run.offered or 0.0
        found = [
            (self.run.p99_ms <= bounds.p99_ms, f"p99 {self.run.p99_ms:.1f} ms"),
            (cpu <= bounds.cpu, f"{cpu:.0%} of the processors"),
            (self.run.lag_s <= bounds.lag_s, f"the ledger {self.run.lag_s:.2f} s behind"),
            (self.run.rate >= LEAST_RATE * offered, f"{self.run.rate:.0f} transfers/s were made"),
            (not self.run.errors, f"errors {self.run.errors}"),
        ]
        # A figure that is not a number holds nothing either.
        return [told for holds, told in found if not holds]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--rate", type=float, default=RATE, help="calls a second")
    parser.add_argument("--max-p99-ms", type=float, default=MAX_P99_MS)
    parser.add_argument("--max-cpu", type=float, default=MAX_CPU, help="share of all processors")
    parser.add_argument("--max-lag-s", type=float, default=MAX_LAG_S)
    parser.add_argument("--out", type=Path, help="where the results go, as JSON")


def main(options: argparse.Namespace) -> int:
    """Soak the suite that the environment describes."""
    stack = suite.described()
    if not suite.is_up(stack):
        return 1
    if options.minutes * 60 * options.rate > MAX_CALLS:
        sys.stderr.write(f"a soak has at most {MAX_CALLS} calls: fewer minutes, or a lower rate\n")
        return 2
    results = suite.results(stack)
    found = soak(stack, options.minutes * 60, options.rate)
    results.runs.append(found.run)
    bounds = Bounds(options.max_p99_ms, options.max_cpu, options.max_lag_s)
    results.verified[SCENARIO.name] = verified = suite.verified(stack)
    broken = found.broken(bounds) + ([] if verified else ["the books don't hold"])
    out = options.out or suite.file_of(results, "soak")
    suite.keep(results, out)
    sys.stdout.write(f"{told(found)}\nwritten to {out}\n")
    for one in broken:
        sys.stdout.write(f"BROKEN: {one}\n")
    return 1 if broken else 0


def soak(stack: Stack, seconds: float, rate: float, accounts: Sequence[str] = ()) -> Soak:
    """Keep the load up for so long, between these accounts (the benchmarks' own)."""
    accounts = accounts or wallets.fund(stack)
    plan = unary.Plan(stack, SCENARIO, accounts, SCENARIO.main, seconds, rate)
    with (
        TemporaryDirectory(prefix="soak-", dir=stack.settings.run_dir) as folder,
        LagSampler(stack) as sampler,
    ):
        run = unary.measure(plan, Path(folder), 1)
    lags_s = sampler.lags_s
    run = replace(run, lag_s=max([run.lag_s, *lags_s]))
    return Soak(run, os.cpu_count() or 1, lags_s)


def told(found: Soak) -> str:
    """Write what came of it, a line a figure."""
    run, shares = found.run, found.shares()
    parts = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
    suite_share = sum(shares.values()) - shares.get("load", 0.0)
    return "\n".join(
        [
            (
                f"{run.movements} transfers in {run.seconds:.0f} s: {run.rate:.0f}/s"
                f" of {run.offered:.0f}/s offered, errors {run.errors or 'none'}"
            ),
            f"p50 {run.p50_ms:.1f}, p99 {run.p99_ms:.1f}, p99.9 {run.p999_ms:.1f} ms",
            (
                f"{sum(shares.values()):.1%} of {found.cores} processors,"
                f" {suite_share:.1%} without the load generator: {parts}"
            ),
            f"ledger behind by {run.lag_s:.2f} s at most, in {len(found.lags_s)} samples",
        ]
    )


class LagSampler:
    """Asks each second, in a thread of its own, how old the newest record of the ledger is.

    That is against the newest of its shard: so it is never less than the age of what is missing.
    """

    def __init__(self, stack: Stack) -> None:
        """Sample this suite."""
        self._stack = stack
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.lags_s: list[float] = []
        """The largest of all shards, of each sample; the last is infinite where asking failed."""

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """End; what was sampled stays."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._sample())
        except (MySQLError, OSError) as error:
            sys.stderr.write(f"how far the ledger is behind is not known: {error!r}\n")
            self.lags_s.append(math.inf)

    async def _sample(self) -> None:
        async with AsyncExitStack() as closing:
            sessions = []
            shards = range(len(self._stack.settings.shard_ports))
            urls = [self._stack.shard_url(n, f"wallet_{n}") for n in shards]
            for url in [self._stack.books_url("ledger"), *urls]:
                session = await open_session(url, autocommit=True, durable=False)
                closing.callback(session.close)
                sessions.append(session)
            while not await asyncio.to_thread(self._stop.wait, SAMPLE_S):
                self.lags_s.append(await _lag_s(*sessions))


async def _lag_s(books: asyncmy.Connection, *shards: asyncmy.Connection) -> float:
    async with asyncio.timeout(_QUERY_TIMEOUT_S):
        # The ledger first: what it takes in meanwhile then counts as missing, not the other way.
        taken: dict[int, int] = dict((await run_packet(books, _TAKEN))[0])
        newest: list[int] = [(await run_packet(shard, _NEWEST))[0][0][0] for shard in shards]
    behind = [us - taken.get(number, 0) for number, us in enumerate(newest) if us]
    return max([0, *behind]) / _MICROSECONDS
