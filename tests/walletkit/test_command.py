"""The command of a service: what it does to its process before the service runs."""

import os
import subprocess
import sys

PROGRAM = """
import asyncio, os, subprocess, sys
from walletkit.command import run
from walletkit.settings import TelemetrySettings

CHILD = "import os; print(os.sched_getscheduler(0))"

def refuse(*_):
    raise PermissionError("not here")

if "forbidden" in sys.argv:
    os.sched_setscheduler = refuse

async def tell():
    print(os.sched_getscheduler(0))
    print(await asyncio.to_thread(os.sched_getscheduler, 0), flush=True)
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", CHILD], check=True)

run(tell(), "wallet", TelemetrySettings())
"""


def _policies(*arguments: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [int(line) for line in done.stdout.split()]


def test_no_thread_of_a_service_interrupts_another() -> None:
    """The process's own, those it starts, and its workers."""
    assert _policies() == [os.SCHED_BATCH] * 3


def test_a_service_runs_where_scheduling_is_forbidden() -> None:
    """It costs a few percent of CPU, and nothing else."""
    assert _policies("forbidden") == [os.sched_getscheduler(0)] * 3
