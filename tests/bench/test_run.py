"""A benchmark in small, on a real suite: rates, costs, the floor, and books that hold."""

import importlib
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import pytest

from bench import run, unary, usage
from bench.__main__ import COMMANDS, main
from bench.load import Load
from bench.model import from_json
from bench.plan import Scope
from bench.scenarios import SCENARIOS
from bench.suite import verified
from walletkit.ids import parse_id
from walletkit.stack import Stack

SERVICES = {"wallet", "relay", "ledger", "notify", "edge"}
COMPONENTS = SERVICES | {"envoy", "shards", "books", "redis", "load"}


def scope(*names: str) -> Scope:
    """Return one round of these scenarios with few callers."""
    return Scope([SCENARIOS[name] for name in names], 1, 2, callers=(8,), streams=(2,))


def test_batches_are_measured_and_the_books_hold(suite: Stack, accounts: list[str]) -> None:
    """Transfers by a client of our own, what they cost by component, and the proof."""
    results, failures = run.run(suite, scope("batch-100"), 1.0, accounts)
    assert failures == []
    assert results.verified == {"batch-100": True}
    (made,) = results.runs
    assert made.movements == 100 * made.calls > 0
    assert made.rate == pytest.approx(made.movements / made.seconds, rel=0.01)
    assert 0 < made.p50_ms <= made.p95_ms <= made.p99_ms <= made.p999_ms
    assert set(made.cpu_us) == COMPONENTS
    assert made.cpu_us["wallet"] > 0
    assert made.batch_size is not None
    assert made.batch_size > 10
    assert results.settings["mariadb.sync_binlog"] == "1"
    assert results.settings["wallet.workers"] == "1"


def test_ghz_measures_calls_and_pairs_beside_the_echo(
    ghz: None, suite: Stack, accounts: list[str]
) -> None:
    """One call a movement and two, the floor of the same callers; nothing stays on the disk."""
    asked = replace(scope("within", "hold"), sizes=(30,))
    results, failures = run.run(suite, asked, 1.0, accounts)
    assert failures == []
    assert results.verified == {"within": True, "hold": True}
    within, hold = results.runs
    assert within.movements == within.calls > 0
    assert 0 < hold.movements <= hold.calls / 2
    assert [(floor.scenario, floor.concurrency) for floor in results.floors] == [
        ("floor: echo", 8),
        ("floor: raw SQL n=30", 2),
    ]
    assert not list(suite.settings.run_dir.glob("bench-*"))


def test_a_key_that_came_twice_is_no_measurement(
    ghz: None, suite: Stack, accounts: list[str], tmp_path: Path
) -> None:
    """Too few calls were written ahead: it tries with more, and then gives up by name."""
    plan = unary.Plan(suite, SCENARIOS["within"], accounts, 4, 1.0, written=2)
    with pytest.raises(unary.TooFastError, match="keys came twice"):
        unary.measure(plan, tmp_path, 1)
    assert not list(tmp_path.iterdir())


def test_movements_that_fail_are_failures(suite: Stack, unmade: list[str]) -> None:
    """Wallets that don't exist are told by code, and count as no movement."""
    results, failures = run.run(suite, scope("batch-100"), 0.5, unmade)
    (made,) = results.runs
    assert made.movements == 0
    assert list(made.errors) == ["NOT_FOUND"]
    assert failures == [f"batch-100 at 2, round 1: {made.errors['NOT_FOUND']} NOT_FOUND"]


def test_books_that_do_not_hold_are_found(
    suite: Stack, accounts: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """A cent that came from nowhere fails the proof, which then says so."""
    change = "UPDATE wallet_{0}.balances SET posted=posted+{1} WHERE wallet_id=x'{2}'"
    wallet = parse_id(accounts[0]).hex()
    for shard in range(2):
        suite.execute(f"shard-{shard}", change.format(shard, 1, wallet))
    try:
        assert not verified(suite)
    finally:
        for shard in range(2):
            suite.execute(f"shard-{shard}", change.format(shard, -1, wallet))
    assert "NOT clean" in capfd.readouterr().out
    assert verified(suite)


def test_an_idle_suite_costs_next_to_nothing(suite: Stack) -> None:
    """No commit, no bytes, no lag; what is shared out is one call's."""
    idle = Load(1.0, 1, 1, [1.0], {}, 0.0)
    made = usage.measured(suite, "nothing", 1, 1, lambda: idle)
    assert (made.batch_size, made.stored_bytes, made.lag_s) == (None, None, 0.0)
    assert sum(made.cpu_us.values()) < 1e6


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_asked(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has a module with its own arguments, and tells them."""
    module = importlib.import_module(f"bench.{command}")
    module.add_arguments(ArgumentParser())
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert f"python -m bench {command}" in capsys.readouterr().out


def test_a_scenario_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A slip of the pen ends before anything is measured."""
    with pytest.raises(SystemExit):
        main(["run", "--scenarios", "within,nothing"])
    assert "there is no scenario nothing" in capsys.readouterr().err


def test_a_suite_that_does_not_run_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what to do, and measures nothing."""
    monkeypatch.setenv("GUILDER_RUN_DIR", str(tmp_path))
    assert main(["run", "--quick"]) == 1
    assert "make up" in capsys.readouterr().err


def test_the_command_writes_what_it_measured(described: None, tmp_path: Path) -> None:
    """`python -m bench run` leaves a file that the tables can be made of again."""
    out = tmp_path / "results" / "x.json"
    asked = ["--scenarios=stream", "--streams=2", "--rounds=1", "--seconds=0.5", "--no-floors"]
    assert main(["run", *asked, f"--out={out}"]) == 0
    results = from_json(out.read_text())
    assert [made.scenario for made in results.runs] == ["stream"]
    assert results.verified == {"stream": True}
    assert main(["report", str(out)]) == 0
