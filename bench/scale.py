"""Measure a few scenarios on a suite as it is, fill it through its own calls, and measure again.

By default with 20 million transactions between a million wallets. What is there already counts, so
an ended fill goes on; what was measured before it is kept beside the suite's data.

Exit code 1 when a rate fell below its share of the one before, a call failed, the suite could not
be filled, or the books don't hold.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from asyncmy.errors import MySQLError

from bench import calls, filling, growth, machine, packed, report, suite, unary, usage, wallets
from bench.filling import Goal
from bench.growth import Cost, Growth, Moment
from bench.model import Run
from bench.run import FAILURES
from bench.scenarios import SCENARIOS, Scenario, named
from bench.sending import FillError
from bench.storage import disk_busy_seconds, opened
from walletkit.stack import Stack

WALLETS = 1_000_000
TRANSACTIONS = 20_000_000
NAMES = ("within", "uniform", "deposit", "balance", "statement", "batch-1000")
SECONDS = 5.0
ROUNDS = 3
VERIFY_MINUTES = 60.0
KEPT = Path("bench/scale-empty.json")
"""Below the run folder: it goes when the suite's data go."""
_CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for."""

    scenarios: Sequence[Scenario]
    seconds: float
    rounds: int
    concurrency: int | None = None
    """Instead of the scenarios' main one."""


class FailedError(Exception):
    """A call failed, or a run could not be made."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--wallets", type=int, default=WALLETS)
    parser.add_argument("--transactions", type=int, default=TRANSACTIONS)
    parser.add_argument(
        "--scenarios", type=named, default=[SCENARIOS[name] for name in NAMES], metavar="NAMES"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each run")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--concurrency", type=int, help="128; 4 of batches")
    parser.add_argument("--least-ratio", type=float, default=growth.LEAST_RATIO)
    parser.add_argument("--least-disk-gb", type=float, default=filling.DISK_GB)
    parser.add_argument(
        "--within", action="store_true", help="fill with transfers within a shard alone: quicker"
    )
    parser.add_argument(
        "--most-behind",
        type=int,
        default=filling.RECORDS_BEHIND,
        help="commits that the ledger may lack before the fill waits for it",
    )
    parser.add_argument(
        "--verify-minutes", type=float, default=VERIFY_MINUTES, help="0: don't verify"
    )
    parser.add_argument("--out", type=Path, help="where the results go, as JSON")
    parser.add_argument("--show", type=Path, help="only print the tables of such a file")


def main(options: argparse.Namespace) -> int:
    """Fill and measure the suite that the environment describes."""
    if options.show:
        report.tell(growth.tables(growth.from_json(options.show.read_text(encoding="utf-8"))))
        return 0
    stack = suite.described()
    if not suite.is_up(stack):
        return 1
    order = Order(options.scenarios, options.seconds, options.rounds, options.concurrency)
    goal = Goal(
        wallets=options.wallets,
        transactions=options.transactions,
        least_disk_gb=options.least_disk_gb,
        records_behind=options.most_behind,
        within=options.within,
    )
    try:
        found = scale(stack, order, goal)
    except (FillError, FailedError, MySQLError, *FAILURES) as error:
        sys.stderr.write(f"FAILED: {error}\n")
        return 1
    if options.verify_minutes:
        report.tell("verifying the books")
        found = replace(found, verified=suite.verified(stack, options.verify_minutes * 60))
    out = options.out or _out(found)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(growth.to_json(found), encoding="utf-8")
    report.tell(f"\n{growth.tables(found)}\n\nwritten to {out}")
    below = growth.broken(found, options.least_ratio)
    for one in below:
        report.tell(f"BROKEN: {one}")
    return 1 if below or found.verified is False else 0


def scale(stack: Stack, order: Order, goal: Goal, accounts: Sequence[str] = ()) -> Growth:
    """Measure, fill, measure; nothing is verified yet.

    Before the fill wallets are drawn from these accounts (the benchmarks' own). Raise `FillError`,
    `FailedError`, or what ends a run.
    """
    there = asyncio.run(_transactions(stack))
    empty = _kept(stack, there) or _measure_empty(stack, order, goal, accounts, there)
    ids = filling.fill(stack, goal)
    there, tables = asyncio.run(_stored(stack))
    return Growth(
        cores=_CORES,
        pool_bytes=asyncio.run(_pool_bytes(stack)),
        tables=tables,
        stored=there,
        empty=empty,
        full=measure(stack, order, ids, there),
        verified=None,
        within=goal.within,
    )


def measure(stack: Stack, order: Order, accounts: Sequence[str], there: int) -> Moment:
    """Measure each scenario in each round, rounds interleaved, between these accounts."""
    results = suite.results(stack)
    costs: list[Cost] = []
    with TemporaryDirectory(dir=stack.settings.run_dir, prefix="scale-") as folder:
        for round_ in range(1, order.rounds + 1):
            for scenario in order.scenarios:
                run, cost = _measure(stack, order, scenario, accounts, Path(folder), round_)
                results.runs.append(run)
                costs.append(cost)
                report.tell(report.line(run))
                if failures := report.failed_calls(run):
                    raise FailedError("; ".join(failures))
    return Moment(there, len(accounts), results, costs)


def _measure_empty(
    stack: Stack, order: Order, goal: Goal, accounts: Sequence[str], there: int
) -> Moment:
    """Measure before the fill, and keep that for runs that go on with it."""
    accounts = accounts or wallets.fund(stack)
    if any(scenario.name == "statement" for scenario in order.scenarios):
        # Pages as full as those that the filled suite will have.
        entries = 2 * goal.transactions // max(goal.wallets, 1)
        wallets.fill(stack, accounts, min(entries, 2 * calls.PAGE_ENTRIES))
    report.tell(f"measured as it is, with {there:,} transactions:")
    empty = measure(stack, order, accounts, there)
    path = stack.settings.run_dir / KEPT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(growth.moment_to_json(empty), encoding="utf-8")
    return empty


def _kept(stack: Stack, there: int) -> Moment | None:
    """Return what an earlier run measured before its fill, if it was this suite's.

    Raise `FailedError` when that can't be read.
    """
    path = stack.settings.run_dir / KEPT
    if not path.exists():
        return None
    try:
        kept = growth.moment_from_json(path.read_text(encoding="utf-8"))
    except (KeyError, TypeError, ValueError) as error:
        # Measured anew, a full suite would pass for an empty one.
        message = f"{path} is of another version, or broken: delete it to measure anew"
        raise FailedError(message) from error
    if kept.transactions > there:
        return None
    report.tell(
        f"what was measured with {kept.transactions:,} transactions is taken from {path};"
        " delete it to measure anew"
    )
    return kept


def _measure(
    stack: Stack,
    order: Order,
    scenario: Scenario,
    accounts: Sequence[str],
    folder: Path,
    round_: int,
) -> tuple[Run, Cost]:
    concurrency = order.concurrency or scenario.main
    before = _Totals.of(stack)
    if scenario.client == "packed":
        run = packed.measure(stack, scenario, accounts, concurrency, order.seconds, round_)
    else:
        # Of reads as many, too: else they are few, made again and again, and keep to few pages.
        written = 0 if scenario.keyed else round(order.seconds * unary.CALLS_A_SECOND) + concurrency
        plan = unary.Plan(stack, scenario, accounts, concurrency, order.seconds, written=written)
        run = unary.measure(plan, folder, round_)
    return run, _Totals.of(stack).cost(before, run)


@dataclass(frozen=True, slots=True)
class _Totals:
    """What can be subtracted: since servers and machine were started."""

    shard_reads: int
    books_reads: int
    disk_busy: float | None
    others: float
    """CPU seconds."""
    moment: float

    @classmethod
    def of(cls, stack: Stack) -> Self:
        shards, books = asyncio.run(_page_reads(stack))
        own = machine.own_cpu_seconds() + sum(usage.cpu_seconds(stack).values())
        disk = disk_busy_seconds(stack.settings.run_dir)
        return cls(shards, books, disk, machine.busy_seconds() - own, time.monotonic())

    def cost(self, before: Self, run: Run) -> Cost:
        movements, took = max(run.movements, 1), run.seconds + run.lag_s
        disk = None
        if self.disk_busy is not None and before.disk_busy is not None:
            # It may have been busy before the first call as well.
            disk = round(min(1.0, (self.disk_busy - before.disk_busy) / took), 3)
        others = (self.others - before.others) / (self.moment - before.moment)
        return Cost(
            shard_reads=round((self.shard_reads - before.shard_reads) / movements, 4),
            books_reads=round((self.books_reads - before.books_reads) / movements, 4),
            disk_busy=disk,
            others=round(max(0.0, others) / _CORES, 3),
        )


async def _transactions(stack: Stack) -> int:
    async with opened(stack) as storage:
        return await storage.transactions()


async def _stored(stack: Stack) -> tuple[int, dict[str, int]]:
    async with opened(stack) as storage:
        return await storage.transactions(), await storage.sizes()


async def _pool_bytes(stack: Stack) -> int:
    async with opened(stack) as storage:
        return await storage.pool_bytes()


async def _page_reads(stack: Stack) -> tuple[int, int]:
    async with opened(stack) as storage:
        # Also between runs, which add to them.
        await storage.trim_binlogs()
        return await storage.page_reads()


def _out(found: Growth) -> Path:
    return suite.file_of(found.full.results, "scale")
