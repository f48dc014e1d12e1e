"""Several processes of one service: one that dies is replaced, and a stop ends them all."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import asyncio, sys
from walletkit.rpc.workers import run_workers
command = (sys.executable, "-c", sys.argv[1])
sys.exit(asyncio.run(run_workers(command, [{"FOLDER": sys.argv[2]}] * 2)))
"""
WORKER = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
pathlib.Path(os.environ["FOLDER"], str(os.getpid())).touch()
time.sleep(60)
"""
WAIT_S = 20.0


def workers_in(folder: Path, at_least: int) -> set[int]:
    """Return the pids of all workers so far, once there are enough of them."""
    give_up = time.monotonic() + WAIT_S
    pids: set[int] = set()
    while len(pids) < at_least:
        assert time.monotonic() < give_up, f"{len(pids)} workers, expected {at_least}"
        time.sleep(0.05)
        pids = {int(path.name) for path in folder.iterdir()}
    return pids


def start(folder: Path, worker: str) -> subprocess.Popen[bytes]:
    """Start a parent of two workers."""
    return subprocess.Popen([sys.executable, "-c", PARENT, worker, str(folder)])


def test_a_worker_that_dies_is_replaced_and_a_stop_ends_all(tmp_path: Path) -> None:
    """Two at the start, a third for one that was killed; SIGTERM of the parent ends with 0."""
    parent = start(tmp_path, WORKER)
    first = workers_in(tmp_path, 2)
    os.kill(min(first), signal.SIGKILL)
    replaced = workers_in(tmp_path, 3)
    parent.terminate()
    assert parent.wait(WAIT_S) == 0
    assert not [pid for pid in replaced if Path(f"/proc/{pid}").exists()]


def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    """A parent that is killed can't stop them; the kernel does."""
    parent = start(tmp_path, WORKER)
    pids = workers_in(tmp_path, 2)
    parent.kill()
    parent.wait(WAIT_S)
    give_up = time.monotonic() + WAIT_S
    while any(alive(pid) for pid in pids) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended may still have an entry."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False


def test_wrong_settings_end_all_at_once(tmp_path: Path) -> None:
    """Exit code 2 means that starting again can't help."""
    parent = start(tmp_path, "import sys; sys.exit(2)")
    assert parent.wait(WAIT_S) == 2
