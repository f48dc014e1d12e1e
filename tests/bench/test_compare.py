"""Comparing commits: what the figures of both come to, and what is refused before it is started."""

import argparse
import signal
import subprocess
from pathlib import Path

import pytest

from bench import checkout, compare
from bench.checkout import ROOT, Checkout, CheckoutError
from bench.model import Run
from bench.ratios import costs, cpu_us, rates, table
from bench.scenarios import SCENARIOS
from walletkit.stack import StackSettings


def run(round_: int, rate: float, wallet_us: float = 100, scenario: str = "within") -> Run:
    """Return a run of a suite that has a wallet, a little relay, and a load generator."""
    return Run(
        scenario=scenario,
        concurrency=128,
        round=round_,
        seconds=2,
        calls=1,
        movements=1,
        rate=rate,
        offered=None,
        p50_ms=1,
        p95_ms=1,
        p99_ms=1,
        p999_ms=1,
        errors={},
        cpu_us={"wallet": wallet_us, "relay": 1, "load": 50},
        batch_size=None,
        stored_bytes=None,
        lag_s=0,
    )


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a repository of its own the one that is compared; it has one file, committed."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.setattr(checkout, "ROOT", folder)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@example.com")
    (folder / "file").write_text("committed")
    git(folder, "init", "--quiet")
    git(folder, "add", "file")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def git(folder: Path, *arguments: str) -> str:
    """Run git in the test's repository."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_ratio_compares_medians_bests_and_each_round() -> None:
    """Rounds are compared one by one: what slows a round slows both of its runs."""
    before = [run(1, 1000), run(2, 500), run(3, 800)]
    found = rates(before, [run(1, 1200), run(2, 550), run(3, 880)])
    assert (found.before, found.after) == (800, 880)
    assert found.medians == pytest.approx(1.1)
    assert found.bests == pytest.approx(1.2)
    assert found.lowest == pytest.approx(1.1)
    assert found.highest == pytest.approx(1.2)
    assert found.verdict == "more in every round"


def test_a_difference_smaller_than_that_between_rounds_is_none() -> None:
    """A median that moved says nothing while some rounds say the contrary."""
    found = rates([run(1, 1000), run(2, 1000)], [run(1, 990), run(2, 1300)])
    assert found.medians > 1.1
    assert found.verdict == "within the spread"


def test_one_round_has_no_verdict() -> None:
    """There is no spread to hold a difference against."""
    assert rates([run(1, 1000)], [run(1, 2000)]).verdict == "one round: nothing to say"


def test_of_costs_the_smallest_is_the_best() -> None:
    """And the load generator's own is none of the suite's."""
    assert cpu_us(run(1, 1)) == 101
    found = costs([run(1, 1, 99), run(2, 1, 199)], [run(1, 1, 49), run(2, 1, 99)])
    assert found.bests == pytest.approx(0.5)
    assert found.verdict == "less in every round"


def test_the_table_has_lines_for_what_costs_something() -> None:
    """Rate, CPU time, and each component worth a look; scenarios apart, rounds in order."""
    before = [run(2, 500), run(1, 1000), run(1, 10, scenario="across")]
    after = [run(1, 1000), run(2, 500), run(1, 20, scenario="across")]
    lines = table(before, after).splitlines()
    assert "| within | movements/s | 750 | 750 | 1.000 | 1.000 | 1.000 to 1.000 |" in lines[2]
    assert [line.split("|")[2].strip() for line in lines[2:6]] == [
        *("movements/s", "CPU us a movement", "- wallet", "- load")
    ]
    assert "| across | movements/s | 10 | 20 | 2.000 |" in lines[6]
    assert "one line in 2 differs" in lines[-1]


def test_each_side_is_first_in_every_other_round() -> None:
    """Before, after, after, before: what gets slower as time goes by hits both."""
    assert [compare.order(round_) for round_ in (1, 2, 3)] == [(0, 1), (1, 0), (0, 1)]


def test_an_unknown_commit_is_refused(repository: Path) -> None:
    """Also a name that git would take for an option."""
    for name in ("nonsense", "--all", ""):
        with pytest.raises(CheckoutError, match="is no commit"):
            checkout.commit_of(name)
    assert checkout.commit_of("HEAD") == git(repository, "rev-parse", "HEAD")


def test_changed_files_are_refused_unless_asked_for(repository: Path) -> None:
    """A comparison is of commits; one of changed files leaves them and the branch alone."""
    head = git(repository, "rev-parse", "HEAD")
    assert checkout.present(dirty=False) == head
    (repository / "file").write_text("changed")
    with pytest.raises(CheckoutError, match="--dirty"):
        checkout.present(dirty=False)
    changed = checkout.present(dirty=True)
    assert git(repository, "show", f"{changed}:file") == "changed"
    assert git(repository, "rev-parse", "HEAD") == head
    assert git(repository, "stash", "list") == ""
    assert (repository / "file").read_text() == "changed"


def test_only_new_files_are_the_commit_as_it_is(repository: Path) -> None:
    """A file that git does not know is in no commit."""
    (repository / "new").touch()
    assert checkout.present(dirty=True) == git(repository, "rev-parse", "HEAD")


def test_a_commit_that_can_not_be_started_is_refused(repository: Path) -> None:
    """Before anything is installed; the message names what it lacks."""
    with pytest.raises(CheckoutError, match=r"has no tools/setup\.sh"):
        checkout.check(checkout.commit_of("HEAD"), [])


def test_a_commit_without_a_scenarios_rpc_is_refused(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names RPC and scenario."""
    monkeypatch.setattr(checkout, "NEEDED", ("file",))
    (repository / "protos").mkdir()
    (repository / "protos/wallet.proto").write_text("  rpc Transfer(TransferRequest)")
    git(repository, "add", "protos")
    git(repository, "commit", "--quiet", "--message", "second")
    commit = checkout.commit_of("HEAD")
    checkout.check(commit, [SCENARIOS["within"]])
    with pytest.raises(CheckoutError, match=r"no WalletService/BatchTransfer.*batch-100"):
        checkout.check(commit, [SCENARIOS["batch-100"]])


def test_every_scenarios_rpc_is_found_in_the_present_commit() -> None:
    """The check knows how RPCs are written here."""
    checkout.check(checkout.commit_of("HEAD"), list(SCENARIOS.values()))


def test_a_clone_moves_from_commit_to_commit(repository: Path, tmp_path: Path) -> None:
    """What a build left stays, what a run left does not; ports are its own."""
    (repository / ".gitignore").write_text("built\n")
    git(repository, "add", ".gitignore")
    git(repository, "commit", "--quiet", "--message", "second")
    commits = [checkout.commit_of(name) for name in ("HEAD", "HEAD~1")]
    side = Checkout.place("before", commits[0], tmp_path / "clone")
    for name in ("built", "left"):
        (side.folder / name).touch()
    (repository / "file").write_text("changed")
    moved = Checkout.place("before", checkout.present(dirty=True), side.folder)
    assert (moved.folder / "file").read_text() == "changed"
    assert (moved.folder / "built").exists()
    assert not (moved.folder / "left").exists()
    first, second = side.stack.settings, moved.stack.settings
    assert first.run_dir == second.run_dir == side.folder / ".run"
    assert set(first.shard_ports).isdisjoint(second.shard_ports)


def test_a_suites_environment_is_its_own(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ports and folder are the clone's; make's variables and the venv around are left out."""
    monkeypatch.setenv("GUILDER_WALLET_PORT", "1234")
    monkeypatch.setenv("GUILDER_BUFFER_POOL_MB", "77")
    monkeypatch.setenv("MAKEFLAGS", "BASE=x")
    monkeypatch.setenv("VIRTUAL_ENV", "elsewhere")
    side = Checkout.place("before", checkout.commit_of("HEAD"), tmp_path / "clone")
    variables = side.environment
    assert variables["GUILDER_WALLET_PORT"] == str(side.stack.settings.wallet_port) != "1234"
    assert variables["GUILDER_WALLET_ADDRESS"] == side.stack.address("wallet")
    assert variables["GUILDER_RUN_DIR"] == str(side.folder / ".run")
    assert variables["GUILDER_BUFFER_POOL_MB"] == "77"
    assert not {"MAKEFLAGS", "VIRTUAL_ENV"} & variables.keys()


def test_no_port_of_a_suite_is_the_usual_one(repository: Path, tmp_path: Path) -> None:
    """Two suites run side by side: each port, Envoy's too, is the clone's own, and is told."""
    side = Checkout.place("before", checkout.commit_of("HEAD"), tmp_path / "clone")
    usual, own = StackSettings(), side.stack.settings
    ports = StackSettings.port_names()
    assert "envoy_port" in ports
    for name in ports:
        assert getattr(own, name) != getattr(usual, name)
        assert side.environment[f"GUILDER_{name.upper()}"] == str(getattr(own, name))
    assert len({getattr(own, name) for name in ports}) == len(ports)


def test_a_setup_that_fails_is_told_with_its_output(repository: Path, tmp_path: Path) -> None:
    """Which commit, in which folder, and what make said."""
    (repository / "Makefile").write_text("setup:\n\t@echo no such distribution; false\n")
    git(repository, "add", "Makefile")
    git(repository, "commit", "--quiet", "--message", "second")
    side = Checkout.place("before", checkout.commit_of("HEAD"), tmp_path / "clone")
    told = r"(?s)before .*setup failed.*no such distribution"
    with pytest.raises(CheckoutError, match=told), side.running():
        pytest.fail("it can't run")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, CheckoutError])
def test_a_suite_is_stopped_whatever_happens(
    repository: Path, tmp_path: Path, failure: type[BaseException]
) -> None:
    """Also for Ctrl-C: by the commit's own command, and its data go while its logs stay."""
    runner = '#!/bin/sh\\nmkdir -p .run/books .run/log; echo "$*" >>.run/log/asked\\n'
    setup = f"mkdir -p .venv/bin; printf '{runner}' >.venv/bin/python; chmod +x .venv/bin/python"
    (repository / "Makefile").write_text("setup:\n\t@" + setup.replace("$", "$$") + "\n")
    git(repository, "add", "Makefile")
    git(repository, "commit", "--quiet", "--message", "second")
    side = Checkout.place("before", checkout.commit_of("HEAD"), tmp_path / "clone")

    def fail() -> None:
        assert (side.folder / ".run/books").exists()
        raise failure

    with pytest.raises(failure), side.running():
        fail()
    asked = (side.folder / ".run/log/asked").read_text().splitlines()
    assert asked == ["-m walletkit.stack up", "-m walletkit.stack down"]
    assert not (side.folder / ".run/books").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_refusal_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback for what the caller got wrong."""
    parser = argparse.ArgumentParser()
    compare.add_arguments(parser)
    assert compare.main(parser.parse_args(["HEAD", "--scenarios", "within,nothing"])) == 1
    assert "there is no scenario 'nothing'" in capsys.readouterr().err
    assert parser.parse_args(["HEAD"]).out.is_relative_to(ROOT)
