"""Compare runs of two commits that were made in turns: ratios, and how far they spread. Pure."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.model import Run

LEAST_ROUNDS = 2
"""One round alone tells nothing of how far rounds differ."""
LOAD = "load"
SHOWN_SHARE = 0.05
"""Of a movement's CPU time: what costs less has no line of its own."""

_HEADINGS = (
    "| scenario | what | before | after | ratio of medians | of bests | by round | verdict |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure of two commits over the same rounds; ratios are after to before."""

    before: float
    """Median."""
    after: float
    """Median."""
    medians: float
    bests: float
    lowest: float
    """Of the ratios of each round: its two runs stand side by side in time."""
    highest: float
    rounds: int

    @property
    def verdict(self) -> str:
        """Say whether the difference is larger than that between rounds."""
        if self.rounds < LEAST_ROUNDS:
            return "one round: nothing to say"
        if self.lowest <= 1 <= self.highest:
            return "within the spread"
        return f"{'more' if self.lowest > 1 else 'less'} in every round"


def ratio(
    before: Sequence[float], after: Sequence[float], best: Callable[[Sequence[float]], float]
) -> Ratio:
    """Compare a figure; both have one value a round, in order, and none of them is 0."""
    each = [new / old for old, new in zip(before, after, strict=True)]
    old, new = statistics.median(before), statistics.median(after)
    return Ratio(
        *(old, new, new / old, best(after) / best(before)),
        *(min(each), max(each), len(each)),
    )


def cpu_us(run: Run) -> float:
    """Return what a movement cost the suite, in CPU microseconds, without the load generator."""
    return sum(spent for name, spent in run.cpu_us.items() if name != LOAD)


def rates(before: Sequence[Run], after: Sequence[Run]) -> Ratio:
    """Compare movements a second of one scenario."""
    return ratio([run.rate for run in before], [run.rate for run in after], max)


def costs(before: Sequence[Run], after: Sequence[Run]) -> Ratio:
    """Compare CPU time a movement of one scenario."""
    return ratio([cpu_us(run) for run in before], [cpu_us(run) for run in after], min)


def table(before: Sequence[Run], after: Sequence[Run]) -> str:
    """Write what changed: rate and CPU time of each scenario, then CPU time by component."""
    lines = [_HEADINGS]
    for scenario in dict.fromkeys(run.scenario for run in before):
        old, new = _of(before, scenario), _of(after, scenario)
        lines.append(_line(scenario, "movements/s", rates(old, new)))
        lines.append(_line(scenario, "CPU us a movement", costs(old, new)))
        lines += [
            _line(scenario, f"- {name}", found)
            for name in old[0].cpu_us
            if (found := _component(name, old, new)) is not None
        ]
    return "\n".join([*lines, "", _caution(max(run.round for run in before))]) + "\n"


def _caution(rounds: int) -> str:
    """Tell how often the verdict is wrong about two commits that are equal."""
    if rounds < LEAST_ROUNDS:
        return f"{LEAST_ROUNDS} rounds at least tell a difference from chance."
    chance = 2 ** (rounds - 1)
    return f"Of equal commits, one line in {chance} differs in every one of {rounds} rounds."


def _component(name: str, before: Sequence[Run], after: Sequence[Run]) -> Ratio | None:
    """Compare one component's CPU time; None where it is not worth a line."""
    old, new = ([run.cpu_us.get(name, 0.0) for run in runs] for runs in (before, after))
    if not all(old) or not all(new):
        return None
    share = sum(old + new) / sum(cpu_us(run) for run in [*before, *after])
    return ratio(old, new, min) if share >= SHOWN_SHARE else None


def _of(runs: Sequence[Run], scenario: str) -> list[Run]:
    found = [run for run in runs if run.scenario == scenario]
    return sorted(found, key=lambda run: run.round)


def _line(scenario: str, what: str, found: Ratio) -> str:
    return (
        f"| {scenario} | {what} | {found.before:,.0f} | {found.after:,.0f} | {found.medians:.3f}"
        f" | {found.bests:.3f} | {found.lowest:.3f} to {found.highest:.3f} | {found.verdict} |"
    )
