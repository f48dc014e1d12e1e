"""Compare two commits: `python -m bench compare <base>`, `make bench-compare BASE=<commit>`.

Each runs in a clone of its own, both at once, and the bench code of the present commit measures
them in turns: before, after, after, before. So what else the machine does hits both.
"""

import argparse
import fcntl
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import product
from pathlib import Path

from asyncmy.errors import MySQLError

from bench import packed, unary, wallets
from bench.checkout import ROOT, Checkout, CheckoutError, check, commit_of, present
from bench.model import Run
from bench.ratios import cpu_us, table
from bench.run import FAILURES
from bench.scenarios import SCENARIOS, Scenario
from bench.unary import Plan
from guilder.client import GuilderError

FOLDER = ROOT / ".run/compare"
DEFAULT = "within,across,batch-100"
WARM_UP_S = 2.0
"""The first run of a suite pays for what the later ones find done."""
MISSING = "unimplemented"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("base", help="the commit before")
    parser.add_argument("--scenarios", default=DEFAULT, help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--concurrency", type=int, help="default: the scenario's main one")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each run")
    parser.add_argument(
        "--dirty", action="store_true", help="take changed files as they are, committed or not"
    )
    parser.add_argument("--out", type=Path, default=FOLDER / "compare.json", help="as JSON")


def main(options: argparse.Namespace) -> int:
    """Measure both, print what differs; 1 when that failed, or books do not hold."""
    # Whoever ends this program ends what it has started.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        scenarios = _scenarios(options.scenarios)
        with _alone():
            return _compare(options, scenarios)
    except (CheckoutError, OSError) as error:
        sys.stderr.write(f"compare: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("compare: ended; both suites are stopped\n")
        return 130


def _scenarios(names: str) -> list[Scenario]:
    wanted = names.split(",")
    if unknown := [name for name in wanted if name not in SCENARIOS]:
        raise CheckoutError(f"there is no scenario {unknown[0]!r}, only {', '.join(SCENARIOS)}")
    return [SCENARIOS[name] for name in wanted]


@contextmanager
def _alone() -> Iterator[None]:
    """Refuse to run beside another comparison of this folder: it would move the clones."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckoutError("another comparison is running") from None
        yield


def _compare(options: argparse.Namespace, scenarios: list[Scenario]) -> int:
    commits = {"before": commit_of(options.base), "after": present(dirty=options.dirty)}
    for commit in commits.values():
        check(commit, scenarios)
    with ExitStack() as open_suites:
        sides = []
        for name, commit in commits.items():
            side = Checkout.place(name, commit, FOLDER / name)
            _say(f"{side}: setting up and starting in {side.folder.relative_to(ROOT)}")
            open_suites.enter_context(side.running())
            sides.append(side)
        runs = _rounds(sides, scenarios, options)
        books = {side.name: side.verify() for side in sides}
    sys.stdout.write(f"\n{table(runs['before'], runs['after'])}\n")
    for side in sides:
        holds = "hold" if books[side.name] else "DO NOT HOLD: see what its `guilder verify` says"
        _say(f"{side}: the books {holds}")
    _write(options.out, commits, runs, books)
    failed = any(run.errors for some in runs.values() for run in some)
    return 0 if all(books.values()) and not failed else 1


def order(round_: int) -> tuple[int, int]:
    """Return who comes first in a round, from 1: each is first as often as second."""
    return (0, 1) if round_ % 2 else (1, 0)


def _rounds(
    sides: Sequence[Checkout], scenarios: Sequence[Scenario], options: argparse.Namespace
) -> dict[str, list[Run]]:
    accounts = {side.name: _funded(side) for side in sides}
    runs: dict[str, list[Run]] = {side.name: [] for side in sides}
    for scenario, side in product(scenarios, sides):
        _measure(side, scenario, accounts[side.name], 0, WARM_UP_S, options.concurrency)
    for round_, scenario in product(range(1, options.rounds + 1), scenarios):
        for side in (sides[place] for place in order(round_)):
            seconds, callers = options.seconds, options.concurrency
            run = _measure(side, scenario, accounts[side.name], round_, seconds, callers)
            runs[side.name].append(run)
            _say(_line(side, run))
    return runs


def _funded(side: Checkout) -> list[str]:
    try:
        return wallets.fund(side.stack)
    except GuilderError as error:
        text = f"{side}: the present client can't make wallets there: {error}"
        raise CheckoutError(text) from error


def _measure(
    side: Checkout,
    scenario: Scenario,
    accounts: Sequence[str],
    round_: int,
    seconds: float,
    concurrency: int | None,
) -> Run:
    callers = concurrency or scenario.main
    try:
        if scenario.client == "packed":
            run = packed.measure(side.stack, scenario, accounts, callers, seconds, round_)
        else:
            plan = Plan(side.stack, scenario, accounts, callers, seconds)
            run = unary.measure(plan, FOLDER, round_)
    except (*FAILURES, GuilderError, MySQLError) as error:
        text = f"{side}: the present code can't measure {scenario.name} there: {error}"
        raise CheckoutError(text) from error
    if MISSING in map(str.lower, run.errors):
        raise CheckoutError(f"{side} has no {scenario.method}, which {scenario.name} calls")
    if not run.movements:
        raise CheckoutError(f"{side}: nothing was moved by {scenario.name}: {run.errors}")
    return run


def _line(side: Checkout, run: Run) -> str:
    return (
        f"{run.round} {run.scenario:12} {side.name:6} {run.rate:8,.0f}/s  p50 {run.p50_ms:6.1f}"
        f"  p99 {run.p99_ms:6.1f} ms  {cpu_us(run):6.0f} us  errors {sum(run.errors.values())}"
    )


def _write(
    path: Path, commits: dict[str, str], runs: dict[str, list[Run]], books: dict[str, bool]
) -> None:
    value = {
        name: {
            "commit": commit,
            "verified": books[name],
            "runs": [asdict(run) for run in runs[name]],
        }
        for name, commit in commits.items()
    }
    path.write_text(json.dumps(value, indent=1) + "\n")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
