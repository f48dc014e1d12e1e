"""Profile the running suite under load: `python -m bench profile`, `make bench-profile`.

Two runs. The first tells the CPU time of a movement by process, with perf beside it where that is
installed, which disturbs little and sees the databases, too. In the second py-spy stops the Python
processes a hundred times a second, once for the tables and once for the flame graphs.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import packed, suite, unary, usage, wallets
from bench.model import Run
from bench.run import FAILURES
from bench.samples import read_perf, read_stacks, table
from bench.scenarios import SCENARIOS
from walletkit.stack import Stack

RATE = 100
"""Samples a second."""
PERF_RATE = 499
"""Not a round number: what happens at fixed times must not always be hit, or never."""
BUSY_CPU_S = 0.3
"""The wallet has used so much: calls are coming in."""
BUSY_LIMIT_S = 120.0
MARGIN_S = 4.0
"""Load before and behind what is sampled."""
PROFILER_LIMIT_S = 120.0
"""How much longer than it samples a profiler may take, to write its file."""
POLL_S = 0.1
SHOWN_CHARACTERS = 400


class ProfileError(Exception):
    """The load, or a profiler, did not come to its end."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--scenario", choices=SCENARIOS, default="within", metavar="SCENARIO")
    parser.add_argument("--concurrency", type=int, help="default: the scenario's main one")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each profile")
    parser.add_argument("--top", type=int, default=15, help="functions in each table")


def main(options: argparse.Namespace) -> int:
    """Profile and print; 1 when there was nothing to profile."""
    stack = suite.described()
    if not suite.is_up(stack):
        return 1
    folder = stack.settings.run_dir / "profile"
    folder.mkdir(exist_ok=True)
    try:
        accounts = wallets.fund(stack)
        _first(stack, accounts, options, folder)
        _second(stack, accounts, options, folder)
    except (*FAILURES, ProfileError) as error:
        sys.stderr.write(f"profile: {error}\n")
        return 1
    _say(f"\nflame graphs and raw samples: {folder}\n")
    return 0


def _first(
    stack: Stack, accounts: Sequence[str], options: argparse.Namespace, folder: Path
) -> None:
    """Tell CPU time by process, and what perf sees of all processes."""
    perf, data = shutil.which("perf"), folder / "perf.data"
    pids = _pids(stack, [*stack.databases, *stack.services])
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(_load, stack, accounts, options, options.seconds + MARGIN_S, folder)
        _wait_busy(stack, running)
        failure = None
        if perf is not None:
            listed = ",".join(map(str, pids.values()))
            failure = _profile(
                options.seconds,
                [perf, "record", "-q", f"-F{PERF_RATE}", f"-p{listed}", f"-o{data}"],
                ["--", "sleep", str(options.seconds)],
            )
        run = running.result()
    _say(_cpu(run))
    if perf is None or failure:
        _say(f"\nno profile by perf: {failure or 'it is not installed'}\n")
        return
    for name, pid in pids.items():
        _say(table(f"{name}, by perf", read_perf(_perf_report(perf, data, pid)), options.top))


def _second(
    stack: Stack, accounts: Sequence[str], options: argparse.Namespace, folder: Path
) -> None:
    """Let py-spy look into the Python processes, all at the same time."""
    pids = _pids(stack, stack.services)
    seconds = 2 * options.seconds + MARGIN_S
    with ThreadPoolExecutor(max_workers=1 + len(pids)) as pool:
        running = pool.submit(_load, stack, accounts, options, seconds, folder)
        _wait_busy(stack, running)
        for form, suffix in (("raw", "raw"), ("flamegraph", "svg")):
            waiting = {
                name: pool.submit(_spy, pid, options.seconds, form, folder / f"{name}.{suffix}")
                for name, pid in pids.items()
            }
            failures = {name: one.result() for name, one in waiting.items()}
            for name, failure in failures.items():
                if failure:
                    raise ProfileError(f"py-spy can't look into {name}: {failure}")
        running.result()
    for name in pids:
        with (folder / f"{name}.raw").open(encoding="utf-8") as lines:
            _say(table(f"{name}, by py-spy", read_stacks(lines), options.top))


def _load(
    stack: Stack,
    accounts: Sequence[str],
    options: argparse.Namespace,
    seconds: float,
    folder: Path,
) -> Run:
    scenario = SCENARIOS[options.scenario]
    callers = options.concurrency or scenario.main
    if scenario.client == "packed":
        return packed.measure(stack, scenario, accounts, callers, seconds, 1)
    plan = unary.Plan(stack, scenario, accounts, callers, seconds)
    with TemporaryDirectory(dir=folder) as inner:
        return unary.measure(plan, Path(inner), 1)


def _wait_busy(stack: Stack, running: "Future[Run]") -> None:
    """Wait until calls come in: before, the load generator reads what it will send."""
    service = "wallet"
    before = usage.cpu_seconds(stack)[service]
    deadline = time.monotonic() + BUSY_LIMIT_S
    while usage.cpu_seconds(stack)[service] - before < BUSY_CPU_S:
        if running.done():
            running.result()
            raise ProfileError("the load was over before it was noticed: give more --seconds")
        if time.monotonic() > deadline:
            raise ProfileError(f"the wallet was not busy within {BUSY_LIMIT_S:.0f} s")
        time.sleep(POLL_S)


def _spy(pid: int, seconds: float, form: str, out: Path) -> str:
    """Sample a process and the workers it forked; return what went wrong, if something did.

    Only who holds the GIL: py-spy can't tell a thread that waits inside gRPC or uvloop from one
    that works there. Their own work perf sees.
    """
    program = str(Path(sys.executable).with_name("py-spy"))
    command = [program, "record", "--gil", "--nolineno", "--subprocesses"]
    command += [f"--rate={RATE}", f"--pid={pid}", f"--duration={max(1, round(seconds))}"]
    return _profile(seconds, command, [f"--format={form}", f"--output={out}"])


def _profile(seconds: float, command: list[str], arguments: list[str]) -> str:
    """Run a profiler to its end; return what went wrong, if something did."""
    try:
        done = subprocess.run(
            [*command, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds + PROFILER_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not end"
    return "" if done.returncode == 0 else done.stderr.strip()[-SHOWN_CHARACTERS:]


def _perf_report(perf: str, data: Path, pid: int) -> list[str]:
    command = [perf, "report", "--stdio", "--quiet", f"--pid={pid}"]
    command += ["--sort=dso,symbol", "--percentage=relative"]
    done = subprocess.run(
        [*command, f"--input={data}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=PROFILER_LIMIT_S,
    )
    return done.stdout.splitlines()


def _pids(stack: Stack, names: Sequence[str]) -> dict[str, int]:
    found = {name: stack.identity(name) for name in names}
    return {name: identity.pid for name, identity in found.items() if identity is not None}


def _cpu(run: Run) -> str:
    rows = sorted(run.cpu_us.items(), key=lambda item: -item[1])
    total = sum(run.cpu_us.values()) or 1.0
    answered = f"p99 {run.p99_ms:.0f} ms, {sum(run.errors.values())} errors"
    lines = [
        f"{run.scenario} at {run.concurrency}: {run.rate:,.0f}/s, {answered}",
        f"{'CPU us a movement':<20}{total:8.0f}",
        *[f"  {name:<18}{spent:8.0f}{spent / total:8.1%}" for name, spent in rows],
    ]
    return "\n".join(lines) + "\n"


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
