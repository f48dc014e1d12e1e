"""Measure unary transfers with ghz against the running suite, and prove the books afterwards.

`make bench`. Everything is on and shares the machine: databases, services, relay, load generator.
The scenarios are interleaved over the rounds, so that what else the machine does hits all of them.
Beside them stands a floor: the same server answering a health check, which is gRPC without money.
Each line tells the CPU that a call cost, by process: that is steadier than the rate.
"""

import argparse
import asyncio
import json
import os
import random
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from guilder.client import Addresses, Guilder, Money
from walletkit.ids import parse_id, slot_of
from walletkit.stack import Stack, StackSettings

WALLETS = 1000
FUNDS_MINOR = 10**14
CALLS_A_SECOND = 6_000
"""Calls written ahead for each second of a run: more than are made, so that no key comes twice."""
CONNECTIONS = 1
LAG_LIMIT_S = 60.0
LAG_POLL_S = 0.1
TRANSFER = "guilder.wallet.v1.WalletService/Transfer"
HEALTH = "grpc.health.v1.Health/Check"
SCENARIOS = ("echo", "within", "across", "hot", "uniform")
GHZ = Path(".tools/bin/ghz")
CURRENCY = "EUR"
_TICKS = os.sysconf("SC_CLK_TCK")
_MS = 1e6


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one scenario."""

    scenario: str
    round: int
    rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: int
    calls: int
    cpu_us: dict[str, float]
    """CPU microseconds a call, by process."""


def main() -> int:
    """Run, print a table, write the results; 1 when a call failed or the books don't hold."""
    options = _options()
    stack = Stack(StackSettings())
    folder = Path(".run/bench")
    folder.mkdir(parents=True, exist_ok=True)
    wallets = asyncio.run(_fund(stack))
    runs = []
    for round_ in range(1, options.rounds + 1):
        for scenario in options.scenarios.split(","):
            calls = _write_calls(folder, scenario, wallets, options.seconds * CALLS_A_SECOND)
            run = _measure(stack, scenario, round_, calls, options)
            runs.append(run)
            sys.stdout.write(f"{_line(run)}\n")
    lag_s = _wait_for_ledger(stack)
    sys.stdout.write(f"ledger caught up {lag_s:.1f} s after the last call\n")
    verified = subprocess.run([".venv/bin/guilder", "verify"], check=False).returncode == 0
    _report(runs, options, lag_s, verified=verified)
    return 0 if verified and not any(run.errors for run in runs) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="length of each run")
    parser.add_argument("--concurrency", type=int, default=128)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--out", type=Path, help="write the results here, as JSON")
    return parser.parse_args()


async def _fund(stack: Stack) -> list[str]:
    """Make the wallets, or find them again by their keys, and give each the same."""
    addresses = Addresses(*[stack.address(name) for name in ("wallet", "ledger", "notify")])
    gate = asyncio.Semaphore(64)

    async def one(guilder: Guilder, number: int) -> str:
        async with gate:
            account = f"bench-{number}"
            made = await guilder.wallet.create_wallet(account, CURRENCY, idempotency_key="bench")
            wallet_id = made.wallet.wallet_id
            money = Money(currency_code=CURRENCY, amount_minor=FUNDS_MINOR)
            await guilder.wallet.deposit(wallet_id, money, idempotency_key="bench-funds")
            return wallet_id

    async with Guilder(addresses) as guilder:
        return await asyncio.gather(*[one(guilder, number) for number in range(WALLETS)])


def _write_calls(folder: Path, scenario: str, wallets: Sequence[str], count: int) -> Path:
    """Write what ghz sends, each call with a key of its own.

    Written out, because ghz takes as long to fill in a template as the suite to make a transfer.
    """
    path = folder / f"{scenario}.json"
    if scenario == "echo":
        path.write_text("[{}]")
        return path
    draw = random.Random(scenario)  # noqa: S311  # the same pairs each time
    run = secrets.token_hex(6)
    calls = []
    for number in range(count):
        source, destination = _pair(scenario, wallets, draw)
        amount = {"currency_code": CURRENCY, "amount_minor": draw.randint(1, 100)}
        calls.append(
            {
                "source_wallet_id": source,
                "destination_wallet_id": destination,
                "amount": amount,
                "idempotency_key": f"{run}-{number}",
            }
        )
    path.write_text(json.dumps(calls))
    return path


def _pair(scenario: str, wallets: Sequence[str], draw: random.Random) -> tuple[str, str]:
    """Choose who pays whom. `hot`: one wallet pays all, on its shard; `uniform`: half across."""
    while True:
        source = wallets[0] if scenario == "hot" else draw.choice(wallets)
        destination = draw.choice(wallets)
        here = _half(source) == _half(destination)
        fits = {"within": here, "hot": here, "across": not here, "uniform": True}[scenario]
        if source != destination and fits:
            return source, destination


def _half(wallet_id: str) -> int:
    """Return the shard of a wallet, of the two that a fresh suite has."""
    return slot_of(parse_id(wallet_id)) * 2 // 4096


def _measure(
    stack: Stack, scenario: str, round_: int, calls: Path, options: argparse.Namespace
) -> Run:
    before = _cpu_seconds(stack)
    load_before = _children_seconds()
    command = [
        str(GHZ),
        "--insecure",
        *("--call", HEALTH if scenario == "echo" else TRANSFER),
        *("--data-file", str(calls)),
        *("--concurrency", str(options.concurrency)),
        *("--connections", str(CONNECTIONS)),
        *("--duration", f"{options.seconds}s"),
        *("--duration-stop", "wait"),
        "--disable-template-data",
        *("--format", "json"),
        stack.address("wallet"),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout)
    after = _cpu_seconds(stack)
    count = figures["count"]
    if scenario != "echo" and count > options.seconds * CALLS_A_SECOND:
        sys.exit(f"{count} calls were made: keys came twice; raise CALLS_A_SECOND")
    cpu = {name: (after[name] - before[name]) / count * 1e6 for name in before}
    cpu["ghz"] = (_children_seconds() - load_before) / count * 1e6
    errors = sum(n for code, n in figures["statusCodeDistribution"].items() if code != "OK")
    return Run(
        scenario,
        round_,
        figures["rps"],
        _percentile(figures, 50),
        _percentile(figures, 95),
        _percentile(figures, 99),
        errors,
        count,
        {name: round(value, 1) for name, value in cpu.items()},
    )


def _percentile(figures: dict[str, Any], wanted: int) -> float:
    found = [p["latency"] for p in figures["latencyDistribution"] if p["percentage"] == wanted]
    return float(found[0]) / _MS if found else float("nan")


def _cpu_seconds(stack: Stack) -> dict[str, float]:
    """Return the CPU time that each process of the suite has used so far."""
    used = {}
    for process in stack.status():
        if process.pid is not None:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            used[process.name] = (int(fields[11]) + int(fields[12])) / _TICKS
    return used


def _children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _wait_for_ledger(stack: Stack) -> float:
    """Return how long after the last call the ledger had every record of every shard."""
    started = time.monotonic()
    while time.monotonic() - started < LAG_LIMIT_S and _behind(stack):
        time.sleep(LAG_POLL_S)
    return time.monotonic() - started


def _behind(stack: Stack) -> bool:
    taken = stack.execute("books", "SELECT shard,seq FROM ledger.cursors").split()
    at = dict(zip(taken[::2], taken[1::2], strict=True))
    shards = range(len(stack.settings.shard_ports))
    heads = {
        str(n): stack.execute(f"shard-{n}", f"SELECT seq FROM wallet_{n}.head").strip()  # noqa: S608
        for n in shards
    }
    return any(at.get(shard) != seq for shard, seq in heads.items())


def _line(run: Run) -> str:
    cpu = " ".join(f"{name} {value:.0f}" for name, value in run.cpu_us.items())
    return (
        f"{run.round} {run.scenario:8} {run.rate:7.0f}/s  p50 {run.p50_ms:5.1f}"
        f"  p95 {run.p95_ms:5.1f}  p99 {run.p99_ms:5.1f} ms  errors {run.errors}  us/call: {cpu}"
    )


def _report(
    runs: Sequence[Run], options: argparse.Namespace, lag_s: float, *, verified: bool
) -> None:
    by_scenario: dict[str, list[Run]] = {}
    for run in runs:
        by_scenario.setdefault(run.scenario, []).append(run)
    echo = max((run.rate for run in by_scenario.get("echo", [])), default=float("nan"))
    sys.stdout.write("\n| scenario | best/s | median/s | of the echo | p99 ms of the best |\n")
    sys.stdout.write("| --- | --- | --- | --- | --- |\n")
    for name, some in by_scenario.items():
        best = max(some, key=lambda run: run.rate)
        median = statistics.median(run.rate for run in some)
        sys.stdout.write(
            f"| {name} | {best.rate:.0f} | {median:.0f} | {best.rate / echo:.0%}"
            f" | {best.p99_ms:.0f} |\n"
        )
    if options.out:
        results = {
            "concurrency": options.concurrency,
            "seconds": options.seconds,
            "ledger_lag_s": round(lag_s, 1),
            "verified": verified,
            "runs": [asdict(run) for run in runs],
        }
        options.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    sys.exit(main())
