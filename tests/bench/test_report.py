"""The tables: best and median, ratios to the floors, and what failed."""

import pytest

from bench import report
from tests.bench.runs import a_run, results_of

FLOORS = [
    a_run(scenario="floor: echo", rate=4_000.0),
    a_run(scenario="floor: echo", rate=5_000.0, round=2),
    a_run(scenario="floor: echo", rate=1_000.0, concurrency=1),
    a_run(scenario="floor: raw SQL n=1", rate=2_000.0, concurrency=2),
    a_run(scenario="floor: raw SQL n=30", rate=10_000.0, concurrency=2),
    a_run(scenario="floor: raw SQL n=30", rate=8_000.0, concurrency=1),
    a_run(scenario="floor: raw SQL n=1000", rate=50_000.0, concurrency=2),
]


def test_the_best_round_stands_beside_the_median() -> None:
    """Of three rounds the quickest and the one between, and the ratios of the quickest."""
    rates = (900.0, 2_000.0, 1_000.0)
    runs = [
        a_run(round=n, rate=rate, movements=int(2 * rate), calls=int(2 * rate))
        for n, rate in enumerate(rates, 1)
    ]
    table = report.tables(results_of(runs, FLOORS))
    figures = "2,000 | 1,000 | 1.0 | 2.0 | 3.0 | 4.0 | 40% (22% to 40%) | 20% (n=30) | 30"
    assert f"| within | 128 | {figures} |" in table
    assert "The books were proved after each of: within." in table
    assert "abc1234" in table


@pytest.mark.parametrize(
    ("batch", "ratio"),
    [(1.2, (0.5, 1)), (3, (0.5, 1)), (25, (0.1, 30)), (400, (0.02, 1_000)), (None, None)],
)
def test_raw_sql_is_that_of_batches_nearest_in_size(
    batch: float | None, ratio: tuple[float, int] | None
) -> None:
    """A commit of a few is not held against one of a thousand; a read against none."""
    assert report.of_raw_sql(a_run(batch_size=batch), FLOORS) == ratio


def test_a_ratio_to_the_echo_tells_how_far_the_rounds_lie_apart() -> None:
    """The best against the best, and each run against the echo of its own round."""
    runs = [a_run(), a_run(rate=600.0, calls=1_200, round=2)]
    assert report.of_echo_by_round(runs, FLOORS) == pytest.approx([0.25, 0.12])
    assert "| 20% (12% to 25%) |" in report.tables(results_of(runs, FLOORS))


def test_the_echo_is_that_of_the_same_concurrency() -> None:
    """Calls are compared, of which a pair has two; where no echo ran there is no ratio."""
    assert report.of_echo(a_run(), FLOORS) == pytest.approx(0.2)
    assert report.of_echo(a_run(concurrency=1), FLOORS) == pytest.approx(1.0)
    assert report.of_echo(a_run(concurrency=32), FLOORS) is None
    assert report.of_echo(a_run(scenario="hold", calls=4_000), FLOORS) == pytest.approx(0.4)
    assert report.of_echo(a_run(scenario="stream"), FLOORS) is None


def test_one_concurrency_stands_for_a_scenario() -> None:
    """The one with most runs; with as many of each the main one."""
    runs = [a_run(concurrency=n, rate=float(n)) for n in (1, 32, 128, 512)]
    lines = report.tables(results_of(runs)).splitlines()
    assert [line.split(" | ")[1] for line in lines if line.startswith("| within | 128 |")] == [
        "128"
    ]
    assert any("c=1: 1 (1.0 / 3.0); c=32: 32" in line for line in lines)


def test_failures_are_told() -> None:
    """Failed calls by code, and scenarios after which the books did not hold."""
    failed = a_run(errors={"Unavailable": 2})
    assert report.failed_calls(failed) == ["within at 128, round 1: 2 Unavailable"]
    assert report.failed_calls(a_run()) == []
    results = results_of([failed])
    results.verified["within"] = False
    assert "the books did NOT hold: within." in report.tables(results)
