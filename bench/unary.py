"""Measure what ghz can call: one movement a call, or two calls that make one."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import calls, wallets
from bench.ghz import Ghz, finish
from bench.load import Around, Load, alone, side_by_side
from bench.model import Run
from bench.scenarios import Scenario
from bench.usage import measured
from walletkit.stack import Stack

CALLS_A_SECOND = 8_000
"""Calls written ahead for each second, so that no key comes twice."""
HOLDS_A_SECOND = 3_000
ALONE = 1_500
"""The same for one caller."""
READS = 5_000
"""Reads are made again and again."""
TRIES = 4
CONNECTIONS_A_WORKER = 4
"""Workers share a port, and the kernel gives each connection to one of them."""
_OPEN_LOOP_MARGIN = 1.2
_AUTHORIZE = "guilder.wallet.v1.WalletService/Authorize"


class TooFastError(Exception):
    """More calls were made than were written ahead."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is called, how often, and for how long."""

    stack: Stack
    scenario: Scenario
    accounts: Sequence[str]
    """The wallets."""
    concurrency: int
    seconds: float
    offered: float | None = None
    """Calls a second in an open loop, of each process of ghz; None: a closed loop."""
    written: int = 0
    """How many calls are written ahead; 0: as many as the scenario should need."""
    around: Around = alone
    """What is done before and after the calls, within what is measured."""


def measure(plan: Plan, folder: Path, round_: int) -> Run:
    """Run a scenario; what is written for ghz lies in the folder meanwhile.

    Runs again with twice as many calls written ahead where they did not suffice.
    Raise `TooFastError`, `GhzError`, `LagError`.
    """
    plan = replace(plan, written=plan.written or _needed(plan))
    for _ in range(TRIES - 1):
        try:
            return _measure(plan, folder, round_)
        except TooFastError:
            plan = replace(plan, written=2 * plan.written)
    return _measure(plan, folder, round_)


def connections(stack: Stack) -> int:
    """Return how many connections load every worker."""
    workers = stack.settings.wallet_workers
    return 1 if workers == 1 else CONNECTIONS_A_WORKER * workers


def _needed(plan: Plan) -> int:
    if not plan.scenario.keyed:
        return READS
    if plan.offered is not None:
        return round(plan.offered * plan.seconds * _OPEN_LOOP_MARGIN) + plan.concurrency
    most = HOLDS_A_SECOND if plan.scenario.client == "pairs" else CALLS_A_SECOND
    return round(plan.seconds * (ALONE if plan.concurrency == 1 else most)) + plan.concurrency


def _measure(plan: Plan, folder: Path, round_: int) -> Run:
    with TemporaryDirectory(dir=folder) as inner:
        written = _write(plan, Path(inner))
        return measured(
            plan.stack,
            plan.scenario.name,
            plan.concurrency,
            round_,
            lambda: plan.around(lambda: _call(plan, written)),
            commands=plan.scenario.commands,
            offered=plan.offered,
        )


def _write(plan: Plan, folder: Path) -> dict[str, Path]:
    """Write the calls of each method."""
    stack, scenario = plan.stack, plan.scenario
    shards = len(stack.settings.shard_ports)
    wanted = calls.requests(scenario, plan.accounts, shards, plan.written)
    if scenario.client != "pairs":
        calls.write(folder / "calls", wanted)
        return {scenario.method: folder / "calls"}
    calls.write(folder / "authorizations", wanted)
    held = wallets.authorize(stack, plan.accounts, plan.written)
    calls.write(folder / "captures", calls.captures(held))
    return {_AUTHORIZE: folder / "authorizations", scenario.method: folder / "captures"}


def _call(plan: Plan, written: dict[str, Path]) -> Load:
    """Make the calls; of several methods side by side, each with its share of the callers."""
    with ExitStack() as running:
        processes = [
            running.enter_context(
                Ghz(
                    plan.stack.address(plan.scenario.service),
                    method,
                    path,
                    concurrency=max(1, plan.concurrency // len(written)),
                    seconds=plan.seconds,
                    connections=connections(plan.stack),
                    offered=plan.offered,
                )
            )
            for method, path in written.items()
        ]
        loads = finish(*processes)
    if plan.scenario.keyed and any(load.calls > plan.written for load in loads):
        raise TooFastError(f"{plan.scenario.name}: more than {plan.written} calls, keys came twice")
    return loads[0] if len(loads) == 1 else side_by_side(*loads)
