"""A shard and the books are lost under traffic, and come back with all that was acknowledged."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.restore_drill.drill import Drill
from tools.restore_drill.report import Report, as_json
from walletkit.stack import Stack, StackSettings


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[Stack]:
    """Start a suite of its own: the drill deletes data."""
    with Stack(StackSettings.for_tests(tmp_path / "suite"), tied=True) as stack:
        stack.up()
        yield stack


@pytest.mark.timeout(240)
async def test_nothing_acknowledged_is_lost(suite: Stack, tmp_path: Path) -> None:
    """Backups of different moments, one shard's binlogs, and the relay make the books whole."""
    report = await Drill(suite, tmp_path, print).run(seconds=0.5, seed=7)
    assert report.ok, as_json(report)
    assert report.refusals, "nobody noticed the loss"
    assert report.resent_records > 0, "the ledger lacked nothing"
    assert "records are lost" in report.refused
    part = report.parts["wallet_0"]
    assert part.record is not None
    assert part.backup_record is not None
    assert part.record > part.backup_record
    assert report.parts["wallet_1"].ended == ""
    assert json.loads(as_json(report))["lost"] == 0


def test_a_report_that_lacks_anything_is_no_success() -> None:
    """One transfer that is missing, a balance, a proof, a refusal: each fails the drill."""
    good = {"acknowledged": 1, "verified": True, "refused": "no"}
    assert Report(**good).ok  # type: ignore[arg-type]  # of several types
    for bad in (
        {"acknowledged": 0},
        {"verified": False},
        {"refused": ""},
        {"missing": ["a"]},
        {"wrong_balances": ["a"]},
    ):
        assert not Report(**{**good, **bad}).ok  # type: ignore[arg-type]  # as above
