"""`guilder verify`: prove the books over shards, ledger and chain."""

import time
from typing import Annotated, Any

import typer
from google.protobuf.json_format import MessageToDict
from rich.text import Text

from guilder.cli.options import JsonOption
from guilder.cli.proofs import gather
from guilder.cli.render import console, plain, print_json, table
from guilder.cli.session import ExitCode, run
from guilder.cli.verdict import STATEMENTS, Check, Finding, Verdict, judge
from guilder.client import Guilder

_STYLES = {"OK": "green", "FAIL": "bold red", "UNCHECKED": "yellow"}

MAX_SHOWN = 100
"""Differences shown to people; --json has all that the ledger listed."""


def verify(
    ctx: typer.Context,
    *,
    wait_lag: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="First wait until the ledger has what the shards have now; too long is a failure.",
        ),
    ] = None,
    deadline: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="Deadline of each proof.")
    ] = 600.0,
    as_json: JsonOption = False,
) -> None:
    """Check the invariants I1-I3 and I6-I10 over shards, ledger and hash chain.

    Runs while traffic flows. Exit code 1 on any difference, and when anything could not be checked.
    """

    async def work(guilder: Guilder) -> ExitCode:
        return ExitCode.OK if await prove(guilder, wait_lag, as_json=as_json) else ExitCode.FAILED

    run(ctx, work, as_json=as_json, proof_timeout_seconds=deadline)


async def prove(guilder: Guilder, wait_lag: float | None = None, *, as_json: bool = False) -> bool:
    """Gather, judge and show; return whether everything was checked and holds."""
    began = time.monotonic()
    verdict = judge(await gather(guilder, wait_lag))
    if as_json:
        print_json(verdict_dict(verdict))
    else:
        show_verdict(verdict, time.monotonic() - began)
    return verdict.ok


def verdict_dict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict for machines."""
    return {
        "ok": verdict.ok,
        "checks": [
            {
                "invariant": check.invariant,
                "statement": STATEMENTS[check.invariant],
                "result": check.result,
                "scope": check.scope,
                "differences": check.differences,
                "unchecked": check.unchecked,
            }
            for check in verdict.checks.values()
        ],
        "differenceCount": verdict.difference_count,
        "differences": [
            {"invariant": finding.invariant, **MessageToDict(finding.difference)}
            for finding in verdict.findings
        ],
        "unchecked": verdict.unchecked,
    }


def show_verdict(verdict: Verdict, seconds: float) -> None:
    """Print the table of invariants, then each difference and each gap in the checks."""
    made = table("Invariants", "", "invariant", "checked", "result")
    for check in verdict.checks.values():
        made.add_row(
            check.invariant,
            STATEMENTS[check.invariant],
            "\n".join(check.scope),
            Text(_result(check), style=_STYLES[check.result]),
        )
    out = console()
    out.print(made)
    for finding in verdict.findings[:MAX_SHOWN]:
        out.print(difference_line(finding), style="red")
    if verdict.difference_count > MAX_SHOWN:
        out.print(f"… {verdict.difference_count} differences in all; --json lists more.")
    for text in verdict.unchecked:
        out.print(f"not checked: {plain(text)}", style="yellow")
    if verdict.ok:
        out.print(f"Clean: every invariant holds ({seconds:.1f} s).", style="green")
    else:
        count = verdict.difference_count
        noun = "difference" if count == 1 else "differences"
        gaps = f", {len(verdict.unchecked)} not checked" if verdict.unchecked else ""
        out.print(f"NOT clean: {count} {noun}{gaps} ({seconds:.1f} s).", style="bold red")


def difference_line(finding: Finding) -> str:
    """Write a difference on one line: where it is, what was expected and found, and why."""
    found = finding.difference
    place = [f"shard {found.shard}"]
    place += [f"record {found.seq}"] if found.seq else []
    place += [f"wallet {found.wallet_id}"] if found.wallet_id else []
    place += [f"transaction {found.transaction_id}"] if found.transaction_id else []
    values = f"expected {found.expected}, found {found.actual}. " if found.expected else ""
    return plain(f"{finding.invariant} {', '.join(place)}: {values}{found.detail}")


def _result(check: Check) -> str:
    return f"FAIL: {check.differences}" if check.differences else check.result
