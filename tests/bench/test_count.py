"""Counting instructions: what the totals at the marks come to, and a count of real code."""

import argparse
import json
import shutil
from collections.abc import Callable
from typing import cast

import pytest

from bench import count, stages
from bench.count import BATCHES, REFERENCE, TOTAL, CountError, Counts, report, spent_by_stage
from bench.stages import BATCH

MACHINE = {"architecture": "x", "python": "3", "valgrind": "v"}


def test_every_stage_does_its_work() -> None:
    """A stage that fell out of the code would be counted as fast."""
    done = stages.stages()
    assert len(done) == 6
    replies = cast("list[bytes]", done["render reply"]())
    assert len(set(replies)) == BATCH
    packets = cast("list[str]", done["ledger: record to rows"]())
    assert packets[0].count("INSERT INTO") == 3  # records, entries, accounts


def test_the_work_of_n_batches_is_the_difference() -> None:
    """What N and 2 N batches both cost, such as the mark itself, is in neither."""
    totals = [999, 110, 210, 55, 70, 130]
    assert spent_by_stage(totals, ["parse", "decide"]) == {"parse": 100, "decide": 60}


def test_a_missing_mark_is_no_result() -> None:
    """Totals that can't be told apart are not attributed to the wrong stage."""
    with pytest.raises(CountError, match="6 marks were made, 5 noted"):
        spent_by_stage([1, 2, 3, 4, 5], ["parse", "decide"])


def test_the_report_tells_ratios_to_the_reference() -> None:
    """Each stage has its ratio, and so has the sum; another machine is told."""
    now = Counts(MACHINE, BATCH, {"parse": 150, "new": 50})
    before = Counts({**MACHINE, "python": "2"}, BATCH, {"parse": 100})
    lines = report(now, before).splitlines()
    assert lines[2].split() == ["parse", "150", "100", "1.500"]
    assert lines[3].split() == ["new", "50", "-", "-"]
    assert lines[4].split() == [*TOTAL.split(), "200", "100", "2.000"]
    assert "another machine" in lines[5]


def test_without_a_reference_there_are_no_ratios() -> None:
    """The first count stands alone."""
    table = report(Counts(MACHINE, BATCH, {"parse": 150}), None)
    assert table.splitlines()[2].split() == ["parse", "150", "-", "-"]


def test_without_valgrind_the_way_to_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written, and the exit code says so."""
    monkeypatch.setenv("PATH", "")
    options = argparse.Namespace(batches=BATCHES, check=True, out=REFERENCE)
    assert count.main(options) == 1
    assert "make valgrind" in capsys.readouterr().err


@pytest.mark.skipif(
    shutil.which("valgrind") is None,
    reason="valgrind is not installed, and could not be: see what `make valgrind` says",
)
def test_instructions_of_a_transfer(record_property: Callable[[str, object], None]) -> None:
    """Count as the reference was; the report is printed with the results of the run."""
    counts = count.count(BATCHES)
    assert list(counts.instructions) == list(stages.stages())
    # Far from both: a mark that is not noted, and a stage that waits for something.
    assert all(1_000 < one < 5_000_000 for one in counts.instructions.values())
    record_property("report", report(counts, count.read(REFERENCE)))


def test_the_reference_is_read_as_it_was_written() -> None:
    """The committed file is one that this program wrote."""
    found = count.read(REFERENCE)
    assert found is not None
    assert found.batch == BATCH
    assert json.loads(REFERENCE.read_text())["instructions"] == found.instructions
