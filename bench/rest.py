"""What Envoy and REST cost: the same transfers straight to the wallet, by gRPC, and as JSON.

All three show a token, and take turns. Exit code 1 when a call failed, a run could not be made, or
the books don't hold.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from bench import calls, report, suite, unary, usage, wallets
from bench.child import Child
from bench.ghz import Ghz, finish
from bench.http_load import NONE_LEFT
from bench.load import Load
from bench.model import Results, Run, from_json
from bench.run import FAILURES
from bench.scenarios import SCENARIOS, Scenario
from walletkit.stack import Stack

Door = Literal["direct", "envoy", "rest"]

DOORS: dict[Door, str] = {
    "direct": "gRPC, straight to the wallet",
    "envoy": "gRPC, through Envoy",
    "rest": "REST, through Envoy",
}
"""How a transfer reaches the wallet."""
PAIRINGS = ("within", "uniform")
CALLERS = (128, 1)
SECONDS = 5.0
ROUNDS = 3
QUICK_SECONDS = 2.0
TOKEN_TTL_S = 4 * 3_600
CLIENT = "bench"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--scenarios", default=",".join(PAIRINGS), help="of transfers")
    parser.add_argument("--concurrency", default=",".join(map(str, CALLERS)), help="callers")
    parser.add_argument("--seconds", type=float, help=f"of each run; {SECONDS:.0f}")
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS}")
    parser.add_argument("--out", type=Path, help="where the results go, as JSON")
    parser.add_argument("--show", type=Path, help="print the tables of a file of results instead")


def main(options: argparse.Namespace) -> int:
    """Measure, on the suite that the environment describes, and print the tables."""
    if options.show is not None:
        results = from_json(options.show.read_text(encoding="utf-8"))
        sys.stdout.write(tables(results) + "\n")
        return 0
    stack = suite.described()
    if not suite.is_up(stack, (*stack.services, *stack.front)):
        return 1
    scope = Scope(
        [SCENARIOS[name] for name in options.scenarios.split(",")],
        [int(text) for text in options.concurrency.split(",")],
        options.rounds or (1 if options.quick else ROUNDS),
        options.seconds or (QUICK_SECONDS if options.quick else SECONDS),
    )
    results, failures = run(stack, scope, wallets.fund(stack))
    out = options.out or stack.settings.run_dir / "bench" / f"rest-{results.date[:10]}.json"
    suite.keep(results, out)
    sys.stdout.write(f"\n{tables(results)}\n\nwritten to {out}\n")
    for failure in failures:
        sys.stdout.write(f"FAILED: {failure}\n")
    return 1 if failures else 0


@dataclass(frozen=True, slots=True)
class Scope:
    """What is asked for."""

    scenarios: Sequence[Scenario]
    callers: Sequence[int]
    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """One run."""

    scenario: Scenario
    door: Door
    concurrency: int
    round: int


def steps(scope: Scope) -> Iterator[Step]:
    """List the runs: the doors take turns, and each comes first as often as the others."""
    doors = list(DOORS)
    for round_ in range(1, scope.rounds + 1):
        for scenario in scope.scenarios:
            for concurrency in scope.callers:
                turned = doors[round_ % len(doors) :] + doors[: round_ % len(doors)]
                for door in turned:
                    yield Step(scenario, door, concurrency, round_)


def run(stack: Stack, scope: Scope, accounts: Sequence[str]) -> tuple[Results, list[str]]:
    """Make all runs between these accounts, and prove the books; tell what failed too."""
    results = suite.results(stack)
    results.settings["envoy.concurrency"] = str(stack.settings.envoy_concurrency)
    failures: list[str] = []
    token = stack.issuer.sign(CLIENT, ["service"], ttl_s=TOKEN_TTL_S)
    with TemporaryDirectory(dir=stack.settings.run_dir, prefix="bench-") as folder:
        for step in steps(scope):
            try:
                made = measure(stack, step, accounts, scope.seconds, Path(folder), token)
            except FAILURES as error:
                failures.append(f"{step.scenario.name} {step.door}: {error}")
                report.tell(failures[-1])
            else:
                results.runs.append(made)
                failures += report.failed_calls(made)
                report.tell(report.line(made))
    held = suite.verified(stack)
    results.verified.update({scenario.name: held for scenario in scope.scenarios})
    if not held:
        failures.append("the books don't hold")
    return results, failures


def measure(
    stack: Stack, step: Step, accounts: Sequence[str], seconds: float, folder: Path, token: str
) -> Run:
    """Make a run; again with twice as many calls written ahead where they did not suffice."""
    written = round(seconds * (unary.ALONE if step.concurrency == 1 else unary.CALLS_A_SECOND))
    for _ in range(unary.TRIES):
        data = folder / "calls"
        shards = len(stack.settings.shard_ports)
        calls.write(data, calls.requests(step.scenario, accounts, shards, written))
        made = _called(stack, step, seconds, data, token)
        if made.calls <= written and NONE_LEFT not in made.errors:
            return made
        written *= 2
    raise unary.TooFastError(f"{step.scenario.name}: more than {written // 2} calls")


def _called(stack: Stack, step: Step, seconds: float, data: Path, token: str) -> Run:
    name = f"{step.scenario.name} {step.door}"
    front = stack.rest_url.partition("://")[2]
    commands = step.scenario.commands
    if step.door == "rest":
        arguments = [str(data), f"--concurrency={step.concurrency}", f"--seconds={seconds}"]
        with Child("bench.http_load", arguments, seconds) as child:
            child.prepare({"address": front, "token": token})
            return usage.measured(
                stack, name, step.concurrency, step.round, child.send, commands=commands
            )

    def call() -> Load:
        with Ghz(
            stack.address("wallet") if step.door == "direct" else front,
            step.scenario.method,
            data,
            concurrency=step.concurrency,
            seconds=seconds,
            connections=unary.connections(stack),
            token=token,
        ) as ghz:
            return finish(ghz)[0]

    return usage.measured(stack, name, step.concurrency, step.round, call, commands=commands)


def tables(results: Results) -> str:
    """Return rates and costs as they stand in docs/benchmarks.md."""
    places = list(dict.fromkeys((run.scenario, run.concurrency) for run in results.runs))
    order = {door: number for number, door in enumerate(DOORS)}
    places.sort(key=lambda at: (at[0].split()[0], -at[1], order[_door(at[0])]))
    heading = f"{results.date}, commit {results.commit}."
    return f"{heading}\n\n{_rates(results.runs, places)}\n\n{_costs(results.runs, places)}"


def _rates(runs: Sequence[Run], places: Sequence[tuple[str, int]]) -> str:
    heads = ["transfer", "c", "by", "best/s", "median/s", "p50", "p99 ms", "of direct", "errors"]
    rows = []
    for name, concurrency in places:
        same = _of(runs, name, concurrency)
        best = max(same, key=lambda run: run.rate)
        rows.append(
            [
                name.split()[0],
                str(concurrency),
                DOORS[_door(name)],
                f"{best.rate:,.0f}",
                f"{statistics.median(run.rate for run in same):,.0f}",
                f"{best.p50_ms:.1f}",
                f"{best.p99_ms:.1f}",
                _of_direct(runs, name, concurrency),
                str(sum(sum(run.errors.values()) for run in same)),
            ]
        )
    return report.table(heads, rows)


def _costs(runs: Sequence[Run], places: Sequence[tuple[str, int]]) -> str:
    """Show the median CPU time of a transfer, by component; `load` is no part of the suite."""
    heads = ["CPU us a transfer", "c", "by", *report.COMPONENTS, "sum without load"]
    rows = []
    for name, concurrency in places:
        same = _of(runs, name, concurrency)
        used = {
            part: statistics.median(run.cpu_us.get(part, 0.0) for run in same)
            for part in report.COMPONENTS
        }
        whole = sum(spent for part, spent in used.items() if part != "load")
        cells = [f"{spent:,.0f}" if spent else "" for spent in used.values()]
        rows.append(
            [name.split()[0], str(concurrency), DOORS[_door(name)], *cells, f"{whole:,.0f}"]
        )
    return report.table(heads, rows)


def _of_direct(runs: Sequence[Run], name: str, concurrency: int) -> str:
    """Tell the rate as a share of that straight to the wallet: by round, the median."""
    straight = f"{name.split(maxsplit=1)[0]} direct"
    direct = {run.round: run.rate for run in _of(runs, straight, concurrency)}
    shares = [
        run.rate / direct[run.round]
        for run in _of(runs, name, concurrency)
        if direct.get(run.round)
    ]
    return f"{statistics.median(shares):.0%}" if shares else ""


def _of(runs: Sequence[Run], name: str, concurrency: int) -> list[Run]:
    return [run for run in runs if (run.scenario, run.concurrency) == (name, concurrency)]


def _door(name: str) -> Door:
    return next(door for door in DOORS if name.endswith(f" {door}"))
