"""CPU time by process."""

import os
import subprocess
import sys

from bench import machine

BUSY = "import time\nwhile time.process_time() < 0.3: pass\n"
PARENT = f"""
import subprocess, sys
ended = subprocess.run([sys.executable, "-c", {BUSY!r}])
running = subprocess.Popen([sys.executable, "-c", {BUSY!r} + "print('done', flush=True); input()"])
running.wait()
"""


def test_the_time_of_workers_is_their_services() -> None:
    """Children count, those that have ended too; another process does not."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used = machine.tree_cpu_seconds({"service": process.pid, "nobody": 2**30})
        own = machine.cpu_seconds(process.pid)
        process.communicate(b"\n")
    assert 0.5 <= used["service"] < 5
    assert used["nobody"] == 0
    assert own is not None
    assert own < used["service"] - 0.2


def test_a_process_that_is_gone_has_no_time() -> None:
    """It is not taken for one that has used none."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert machine.cpu_seconds(process.pid) is None


def test_the_machine_is_described() -> None:
    """Cores and versions are told, and the busy time grows."""
    assert machine.describe()["cpu"].startswith(f"{os.cpu_count()} x ")
    assert machine.program_version(sys.executable, "--version").startswith("3.")
    assert machine.busy_seconds() > machine.own_cpu_seconds() > 0
