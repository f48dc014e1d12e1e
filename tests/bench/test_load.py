"""What a load generator measured: percentiles, two side by side, ghz's report."""

import math
from typing import Any

import pytest

from bench.ghz import GhzError, read_report, used_at
from bench.load import Load, percentile, side_by_side


def load(movements: int, seconds: float = 2.0, **differently: Any) -> Load:  # noqa: ANN401
    """Return a load without errors."""
    values: dict[str, Any] = {
        "seconds": seconds,
        "calls": movements,
        "movements": movements,
        "latencies_ms": [1.0],
        "errors": {},
        "cpu_seconds": 0.5,
        "ended_at": 10.0,
    }
    return Load(**{**values, **differently})


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (50, 500), (95, 950), (99, 990), (99.9, 999), (100, 1_000)]
)
def test_percentiles_are_values_that_were_measured(percent: float, expected: float) -> None:
    """The nearest rank, neither the one before nor the one after, in any order."""
    assert percentile(list(range(1_000, 0, -1)), percent) == expected


def test_percentiles_of_few() -> None:
    """One value is every percentile; none has no percentile."""
    assert percentile([7.0], 99.9) == 7.0
    assert math.isnan(percentile([], 50))


def test_the_slower_of_two_sets_the_rate() -> None:
    """An authorization without its capture is no pair; what failed and what it cost adds up."""
    both = side_by_side(
        load(900, errors={"Unavailable": 1}),
        load(500, 2.5, errors={"Unavailable": 2}, ended_at=11.0),
    )
    assert (both.movements, both.rate, both.calls) == (500, 200.0, 1_400)
    assert (both.errors, both.cpu_seconds, both.ended_at) == ({"Unavailable": 3}, 1.0, 11.0)
    assert len(both.latencies_ms) == 2


def test_a_report_of_ghz() -> None:
    """Latencies are those of calls that succeeded, the CPU time that between first and last."""
    report = {
        "count": 3,
        "total": 2_000_000_000,
        "statusCodeDistribution": {"OK": 2, "Unavailable": 1},
        "details": [
            {"timestamp": "1970-01-01T00:01:39.5Z", "latency": 3_000_000, "status": "OK"},
            {"timestamp": "1970-01-01T00:01:39.6Z", "latency": 9_000_000, "status": "Unavailable"},
            {"timestamp": "1970-01-01T00:01:40.123456789Z", "latency": 5_000_000, "status": "OK"},
        ],
    }
    cpu = [(90.0, 1.0), (98.123456, 3.0), (100.123456, 4.0), (101.0, 9.0)]
    read = read_report(report, cpu)
    assert (read.calls, read.movements, read.errors) == (3, 2, {"Unavailable": 1})
    assert (read.seconds, read.rate, list(read.latencies_ms)) == (2.0, 1.0, [3.0, 5.0])
    assert read.cpu_seconds == pytest.approx(1.0)
    assert read.ended_at == pytest.approx(100.123456)


def test_a_report_without_calls_is_an_error() -> None:
    """A server that nobody reached was not measured."""
    with pytest.raises(GhzError):
        read_report({"details": None}, [])


def test_cpu_time_between_samples() -> None:
    """In between it lies on a line; before and behind all samples it is that of the nearest."""
    samples = [(1.0, 0.0), (2.0, 4.0), (3.0, 4.0)]
    assert [used_at(samples, at) for at in (0, 1.25, 2.5, 9)] == [0.0, 1.0, 4.0, 4.0]
    assert used_at([], 1.0) == 0.0
