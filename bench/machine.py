"""What the operating system tells of processes and of the machine: CPU time, versions, cores."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_PARENT, _TIMES = 1, slice(11, 15)
"""Fields of /proc/<pid>/stat behind the name: the parent; CPU time of the process in user and
kernel mode, then that of its children that have ended."""
_IDLE = {3, 4}
"""Fields of /proc/stat: idle, and waiting for a disk."""


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU time of a process and of its children that have ended; None when it is gone.

    Cheap enough to ask many times a second.
    """
    fields = _stat(pid)
    return None if fields is None else sum(map(int, fields[_TIMES])) / _TICKS_A_SECOND


def tree_cpu_seconds(roots: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU time of each of these processes with its workers, and theirs."""
    parents, ticks = {}, {}
    for folder in _PROC.glob("[0-9]*"):
        if (fields := _stat(int(folder.name))) is not None:
            parents[int(folder.name)] = int(fields[_PARENT])
            ticks[int(folder.name)] = sum(map(int, fields[_TIMES]))
    used = dict.fromkeys(roots, 0.0)
    owners = {pid: name for name, pid in roots.items()}
    for pid, own in ticks.items():
        above = pid
        while above not in owners and above in parents:
            above = parents[above]
        if above in owners:
            used[owners[above]] += own / _TICKS_A_SECOND
    return used


def own_cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def busy_seconds() -> float:
    """Return the CPU time that all cores together have worked since the machine started."""
    fields = (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]
    busy = sum(int(value) for n, value in enumerate(fields) if n not in _IDLE)
    return busy / _TICKS_A_SECOND


def describe() -> dict[str, str]:
    """Name what the figures depend on."""
    return {
        "cpu": f"{os.cpu_count()} x {_cpu_model()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "grpcio": version("grpcio"),
        "protobuf": version("protobuf"),
        "uvloop": version("uvloop"),
        "asyncmy": version("asyncmy"),
    }


def program_version(*command: str) -> str:
    """Return the first version number that a program prints about itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    found = re.search(r"\d+\.\d+(\.\d+)*", done.stdout + done.stderr)
    return found[0] if found else "unknown"


def _stat(pid: int) -> list[str] | None:
    """Return the fields behind the name, which may itself contain anything."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _cpu_model() -> str:
    found = re.search(r"^model name\s*: (.*)$", (_PROC / "cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()
