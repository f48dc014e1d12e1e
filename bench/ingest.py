"""Measure how fast the ledger takes in what it has missed, against how fast that was made.

The relay is halted while calls are made, so that nothing of them leaves the shards. Then it goes
on, and relay, ledger, notify and their database have the machine to themselves until the ledger has
all of it. That the relay opens its streams anew, where they have ended meanwhile, is in the time.

Exit code 1 when the ledger is slower than it has to be, a call failed, or the books don't hold.
"""

import argparse
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import packed, report, suite, unary, wallets
from bench.load import Load
from bench.model import Run
from bench.run import FAILURES
from bench.scenarios import SCENARIOS, Scenario
from walletkit.stack import Stack
from walletkit.stack.services import RELAY

SECONDS = 15.0
LEAST = {"uniform": 3.0, "batch-1000": 1.0}
"""How many times as fast as a scenario's transfers were made they have to be taken in."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of calls")
    parser.add_argument("--out", type=Path, help="where the runs go, as JSON")


def main(options: argparse.Namespace) -> int:
    """Measure the suite that the environment describes."""
    stack = suite.described()
    if not suite.is_up(stack):
        return 1
    results = suite.results(stack)
    accounts, runs = wallets.fund(stack), results.runs
    try:
        for name in LEAST:
            runs.append(measure(stack, SCENARIOS[name], accounts, options.seconds))
            report.tell(told(runs[-1]))
    except FAILURES as error:
        sys.stderr.write(f"FAILED: {error}\n")
        return 1
    results.verified["ingest"] = suite.verified(stack)
    out = options.out or suite.file_of(results, "ingest")
    suite.keep(results, out)
    report.tell(f"written to {out}")
    found = [*broken(runs), *[one for run in runs for one in report.failed_calls(run)]]
    if not results.verified["ingest"]:
        found.append("the books don't hold")
    for one in found:
        report.tell(f"BROKEN: {one}")
    return 1 if found else 0


def measure(
    stack: Stack,
    scenario: Scenario,
    accounts: Sequence[str],
    seconds: float,
    concurrency: int | None = None,
) -> Run:
    """Make transfers with the relay halted, then let it go on: the run's lag is how long it took.

    Raise what ends a run.
    """
    callers, around = concurrency or scenario.main, partial(_halted, stack)
    if scenario.client == "packed":
        return packed.measure(stack, scenario, accounts, callers, seconds, 1, around=around)
    plan = unary.Plan(stack, scenario, accounts, callers, seconds, around=around)
    with TemporaryDirectory(dir=stack.settings.run_dir, prefix="ingest-") as folder:
        return unary.measure(plan, Path(folder), 1)


def ratio(run: Run) -> float:
    """Return how many times as fast as they were made a run's transfers were taken in."""
    return run.seconds / run.lag_s if run.lag_s else math.inf


def broken(runs: Sequence[Run]) -> list[str]:
    """Say which runs were taken in too slowly."""
    return [
        f"{run.scenario}: taken in {ratio(run):.2f} times as fast as made,"
        f" less than {LEAST[run.scenario]}"
        for run in runs
        if not ratio(run) >= LEAST[run.scenario]
    ]


def told(run: Run) -> str:
    """Return a run in a line."""
    return (
        f"{run.scenario:12} c={run.concurrency}: {run.movements:,} transfers made at"
        f" {run.rate:,.0f}/s, taken in within {run.lag_s:.1f} s: {ratio(run) * run.rate:,.0f}/s,"
        f" {ratio(run):.1f} times as fast"
    )


def _halted(stack: Stack, work: Callable[[], Load]) -> Load:
    """Do the work without a relay; the clock of the lag starts when that goes on."""
    with halted(stack):
        load = work()
    return replace(load, ended_at=None)


@contextmanager
def halted(stack: Stack) -> Iterator[None]:
    """Halt the relay for as long as the block lasts. Killed meanwhile, it stays: `kill -CONT`."""
    relay = stack.identity(RELAY)
    assert relay is not None, "the suite was just seen to run"
    os.kill(relay.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(relay.pid, signal.SIGCONT)
