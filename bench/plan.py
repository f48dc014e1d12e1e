"""In what order runs are made: interleaved, so that what else the machine does hits all. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Step:
    """One run of a scenario or a floor."""

    kind: Literal["scenario", "echo", "sql"]
    name: str
    """Of the scenario; of raw SQL the size of its batches."""
    concurrency: int
    """Callers or streams; of raw SQL how many shards."""
    round: int
    last: bool = False
    """Whether nothing of this scenario comes after it: then the books are proved."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is asked for."""

    scenarios: Sequence[Scenario]
    rounds: int
    shards: int
    callers: Sequence[int] = ()
    """Instead of a scenario's own concurrencies."""
    streams: Sequence[int] = ()
    """The same, of clients of our own."""
    sizes: Sequence[int] = ()
    """Of raw SQL's batches; without any no floor is measured."""

    def concurrencies(self, scenario: Scenario) -> Sequence[int]:
        """Return the main concurrency first, which runs in each round, and then the others."""
        asked = self.streams if scenario.client == "packed" else self.callers
        chosen = asked or scenario.concurrencies
        main = scenario.main if scenario.main in chosen else chosen[-1]
        return [main, *[one for one in chosen if one != main]]


def steps(scope: Scope) -> Iterator[Step]:
    """List the runs: round by round at the main concurrency; in the last one all the others too."""
    for round_ in range(1, scope.rounds + 1):
        last = round_ == scope.rounds
        if scope.sizes:
            yield from _floors(scope, round_, last=last)
        for scenario in scope.scenarios:
            main, *others = scope.concurrencies(scenario)
            chosen = [main, *others] if last else [main]
            for one in chosen:
                proved = last and one == chosen[-1]
                yield Step("scenario", scenario.name, one, round_, proved)


def _floors(scope: Scope, round_: int, *, last: bool) -> Iterator[Step]:
    """List an echo for each concurrency that ghz runs at, and each size of a batch of raw SQL."""
    called = [scope.concurrencies(one) for one in scope.scenarios if one.client != "packed"]
    echoed = [one for chosen in called for one in (chosen if last else chosen[:1])]
    for concurrency in dict.fromkeys(echoed):
        yield Step("echo", "", concurrency, round_)
    for size in scope.sizes:
        yield Step("sql", str(size), scope.shards, round_)
