"""The tables of a file of results, as they stand in docs/benchmarks.md: `python -m bench report`.

The best round is nearest to what the machine can do, since others' work can only take from it.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.model import Results, Run, from_json
from bench.scenarios import SCENARIOS

ECHO = "floor: echo"
RAW = "floor: raw SQL n="
COMPONENTS = (
    *("wallet", "shards", "relay", "ledger", "books", "notify", "envoy", "edge", "redis"),
    "load",
)
MAIN_CONCURRENCY = 128
NOTHING = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Ask for the file."""
    parser.add_argument("results", type=Path, help="a file of bench/results")


def main(options: argparse.Namespace) -> int:
    """Print the tables of a file."""
    sys.stdout.write(tables(from_json(options.results.read_text(encoding="utf-8"))) + "\n")
    return 0


def tables(results: Results) -> str:
    """Return all tables, and what they were measured on."""
    parts = [_heading(results), _rates(results), _concurrencies(results), _costs(results)]
    if results.floors:
        parts.append(_floors(results))
    return "\n\n".join([*parts, _proof(results)])


def line(run: Run) -> str:
    """Return a run in one line, for who watches."""
    cpu = " ".join(f"{name} {used:.0f}" for name in COMPONENTS if (used := run.cpu_us.get(name)))
    batch = f"  batch {run.batch_size:.0f}" if run.batch_size else ""
    return (
        f"{run.round} {run.scenario:20} c={run.concurrency:<4}{run.rate:8.0f}/s"
        f"  p50 {run.p50_ms:.1f} p99 {run.p99_ms:.1f} p99.9 {run.p999_ms:.1f} ms{batch}"
        f"  lag {run.lag_s:.1f} s  us: {cpu}"
    )


def failed_calls(run: Run) -> list[str]:
    """Say which calls of a run failed, if any did."""
    told = ", ".join(f"{count} {code}" for code, count in run.errors.items())
    return [f"{run.scenario} at {run.concurrency}, round {run.round}: {told}"] if told else []


def best_runs(runs: Iterable[Run]) -> dict[tuple[str, int], Run]:
    """Return the quickest run of each scenario at each concurrency."""
    best: dict[tuple[str, int], Run] = {}
    for run in runs:
        at = (run.scenario, run.concurrency)
        if at not in best or run.rate > best[at].rate:
            best[at] = run
    return best


def of_echo(run: Run, floors: Iterable[Run]) -> float | None:
    """Return the calls of a run, of those of the best echo at the same concurrency."""
    echo = best_runs(floors).get((ECHO, run.concurrency))
    scenario = SCENARIOS.get(run.scenario)
    if echo is None or scenario is None or scenario.client == "packed":
        return None
    return run.calls / run.seconds / echo.rate


def of_echo_by_round(runs: Iterable[Run], floors: Sequence[Run]) -> list[float]:
    """Return the same of each run, of the echo of its own round, where there was one."""
    shares = (of_echo(run, [one for one in floors if one.round == run.round]) for run in runs)
    return [share for share in shares if share is not None]


def of_raw_sql(run: Run, floors: Iterable[Run]) -> tuple[float, int] | None:
    """Return the movements of a run, of those of raw SQL in batches nearest in size; and that size.

    None for what commits nothing.
    """
    raw = [floor for floor in best_runs(floors).values() if floor.scenario.startswith(RAW)]
    if run.batch_size is None or not raw:
        return None
    wanted = math.log(max(run.batch_size, 1.0))

    def distance(floor: Run) -> float:
        return abs(math.log(_size(floor)) - wanted)

    least = min(map(distance, raw))
    nearest = max((one for one in raw if distance(one) == least), key=lambda one: one.rate)
    return run.rate / nearest.rate, _size(nearest)


def _size(floor: Run) -> int:
    return int(floor.scenario.removeprefix(RAW))


def _heading(results: Results) -> str:
    machine = "; ".join(f"{name} {value}" for name, value in results.machine.items())
    settings = "; ".join(f"{name}={value}" for name, value in results.settings.items())
    return (
        f"{results.date}, commit {results.commit}.\n\nMachine: {machine}.\n\nSettings: {settings}."
    )


def _rates(results: Results) -> str:
    """Show each scenario at the concurrency that ran in every round."""
    heads = ["scenario", "c", "best/s", "median/s", "p50", "p95", "p99", "p99.9 ms"]
    heads += ["of echo (by round)", "of raw SQL", "commands a commit", "bytes", "lag s", "errors"]
    rows = []
    for run in _main_runs(results.runs):
        same = [r for r in results.runs if _place(r) == _place(run)]
        raw = of_raw_sql(run, results.floors)
        rows.append(
            [
                run.scenario,
                str(run.concurrency),
                _number(run.rate),
                _number(statistics.median(r.rate for r in same)),
                *[f"{ms:.1f}" for ms in (run.p50_ms, run.p95_ms, run.p99_ms, run.p999_ms)],
                _of_echo(run, same, results.floors),
                NOTHING if raw is None else f"{raw[0]:.0%} (n={raw[1]:,})",
                _maybe(run.batch_size),
                _maybe(_known(r.stored_bytes for r in same)),
                f"{run.lag_s:.1f}",
                str(sum(sum(r.errors.values()) for r in same)),
            ]
        )
    return table(heads, rows)


def _of_echo(best: Run, same: Sequence[Run], floors: Sequence[Run]) -> str:
    """Show the best run against the best echo, and how far the rounds lie apart."""
    share, rounds = of_echo(best, floors), of_echo_by_round(same, floors)
    if share is None:
        return NOTHING
    apart = f" ({min(rounds):.0%} to {max(rounds):.0%})" if len(rounds) > 1 else ""
    return f"{share:.0%}{apart}"


def _concurrencies(results: Results) -> str:
    """Show rate and latency of every scenario at every concurrency."""
    best = best_runs(results.runs)
    rows = []
    for scenario in dict.fromkeys(run.scenario for run in results.runs):
        at = [run for (name, _), run in sorted(best.items()) if name == scenario]
        cells = [
            f"c={r.concurrency}: {_number(r.rate)} ({r.p50_ms:.1f} / {r.p99_ms:.1f})" for r in at
        ]
        rows.append([scenario, "; ".join(cells)])
    return table(["scenario", "best/s (p50 / p99 ms) by concurrency"], rows)


def _costs(results: Results) -> str:
    """Show the CPU time of a movement in the best round."""
    heads = ["CPU us a movement", *COMPONENTS, "sum"]
    rows = []
    for run in [*_main_runs(results.floors), *_main_runs(results.runs)]:
        used = [run.cpu_us.get(name, 0.0) for name in COMPONENTS]
        cells = [_number(one) if one else NOTHING for one in used]
        rows.append([run.scenario, *cells, _number(sum(used))])
    return table(heads, rows)


def _floors(results: Results) -> str:
    """Show what the machine does without money."""
    rows = [
        [
            run.scenario,
            str(run.concurrency),
            _number(run.rate),
            f"{run.p50_ms:.1f}",
            f"{run.p99_ms:.1f}",
        ]
        for _, run in sorted(best_runs(results.floors).items())
    ]
    return table(["floor", "c or shards", "best/s", "p50", "p99 ms"], rows)


def _proof(results: Results) -> str:
    wrong = [name for name, held in results.verified.items() if not held]
    if wrong:
        return f"After these the books did NOT hold: {', '.join(wrong)}."
    told = ", ".join(results.verified) or "nothing"
    return f"The books were proved after each of: {told}."


def _main_runs(runs: Sequence[Run]) -> list[Run]:
    """Return of each scenario the best run at the concurrency that has most runs."""
    places = [_place(run) for run in runs]

    def weight(place: tuple[str, int]) -> tuple[int, bool, int]:
        return places.count(place), place[1] == MAIN_CONCURRENCY, place[1]

    chosen: dict[str, tuple[str, int]] = {}
    for place in places:
        name = place[0]
        chosen[name] = max(place, chosen.get(name, place), key=weight)
    best = best_runs(runs)
    return [best[place] for place in chosen.values()]


def _place(run: Run) -> tuple[str, int]:
    return run.scenario, run.concurrency


def _known(values: Iterable[float | None]) -> float | None:
    """Return the median of what is known."""
    some = [value for value in values if value is not None]
    return statistics.median(some) if some else None


def _maybe(value: float | None) -> str:
    return NOTHING if value is None else _number(value)


def _number(value: float) -> str:
    return f"{value:,.0f}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table of markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def tell(line: str) -> None:
    """Show a line at once, whoever reads."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
