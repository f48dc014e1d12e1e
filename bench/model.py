"""What a benchmark measured: plain values, and their form as JSON. No I/O."""

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one scenario."""

    scenario: str
    concurrency: int
    """Calls under way at a time; callers or streams of a client of our own."""
    round: int
    seconds: float
    """How long calls were made, the last answer included."""
    calls: int
    movements: int
    """Transfers, pairs, reads or pages that were made: what the rate counts."""
    rate: float
    """Movements a second."""
    offered: float | None
    """Calls asked for a second, in an open loop; None where each caller waits for its answer."""
    p50_ms: float
    p95_ms: float
    p99_ms: float
    p999_ms: float
    errors: dict[str, int]
    """Failed calls by gRPC code."""
    cpu_us: dict[str, float]
    """CPU microseconds a movement, by component: wallet, shards, books, relay, ledger, notify,
    envoy, edge, redis, load."""
    batch_size: float | None
    """Commands a commit of a shard."""
    stored_bytes: float | None
    """Bytes a movement, over shards, books and outbox."""
    lag_s: float
    """How long after the last call the ledger had all of it, in seconds."""


@dataclass(frozen=True, slots=True)
class Results:
    """All runs of one benchmark, and what they were made on."""

    commit: str
    """The commit that ran; ends in `-dirty` when files differed from it."""
    date: str
    machine: dict[str, str]
    settings: dict[str, str]
    runs: list[Run]
    floors: list[Run]
    """What the same machine did in the same run without money: an echo, and raw SQL."""
    verified: dict[str, bool]
    """Whether the books held after a scenario."""


def to_json(results: Results) -> str:
    """Write results, one field a line so that two files compare line by line."""
    return json.dumps(asdict(results), indent=1) + "\n"


def from_json(text: str) -> Results:
    """Read what `to_json` wrote; TypeError or KeyError on anything else."""
    value: dict[str, Any] = json.loads(text)
    value["runs"] = [Run(**run) for run in value["runs"]]
    value["floors"] = [Run(**run) for run in value["floors"]]
    return Results(**value)
