"""What a suite did nearly empty and what it does full: values, their JSON and tables. No I/O."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from bench.model import Results, Run
from bench.report import best_runs

LEAST_RATIO = 0.75
BINDS = 0.8
"""Share from which processors or disk are said to be what binds."""
LAGS_S = 1.0
_GIB = 2**30
_MICROSECONDS = 1e6
_UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took of the machine beside CPU time; both are until the ledger had all of it."""

    shard_reads: float
    """Pages that the shards read from the disk, a movement."""
    books_reads: float
    """The same of the server that ledger and notify share."""
    disk_busy: float | None
    """Share of the time in which the disk had something to do; None where nobody says."""
    others: float
    """Share of all processors that worked for none of the suite's processes."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What the suite did at one size."""

    transactions: int
    """Of all kinds, when the first run began."""
    wallets: int
    """From how many wallets those of the runs were drawn."""
    results: Results
    costs: list[Cost]
    """One for each of the results' runs."""

    @classmethod
    def of(cls, value: dict[str, Any]) -> Self:
        """Read what `asdict` made of one."""
        results = dict(value["results"])
        for name in ("runs", "floors"):
            results[name] = [Run(**run) for run in results[name]]
        costs = [Cost(**cost) for cost in value["costs"]]
        return cls(value["transactions"], value["wallets"], Results(**results), costs)

    def best(self) -> dict[tuple[str, int], tuple[Run, Cost]]:
        """Return of each scenario at each concurrency the quickest run, and what it took."""
        costs = {id(run): cost for run, cost in zip(self.results.runs, self.costs, strict=True)}
        return {at: (run, costs[id(run)]) for at, run in best_runs(self.results.runs).items()}


@dataclass(frozen=True, slots=True)
class Growth:
    """Both, and what the full suite stores."""

    cores: int
    pool_bytes: int
    """Buffer pool of each database server."""
    tables: dict[str, int]
    """Bytes of each table when full, indexes included; those of all shards together."""
    stored: int
    """Transactions that these bytes are of."""
    empty: Moment
    full: Moment
    verified: bool | None
    """Whether the books of the full suite held; None: not looked at."""
    within: bool = False
    """Whether the last fill kept to transfers within a shard."""


def moment_to_json(moment: Moment) -> str:
    """Write a moment; `moment_from_json` reads it."""
    return json.dumps(asdict(moment), indent=1) + "\n"


def moment_from_json(text: str) -> Moment:
    """Read a moment; KeyError or TypeError on anything else."""
    return Moment.of(json.loads(text))


def to_json(growth: Growth) -> str:
    """Write all of it."""
    return json.dumps(asdict(growth), indent=1) + "\n"


def from_json(text: str) -> Growth:
    """Read what `to_json` wrote; KeyError or TypeError on anything else."""
    value: dict[str, Any] = json.loads(text)
    return Growth(**{**value, "empty": Moment.of(value["empty"]), "full": Moment.of(value["full"])})


def broken(growth: Growth, least_ratio: float) -> list[str]:
    """Say which scenarios became slower than that share of their rate in the empty suite."""
    return [
        f"{name} at {concurrency}: {ratio:.0%} of the rate in the empty suite"
        for (name, concurrency), ratio in ratios(growth).items()
        if not ratio >= least_ratio
    ]


def ratios(growth: Growth) -> dict[tuple[str, int], float]:
    """Return the full suite's best rates as shares of the empty one's; of what both have."""
    empty, full = growth.empty.best(), growth.full.best()
    return {
        at: run.rate / empty[at][0].rate
        for at, (run, _) in full.items()
        if at in empty and empty[at][0].rate
    }


def processors(run: Run, cores: int) -> float:
    """Return the share of all processors that suite and load generator took."""
    seconds = (run.seconds + run.lag_s) * cores
    return sum(run.cpu_us.values()) * run.movements / _MICROSECONDS / seconds if seconds else 0.0


def binding(run: Run, cost: Cost, cores: int) -> str:
    """Say what bounds a rate, as far as the figures tell it."""
    worked = processors(run, cores) + cost.others
    shares = {"processors": worked, "disk": cost.disk_busy or 0.0}
    most = max(shares, key=lambda name: shares[name])
    found = [most if shares[most] >= BINDS else "neither: calls wait, for commits or each other"]
    if run.lag_s > LAGS_S:
        found.append("the ledger can't follow")
    return "; ".join(found)


def tables(growth: Growth) -> str:
    """Return what people read."""
    return "\n\n".join([_heading(growth), _rates(growth), _bytes(growth), _proof(growth)])


def _heading(growth: Growth) -> str:
    empty, full = growth.empty, growth.full
    groups = {
        group: sum(size for name, size in growth.tables.items() if name.startswith(f"{group}."))
        for group in ("shards", "ledger", "notify")
    }
    sizes = ", ".join(f"{group} {size / _GIB:.1f} GiB" for group, size in groups.items())
    within = " The last fill kept to transfers within a shard." if growth.within else ""
    return (
        f"Empty: {empty.transactions:,} transactions, {empty.wallets:,} wallets drawn from"
        f" ({empty.results.date}, commit {empty.results.commit}). Full: {full.transactions:,}"
        f" transactions, {full.wallets:,} wallets ({full.results.date}, commit"
        f" {full.results.commit}).\n"
        f"Buffer pool of each server: {growth.pool_bytes / 2**20:,.0f} MiB"
        f" (GUILDER_BUFFER_POOL_MB); stored: {sizes}.{within}"
    )


def _rates(growth: Growth) -> str:
    """Show empty against full; page reads as empty, full."""
    heads = ["scenario", "c", "empty/s", "full/s", "ratio", "p99 ms: empty, full"]
    heads += ["pages read a movement: shards", "books", "processors: suite, others"]
    heads += ["disk busy", "lag s"]
    heads += ["what binds when full"]
    empty, share = growth.empty.best(), ratios(growth)
    rows = []
    for at, (run, cost) in growth.full.best().items():
        before, spent = empty.get(at, (None, None))
        reads = [
            (None if spent is None else spent.shard_reads, cost.shard_reads),
            (None if spent is None else spent.books_reads, cost.books_reads),
        ]
        rows.append(
            [
                run.scenario,
                str(run.concurrency),
                _UNKNOWN if before is None else f"{before.rate:,.0f}",
                f"{run.rate:,.0f}",
                f"{share[at]:.0%}" if at in share else _UNKNOWN,
                f"{_UNKNOWN if before is None else f'{before.p99_ms:.1f}'}, {run.p99_ms:.1f}",
                *[f"{_pages(one)}, {_pages(other)}" for one, other in reads],
                f"{processors(run, growth.cores):.0%}, {cost.others:.0%}",
                _UNKNOWN if cost.disk_busy is None else f"{cost.disk_busy:.0%}",
                f"{run.lag_s:.1f}",
                binding(run, cost, growth.cores),
            ]
        )
    return _table(heads, rows)


def _bytes(growth: Growth) -> str:
    """Show what each table holds, the largest first, without those that hold next to nothing."""
    total = sum(growth.tables.values())
    count = max(growth.stored, 1)
    largest = sorted(growth.tables.items(), key=lambda item: -item[1])
    rows = [
        [name, f"{size / _GIB:.3f}", f"{size / count:,.1f}"]
        for name, size in [*largest, ("sum", total)]
        if size * 1_000 >= total
    ]
    return _table(["table", "GiB", "bytes a transaction"], rows)


def _proof(growth: Growth) -> str:
    if growth.verified is None:
        return "The books were NOT verified: that was skipped."
    return "The books were proved." if growth.verified else "The books did NOT hold."


def _pages(reads: float | None) -> str:
    return _UNKNOWN if reads is None else f"{reads:.2f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
