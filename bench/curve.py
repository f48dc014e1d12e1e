"""Measure latency against offered load: calls begin at a rate, whether others have ended or not.

First a closed loop tells about how much a scenario can do; then open loops from a tenth of it to
beyond the knee. Writes all runs as JSON, and draws each scenario as SVG.

Exit code 1 when a run could not be made, or the books don't hold.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import packed, report, suite, unary, usage, wallets
from bench.child import ClientError
from bench.ghz import GhzError
from bench.model import Results, Run, to_json
from bench.plot import latency_svg
from bench.scenarios import SCENARIOS, Scenario
from walletkit.stack import Stack, StackError

SECONDS = 4.0
SHARES = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.5)
"""Of what the closed loop made. Its callers wait for answers, which bounds the batches: where more
is offered batches grow, and the knee may lie beyond 1."""
FAILURES = (GhzError, StackError, usage.LagError, unary.TooFastError, ClientError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--scenarios", type=_names, default=list(SCENARIOS), metavar="NAMES")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each run")
    parser.add_argument("--shares", type=_numbers, default=SHARES, help="of the closed loop's rate")
    parser.add_argument("--out", type=Path, default=suite.ROOT / "bench/results", help="a folder")


def main(options: argparse.Namespace) -> int:
    """Measure what is asked for, on the suite that the environment describes."""
    stack = suite.described()
    if not suite.is_up(stack):
        return 1
    scenarios = [SCENARIOS[name] for name in options.scenarios]
    results, failures = curves(stack, scenarios, options.seconds, options.shares)
    write(results, options.out)
    for failure in failures:
        sys.stdout.write(f"FAILED: {failure}\n")
    return 1 if failures or not all(results.verified.values()) else 0


def curves(
    stack: Stack,
    scenarios: Sequence[Scenario],
    seconds: float,
    shares: Sequence[float],
    accounts: Sequence[str] = (),
) -> tuple[Results, list[str]]:
    """Measure each scenario between these accounts (the benchmarks' own); tell what failed too.

    What fails ends its scenario alone.
    """
    results = suite.results(stack)
    accounts = accounts or wallets.fund(stack)
    if any(scenario.name == "statement" for scenario in scenarios):
        wallets.fill(stack, accounts)
    failures: list[str] = []
    with TemporaryDirectory(prefix="curve-", dir=stack.settings.run_dir) as folder:
        for scenario in scenarios:
            try:
                for run in _curve(stack, scenario, accounts, Path(folder), seconds, shares):
                    results.runs.append(run)
                    sys.stdout.write(f"{line(run)}\n")
                    sys.stdout.flush()
            except FAILURES as error:
                failures.append(f"{scenario.name}: {error}")
    results.verified["all of them"] = suite.verified(stack)
    return results, failures


def write(results: Results, folder: Path) -> list[Path]:
    """Write the results and one drawing a scenario into a folder; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {suite.file_of(results, "curve").name: to_json(results)}
    for name in dict.fromkeys(run.scenario for run in results.runs):
        about = SCENARIOS[name].about if name in SCENARIOS else ""
        drawn = latency_svg(f"{name}: {about}", [r for r in results.runs if r.scenario == name])
        files[f"curve-{name}.svg"] = drawn
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def line(run: Run) -> str:
    """Return a run in one line, for who watches."""
    asked = "closed loop" if run.offered is None else f"{run.offered:.0f} calls/s offered"
    return f"{report.line(run)}  ({asked})"


def _curve(
    stack: Stack,
    scenario: Scenario,
    accounts: Sequence[str],
    folder: Path,
    seconds: float,
    shares: Sequence[float],
) -> Iterator[Run]:
    def once(offered: float | None, number: int) -> Run:
        if scenario.client == "packed":
            return packed.measure(
                stack, scenario, accounts, scenario.main, seconds, number, offered=offered
            )
        plan = unary.Plan(stack, scenario, accounts, scenario.main, seconds, offered)
        return unary.measure(plan, folder, number)

    closed = once(None, 0)
    yield closed
    for number, share in enumerate(shares, start=1):
        yield once(max(1.0, round(share * closed.rate / scenario.per_call, 1)), number)


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in SCENARIOS]:
        raise argparse.ArgumentTypeError(f"there is no scenario {', '.join(unknown)}")
    return names


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]
