"""Open loops on a real suite, what is written of them, and the bounds of a soak."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench import curve, soak
from bench.ghz import GHZ
from bench.model import Run, from_json
from bench.scenarios import SCENARIOS
from walletkit.stack import Stack

needs_ghz = pytest.mark.skipif(not GHZ.exists(), reason="ghz is installed by `make tools`")
STEADY = Run(
    scenario="uniform",
    concurrency=128,
    round=1,
    seconds=10.0,
    calls=1_000,
    movements=1_000,
    rate=100.0,
    offered=100.0,
    p50_ms=5.0,
    p95_ms=9.0,
    p99_ms=20.0,
    p999_ms=30.0,
    errors={},
    cpu_us={"wallet": 3_000.0, "load": 1_000.0},
    batch_size=2.0,
    stored_bytes=None,
    lag_s=0.2,
)


@needs_ghz
def test_a_curve_goes_from_idle_to_beyond_the_knee(
    suite: Stack, accounts: Sequence[str], tmp_path: Path
) -> None:
    """The load of each step is a share of what a closed loop made; all is written and drawn."""
    scenarios = [SCENARIOS["uniform"], SCENARIOS["batch-100"]]
    results, failures = curve.curves(suite, scenarios, 1.0, (0.1, 0.3), accounts)
    assert not failures
    assert all(results.verified.values())
    for scenario in scenarios:
        closed, *steps = [run for run in results.runs if run.scenario == scenario.name]
        assert closed.offered is None
        calls = closed.rate / scenario.per_call
        assert [step.offered for step in steps] == [
            max(1.0, round(share * calls, 1)) for share in (0.1, 0.3)
        ]
        assert not any(step.errors for step in steps)
    written = curve.write(results, tmp_path)
    assert [path.suffix for path in written] == [".json", ".svg", ".svg"]
    assert from_json(written[0].read_text()) == results
    assert "uniform" in written[1].read_text()


def test_shares_begin_low_and_pass_the_knee() -> None:
    """About nine steps, from a tenth of what a closed loop makes to half as much again."""
    assert curve.SHARES[0] == pytest.approx(0.1)
    assert list(curve.SHARES) == sorted(curve.SHARES)
    assert curve.SHARES[-1] == pytest.approx(1.5)


@needs_ghz
def test_a_soak_is_steady_and_sampled(suite: Stack, accounts: Sequence[str]) -> None:
    """Calls come at the rate, the ledger is asked each second, and components share the cores."""
    found = soak.soak(suite, 3.0, 20.0, accounts)
    assert found.run.offered == 20.0
    assert found.run.errors == {}
    assert found.run.movements == pytest.approx(60, abs=5)
    assert len(found.lags_s) >= 2
    assert found.run.lag_s >= max(found.lags_s)
    assert 0 < sum(found.shares().values()) < 1
    assert "20/s offered" in soak.told(found)


def test_shares_are_of_all_cores() -> None:
    """A component that works 3,000 us for each of 100 transfers a second keeps 0.3 cores busy."""
    shares = soak.Soak(STEADY, 2).shares()
    assert shares == pytest.approx({"wallet": 0.15, "load": 0.05})


@pytest.mark.parametrize(
    "change",
    [
        {"p99_ms": 51.0},
        {"p99_ms": math.nan},
        {"lag_s": 1.1},
        {"lag_s": math.inf},
        {"errors": {"UNAVAILABLE": 1}},
        {"cpu_us": {"wallet": 13_000.0, "load": 2_000.0}},
        {"rate": 90.0},
    ],
    ids=str,
)
def test_a_bound_is_broken(change: dict[str, object]) -> None:
    """Each bound by itself ends a soak with 1; what is not known holds no bound."""
    assert not soak.Soak(STEADY, 2).broken(soak.Bounds())
    changed = replace(STEADY, **change)  # type: ignore[arg-type]  # one field each
    assert len(soak.Soak(changed, 2).broken(soak.Bounds())) == 1


def test_a_ledger_that_cannot_be_asked_is_not_level(suite: Stack) -> None:
    """Where no sample can be taken the lag is infinite, not zero."""
    settings = suite.settings.model_copy(update={"books_port": 1})
    with soak.LagSampler(Stack(settings)) as sampler:
        sampler._thread.join(20)
    assert sampler.lags_s == [math.inf]


def test_commands_take_their_options() -> None:
    """Both commands are those of `python -m bench`, and refuse scenarios that do not exist."""
    parser = argparse.ArgumentParser()
    curve.add_arguments(parser)
    assert parser.parse_args(["--scenarios", "hot,stream"]).scenarios == ["hot", "stream"]
    with pytest.raises(SystemExit):
        parser.parse_args(["--scenarios", "nothing"])
    parser = argparse.ArgumentParser()
    soak.add_arguments(parser)
    options = parser.parse_args([])
    assert (options.minutes, options.rate) == (10.0, 1_160.0)
    assert (options.max_p99_ms, options.max_cpu, options.max_lag_s) == (50.0, 0.7, 1.0)
