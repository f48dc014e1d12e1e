"""Measure every scenario and the floors beside it, prove the books, and write the results.

Exit code 1 when a call failed, a run could not be made, or the books don't hold.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from asyncmy.errors import MySQLError

from bench import machine, packed, report, suite, unary, usage, wallets
from bench.child import ClientError
from bench.floors import echo, sql
from bench.ghz import GhzError
from bench.model import Results, Run
from bench.plan import Scope, Step, steps
from bench.scenarios import SCENARIOS, named
from guilder.client import GuilderError
from walletkit.stack import Stack, StackError

SECONDS = 5.0
ROUNDS = 3
QUICK_SECONDS = 2.0
QUICK_CALLERS = (128,)
QUICK_STREAMS = (4,)
QUICK_SIZES = (30, 100, 1_000)
SQL_SECONDS = 2.0
"""Raw SQL has no queue that has to fill first."""
FAILURES = (
    *(GhzError, ClientError, unary.TooFastError, usage.LagError),
    *(GuilderError, StackError, MySQLError, OSError),
)
"""What ends a run, but neither the others nor the proof of the books."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--quick", action="store_true", help="one short round, c=128 alone")
    parser.add_argument(
        "--scenarios", type=named, default=list(SCENARIOS.values()), help=", ".join(SCENARIOS)
    )
    parser.add_argument("--concurrency", type=_numbers, help="callers, such as 1,128")
    parser.add_argument("--streams", type=_numbers, help="callers of batches, such as 1,4")
    parser.add_argument("--seconds", type=float, help=f"of each run; {SECONDS:.0f}")
    parser.add_argument("--rounds", type=int, help=f"at the main concurrency; {ROUNDS}")
    parser.add_argument("--floors", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, help="where the results go, as JSON")


def main(options: argparse.Namespace) -> int:
    """Measure what is asked for, on the suite that the environment describes."""
    stack = suite.described()
    if not suite.is_up(stack):
        return 1
    scope = Scope(
        options.scenarios,
        options.rounds or (1 if options.quick else ROUNDS),
        len(stack.settings.shard_ports),
        options.concurrency or (QUICK_CALLERS if options.quick else ()),
        options.streams or (QUICK_STREAMS if options.quick else ()),
        (QUICK_SIZES if options.quick else sql.SIZES) if options.floors else (),
    )
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    results, failures = run(stack, scope, seconds)
    out = options.out or _out(stack, results, quick=options.quick)
    suite.keep(results, out)
    sys.stdout.write(f"\n{report.tables(results)}\nwritten to {out}\n")
    for failure in failures:
        sys.stdout.write(f"FAILED: {failure}\n")
    return 1 if failures else 0


def run(
    stack: Stack, scope: Scope, seconds: float, accounts: Sequence[str] = ()
) -> tuple[Results, list[str]]:
    """Make all runs between these accounts (the benchmarks' own); tell what failed too."""
    results = suite.results(stack)
    outside = _Outside(stack)
    accounts = accounts or wallets.fund(stack)
    if any(scenario.name == "statement" for scenario in scope.scenarios):
        wallets.fill(stack, accounts)
    failures: list[str] = []
    with TemporaryDirectory(dir=stack.settings.run_dir, prefix="bench-") as folder:
        for step in steps(scope):
            made = _attempt(stack, step, accounts, Path(folder), seconds)
            if isinstance(made, str):
                failures.append(made)
            else:
                (results.runs if step.kind == "scenario" else results.floors).append(made)
                failures += report.failed_calls(made)
                report.tell(report.line(made))
            if step.last:
                results.verified[step.name] = suite.verified(stack)
                if not results.verified[step.name]:
                    failures.append(f"{step.name}: the books don't hold after it")
    results.machine["cores used by others"] = f"{outside.cores():.2f}"
    return results, failures


def _attempt(
    stack: Stack, step: Step, accounts: Sequence[str], folder: Path, seconds: float
) -> Run | str:
    """Make a run; return what went wrong where it could not be made."""
    try:
        return _measure(stack, step, accounts, folder, seconds)
    except FAILURES as error:
        what = f"{step.kind} {step.name} at {step.concurrency}, round {step.round}: {error}"
        report.tell(what)
        return what


def _measure(
    stack: Stack, step: Step, accounts: Sequence[str], folder: Path, seconds: float
) -> Run:
    concurrency, round_ = step.concurrency, step.round
    if step.kind == "echo":
        return echo.measure(stack, accounts, folder, concurrency, seconds, round_)
    if step.kind == "sql":
        return sql.measure(stack, int(step.name), min(seconds, SQL_SECONDS), round_)
    scenario = SCENARIOS[step.name]
    if scenario.client == "packed":
        return packed.measure(stack, scenario, accounts, concurrency, seconds, round_)
    return unary.measure(
        unary.Plan(stack, scenario, accounts, concurrency, seconds), folder, round_
    )


class _Outside:
    """How many cores worked for others meanwhile: no figure holds where that is much."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._started = time.monotonic()
        self._before = self._others()

    def cores(self) -> float:
        return (self._others() - self._before) / (time.monotonic() - self._started)

    def _others(self) -> float:
        own = machine.own_cpu_seconds()
        return machine.busy_seconds() - own - sum(usage.cpu_seconds(self._stack).values())


def _out(stack: Stack, results: Results, *, quick: bool) -> Path:
    """Return where results go: into the repository, but for those of a quick look."""
    if quick:
        return stack.settings.run_dir / "bench" / suite.file_of(results, "quick").name
    return suite.file_of(results)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]
