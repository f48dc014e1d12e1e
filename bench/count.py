"""Count the instructions of a transfer, by stage: `python -m bench count`, `make bench-count`.

Times move with whatever else a machine does; instructions hardly do, so that a change of a few
percent shows. valgrind's callgrind runs `stages` once and notes a total at each of its marks. A
stage is run for N batches, then for 2 N: the difference holds the work of N alone.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.stages import BATCH, MARK, MARKS_A_STAGE, stages

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "bench/results/counts.json"
BATCHES = 10
TIMEOUT_S = 600
TOTAL = "in all"

_TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)


class CountError(Exception):
    """There is nothing to count with, or what was counted makes no sense."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Instructions a transfer, by stage, and what they were counted on."""

    machine: dict[str, str]
    batch: int
    """Transfers a batch."""
    instructions: dict[str, int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "--batches", type=int, default=BATCHES, help=f"N, batches of {BATCH} transfers"
    )
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    parser.add_argument("--out", type=Path, default=REFERENCE, help="the reference, as JSON")


def main(options: argparse.Namespace) -> int:
    """Count and print; without `--check` write the reference anew. A report: it judges nothing."""
    try:
        counts = count(options.batches)
    except CountError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    before = read(options.out)
    sys.stdout.write(report(counts, before))
    if not options.check:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(asdict(counts), indent=1) + "\n")
    return 0


def count(batches: int) -> Counts:
    """Run the stages under valgrind. Raise ``CountError``."""
    if batches < 1:
        raise CountError("at least one batch is needed")
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise CountError("valgrind is not installed here: run `make valgrind` as root")
    names = list(stages())
    with tempfile.TemporaryDirectory() as folder:
        _run(valgrind, Path(folder) / "out", batches)
        totals = _totals(Path(folder))
    spent = spent_by_stage(totals, names)
    machine = {
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "valgrind": _output([valgrind, "--version"]),
    }
    each = {name: round(one / batches / BATCH) for name, one in spent.items()}
    return Counts(machine, BATCH, each)


def _run(valgrind: str, out: Path, batches: int) -> None:
    command = [
        *(valgrind, "--tool=callgrind", f"--dump-before={MARK}", f"--callgrind-out-file={out}"),
        *(sys.executable, "-m", "bench.stages", "--batches", str(batches)),
    ]
    # A fixed seed: else the order of sets, and with it the work of sorting, is another each time.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise CountError(f"valgrind was not done after {TIMEOUT_S} s") from error
    if done.returncode != 0:
        raise CountError(f"valgrind failed:\n{done.stderr[-2000:]}")


def _totals(folder: Path) -> list[int]:
    """Return the instructions before each mark, since the one before it."""
    found = {
        int(path.suffix[1:]): _TOTALS.search(path.read_text(errors="replace"))
        for path in folder.glob("out.*")
    }
    return [int(total[1]) for _, total in sorted(found.items()) if total is not None]


def spent_by_stage(totals: Sequence[int], names: Sequence[str]) -> dict[str, int]:
    """Return the instructions of N batches for each stage, from the totals at the marks.

    Raise ``CountError`` when there are not as many as marks were made.
    """
    if len(totals) != MARKS_A_STAGE * len(names):
        raise CountError(f"{MARKS_A_STAGE * len(names)} marks were made, {len(totals)} noted")
    once, twice = totals[1::MARKS_A_STAGE], totals[2::MARKS_A_STAGE]
    return {name: two - one for name, one, two in zip(names, once, twice, strict=True)}


def read(path: Path) -> Counts | None:
    """Read a reference; None where there is none yet."""
    return Counts(**json.loads(path.read_text())) if path.exists() else None


def report(counts: Counts, before: Counts | None) -> str:
    """Write a table, with the ratio to the reference."""
    known = before.instructions if before is not None else {}
    rows = {**counts.instructions, TOTAL: sum(counts.instructions.values())}
    known = {**known, TOTAL: sum(known.values())}
    lines = [
        f"Instructions of a transfer, in batches of {counts.batch}:",
        f"{'stage':<28}{'now':>10}{'reference':>11}{'ratio':>8}",
    ]
    for name, now in rows.items():
        then = known.get(name)
        ratio = f"{then:>11,}{now / then:>8.3f}" if then else f"{'-':>11}{'-':>8}"
        lines.append(f"{name:<28}{now:>10,}{ratio}")
    if before is not None and before.machine != counts.machine:
        lines.append(f"The reference is of another machine: {_told(before)}, here {_told(counts)}.")
    return "\n".join(lines) + "\n"


def _told(counts: Counts) -> str:
    return " ".join(f"{name} {value}" for name, value in counts.machine.items())


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
    return done.stdout.strip()
