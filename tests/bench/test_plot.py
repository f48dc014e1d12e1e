"""Drawings of latency against load: files that stand for themselves, the same for the same runs."""

import math
from xml.etree import ElementTree as ET

from bench.model import Run
from bench.plot import LINES, latency_svg

SVG = "{http://www.w3.org/2000/svg}"


def run_at(offered: float | None, p50_ms: float, p99_ms: float) -> Run:
    """Return a run with these latencies."""
    rate = offered or 100.0
    return Run(
        scenario="uniform",
        concurrency=128,
        round=1,
        seconds=1.0,
        calls=100,
        movements=100,
        rate=rate,
        offered=offered,
        p50_ms=p50_ms,
        p95_ms=p99_ms,
        p99_ms=p99_ms,
        p999_ms=p99_ms,
        errors={},
        cpu_us={},
        batch_size=None,
        stored_bytes=None,
        lag_s=0.0,
    )


RUNS = [run_at(n * 100.0, n * 2.0, n * 9.0) for n in range(1, 6)]


def dots(drawn: str) -> int:
    """Count the points of a drawing."""
    root = ET.fromstring(drawn)  # noqa: S314  # just drawn
    return sum(1 for one in root.iter(f"{SVG}g") if one.get("class") == "dots")


def test_each_run_is_a_point_of_each_line() -> None:
    """Both percentiles of every open-loop run are drawn, whatever their order."""
    drawn = latency_svg("uniform", RUNS)
    assert dots(drawn) == len(LINES) * len(RUNS)
    assert latency_svg("uniform", RUNS[::-1]) == drawn


def test_a_closed_loop_is_no_point() -> None:
    """A run that offered no rate has no place on the axis."""
    assert dots(latency_svg("uniform", [*RUNS, run_at(None, 1.0, 2.0)])) == len(LINES) * len(RUNS)


def test_a_run_without_an_answer_is_left_out() -> None:
    """What has no latency, or none above zero, does not break the drawing."""
    drawn = latency_svg("uniform", [*RUNS, run_at(900.0, math.nan, math.nan)])
    assert dots(drawn) == len(LINES) * len(RUNS)
    assert dots(latency_svg("uniform", [run_at(10.0, 0.0, 0.0), *RUNS])) > dots(drawn)


def test_a_drawing_fetches_nothing() -> None:
    """The file names no other one: it can be looked at without a network, and holds no script."""
    drawn = latency_svg("a <title> & more", RUNS)
    root = ET.fromstring(drawn)  # noqa: S314
    assert not list(root.iter(f"{SVG}image"))
    for script in root.iter(f"{SVG}script"):
        assert not [name for name in script.attrib if name.endswith("href")]
    assert "@import" not in drawn
