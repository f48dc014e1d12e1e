"""A halted relay, what the ledger then lacks, and how fast it takes that in."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench import ingest, packed
from bench.__main__ import main
from bench.model import from_json
from bench.scenarios import SCENARIOS
from bench.storage import opened
from tests.bench.runs import a_run
from walletkit.stack import Stack
from walletkit.stack.services import RELAY

BATCH = SCENARIOS["batch-1000"]
HALTED = "T"


def test_a_halted_relay_brings_nothing(suite: Stack, accounts: Sequence[str]) -> None:
    """What is made meanwhile is behind until it goes on."""
    with ingest.halted(suite):
        until(lambda: state(suite) == HALTED)
        order = packed.Order(BATCH, 1, 0.3, None)
        with packed.client(suite.address("wallet"), 2, order) as child:
            child.prepare(list(accounts))
            assert child.send().movements > 0
        time.sleep(0.3)
        assert behind(suite) > 0
    until(lambda: state(suite) != HALTED and not behind(suite))


def test_it_goes_on_when_the_work_fails(suite: Stack) -> None:
    """Nobody else would wake it."""
    with pytest.raises(RuntimeError, match="failed"), ingest.halted(suite):
        raise RuntimeError("failed")
    until(lambda: state(suite) != HALTED)


def test_a_run_ends_with_all_taken_in(suite: Stack, accounts: Sequence[str]) -> None:
    """Its lag is from the relay's going on until the ledger has all."""
    run = ingest.measure(suite, BATCH, accounts, 1.0, 2)
    assert (run.scenario, run.concurrency, run.errors) == ("batch-1000", 2, {})
    assert run.movements > 0
    assert run.lag_s > 0
    assert behind(suite) == 0
    assert state(suite) != HALTED


def test_calls_by_ghz_are_held_back_too(ghz: None, suite: Stack, accounts: Sequence[str]) -> None:
    """Single calls are written ahead, and what was written goes."""
    run = ingest.measure(suite, SCENARIOS["uniform"], accounts, 1.0, 8)
    assert run.movements > 0
    assert run.lag_s > 0
    assert not list(suite.settings.run_dir.glob("ingest-*"))


@pytest.mark.parametrize(
    ("name", "lag_s", "holds"),
    [
        ("uniform", 0.6, True),
        ("uniform", 0.7, False),
        ("batch-1000", 2.0, True),
        ("batch-1000", 2.1, False),
        ("uniform", math.nan, False),
    ],
)
def test_a_bound_is_held_or_told(name: str, lag_s: float, *, holds: bool) -> None:
    """Two seconds of calls have to be taken in within 0.67 s, of batches within 2."""
    run = a_run(scenario=name, lag_s=lag_s)
    assert [name in one for one in ingest.broken([run])] == ([] if holds else [True])


def test_the_command_tells_and_writes(
    described: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It proves the books, and ends with 1 where a bound is broken."""
    out = tmp_path / "x.json"
    monkeypatch.setattr(ingest, "LEAST", {"batch-1000": 0.0})
    assert main(["ingest", "--seconds=0.5", f"--out={out}"]) == 0
    found = from_json(out.read_text())
    assert found.verified == {"ingest": True}
    assert [run.scenario for run in found.runs] == ["batch-1000"]
    assert "times as fast" in capsys.readouterr().out
    monkeypatch.setattr(ingest, "LEAST", {"batch-1000": 1e9})
    assert main(["ingest", "--seconds=0.5", f"--out={out}"]) == 1
    assert "BROKEN: batch-1000" in capsys.readouterr().out


def until(holds: Callable[[], bool]) -> None:
    """Wait for what a signal or the relay brings about in a moment."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def state(suite: Stack) -> str:
    """Return the relay's state, as the kernel names it."""
    relay = suite.identity(RELAY)
    assert relay is not None
    stat = Path(f"/proc/{relay.pid}/stat").read_text(encoding="ascii")
    return stat.rpartition(")")[2].split()[0]


def behind(suite: Stack) -> int:
    """Return how many commits the ledger lacks."""

    async def ask() -> int:
        async with opened(suite) as storage:
            return (await storage.behind()).records

    return asyncio.run(ask())
