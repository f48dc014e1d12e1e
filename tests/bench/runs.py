"""Runs that were never made, to be written, compared and shown."""

from dataclasses import replace
from typing import Any

from bench.model import Results, Run

_RUN = Run(
    scenario="within",
    concurrency=128,
    round=1,
    seconds=2.0,
    calls=2_000,
    movements=2_000,
    rate=1_000.0,
    offered=None,
    p50_ms=1.0,
    p95_ms=2.0,
    p99_ms=3.0,
    p999_ms=4.0,
    errors={},
    cpu_us={"wallet": 100.0, "load": 50.0},
    batch_size=30.0,
    stored_bytes=600.0,
    lag_s=0.1,
)


def a_run(**differently: Any) -> Run:  # noqa: ANN401  # any field
    """Return a run with these fields."""
    return replace(_RUN, **differently)


def results_of(runs: list[Run], floors: list[Run] | None = None) -> Results:
    """Return results with these runs."""
    return Results(
        commit="abc1234",
        date="2026-11-23T00:00:00+00:00",
        machine={"cpu": "2 x slow"},
        settings={"wallet.workers": "1"},
        runs=runs,
        floors=floors or [],
        verified={run.scenario: True for run in runs},
    )
