"""Run one service as several processes that share its port (SO_REUSEPORT), and keep them running.

The parent serves nothing: it starts workers, replaces one that dies, and passes a stop on. Workers
die with it, even when it is killed.
"""

import asyncio
import ctypes
import os
import random
import signal
import time
from collections.abc import Mapping, Sequence

import structlog

STOP_S = 6.0
"""How long workers have to stop: a little longer than a server's own grace."""
RESTART_FIRST_S = 0.5
RESTART_MOST_S = 10.0
STEADY_S = 30.0
"""A worker that lived so long starts again at once."""
USAGE_ERROR = 2
"""Exit code of a worker whose settings are wrong: starting it again can't help."""
_PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None).prctl
"""Found ahead: between fork and exec nothing may be loaded, where the parent has threads."""

log = structlog.get_logger()


async def run_workers(command: Sequence[str], environments: Sequence[Mapping[str, str]]) -> int:
    """Keep a worker running for each environment until a signal says stop.

    Each gets its environment beside this process's. Return the exit code.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        keepers = [
            group.create_task(_keep(worker, command, environment, stop))
            for worker, environment in enumerate(environments)
        ]
    return max(keeper.result() for keeper in keepers)


async def _keep(
    worker: int, command: Sequence[str], environment: Mapping[str, str], stop: asyncio.Event
) -> int:
    """Start a worker as often as it dies; the pause doubles while it dies young."""
    pause_s = RESTART_FIRST_S
    while not stop.is_set():
        born = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **environment}, preexec_fn=_die_with_parent
        )
        log.info("worker started", worker=worker, pid=process.pid)
        code = await _until_dead(process, stop)
        if stop.is_set():
            return 0 if code == 0 else 1
        if code == USAGE_ERROR:
            stop.set()
            return code
        if time.monotonic() - born > STEADY_S:
            pause_s = RESTART_FIRST_S
        log.error("worker died", worker=worker, pid=process.pid, code=code, restart_in_s=pause_s)
        await _sleep(pause_s * random.uniform(0.5, 1), stop)  # noqa: S311  # spreads restarts
        pause_s = min(RESTART_MOST_S, pause_s * 2)
    return 0


async def _until_dead(process: asyncio.subprocess.Process, stop: asyncio.Event) -> int:
    """Wait for a worker's end; told to stop, end it, by force if it takes too long."""
    dead = asyncio.create_task(process.wait())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({dead, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not dead.done():
        process.terminate()
        await asyncio.wait({dead}, timeout=STOP_S)
    if not dead.done():
        log.warning("worker did not stop in time", pid=process.pid, limit_s=STOP_S)
        process.kill()
    return await dead


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _die_with_parent() -> None:
    """Ask Linux to stop this process when its parent dies."""
    _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)
