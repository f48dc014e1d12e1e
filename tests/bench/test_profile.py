"""Profiles: what is read from samples, and a real look into a process."""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from bench import profile, usage
from bench.profile import ProfileError
from bench.samples import Function, read_perf, read_stacks, table
from walletkit.stack import Stack, StackSettings

BUSY = """
def inner():
    return sum(range(1000))

def outer():
    while True:
        inner()

print("ready", flush=True)
outer()
"""


def shares(functions: list[Function]) -> dict[str, tuple[float, float | None]]:
    """Return the functions by name, with shares that can be compared."""
    return {
        one.name: (round(one.own, 3), None if one.inclusive is None else round(one.inclusive, 3))
        for one in functions
    }


def test_stacks_come_to_own_and_inclusive_shares() -> None:
    """A function's lines are one; what is called counts to its callers, a recursion once."""
    lines = [
        'process 7:"python -m wallet";main (a.py:1);walk (a.py:5);walk (a.py:6) 3\n',
        "main (a.py:2);leaf (b.py:9) 1\n",
        "\n",
    ]
    assert shares(read_stacks(lines)) == {
        "main (a.py)": (0, 1),
        "walk (a.py)": (0.75, 0.75),
        "leaf (b.py)": (0.25, 0.25),
    }


def test_no_samples_are_no_functions() -> None:
    """A process that did nothing has an empty table."""
    assert read_stacks([]) == []
    assert table("relay", [], 3).splitlines() == ["", "relay: by own samples"]


def test_perf_is_read_with_the_kernel_as_one_function() -> None:
    """And so is what a library does under no name; columns that perf leaves empty are dropped."""
    lines = [
        "    40.00%  libpython3.11.so  [.] _PyEval_EvalFrameDefault  -      -            ",
        "    20.00%  [kernel.kallsyms]  [k] do_syscall_64",
        "    10.00%  [kernel.kallsyms]  [k] 0xffffffff81000000",
        "     8.00%  cygrpc.so          [.] 0x0000000000319860",
        "     2.00%  cygrpc.so          [.] 0x0000000000319861",
        "     5.00%  mariadbd           [.] Field::val(int, char const*)",
        "# a comment",
    ]
    assert shares(read_perf(lines)) == {
        "_PyEval_EvalFrameDefault (libpython3.11.so)": (0.4, None),
        "kernel": (0.3, None),
        "without a name (cygrpc.so)": (0.1, None),
        "Field::val(int, char const*) (mariadbd)": (0.05, None),
    }


def test_the_table_has_the_largest_and_leaves_out_what_is_above_everything() -> None:
    """What calls everything tells nothing about where time goes."""
    functions = [
        Function("main", 0.0, 1.0),
        Function("load", 0.1, 0.7),
        Function("save", 0.6, 0.6),
        Function("rest", 0.3, 0.3),
    ]
    own, called = table("wallet", functions, 2).split("\n\n")
    assert [line.split()[-1] for line in own.strip().splitlines()[1:]] == ["save", "rest"]
    assert [line.split()[-1] for line in called.splitlines()[1:]] == ["load", "save"]


def test_nothing_is_profiled_while_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says how to start it."""
    monkeypatch.setenv("GUILDER_RUN_DIR", str(tmp_path))
    parser = argparse.ArgumentParser()
    profile.add_arguments(parser)
    assert profile.main(parser.parse_args([])) == 1
    assert "make up" in capsys.readouterr().err


def test_a_load_that_ends_unnoticed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a profile of an idle suite would be taken for one of a busy one."""
    monkeypatch.setattr(usage, "cpu_seconds", lambda _stack: {"wallet": 1.0})
    ended: Future[object] = Future()
    ended.set_result(None)
    with pytest.raises(ProfileError, match="before it was noticed"):
        profile._wait_busy(Stack(StackSettings.for_tests(tmp_path)), ended)  # type: ignore[arg-type]


def test_a_process_is_looked_into(tmp_path: Path) -> None:
    """Both forms are written; what works most is found, with its caller above it."""
    program = tmp_path / "busy.py"
    program.write_text(BUSY)
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            failure = profile._spy(child.pid, 1, "raw", tmp_path / "raw")
            if failure and os.getuid() != 0:
                pytest.skip(f"only root may look into other processes here: {failure}")
            assert failure == ""
            assert profile._spy(child.pid, 1, "flamegraph", tmp_path / "svg") == ""
        finally:
            child.kill()
    with (tmp_path / "raw").open() as lines:
        found = shares(read_stacks(lines))
    outer, inner = found["outer (busy.py)"], found["inner (busy.py)"]
    assert inner[0] > outer[0]
    assert outer[1] is not None
    assert outer[1] > 0.9
    assert "<svg" in (tmp_path / "svg").read_text()


def test_a_profiler_that_fails_says_why(tmp_path: Path) -> None:
    """A process that is gone, for one."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    started = time.monotonic()
    assert profile._spy(gone.pid, 1, "raw", tmp_path / "raw")
    assert time.monotonic() - started < 30
