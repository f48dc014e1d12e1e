"""The command `guilder import`: reads, runs with a progress bar, and shows the report."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from guilder.cli.importing.order import make_plan
from guilder.cli.importing.report import Report, make_report, report_dict
from guilder.cli.importing.rows import FileRefusedError, Sheet, read_sheet
from guilder.cli.importing.run import Run
from guilder.cli.options import JsonOption
from guilder.cli.render import console, plain, print_json
from guilder.cli.session import ExitCode, run
from guilder.client import Guilder

MAX_ATTEMPTS = 12
"""Of each call: an import outlives a restart of a service, which takes some seconds."""

MAX_SHOWN = 50
"""Malformed or surprising rows shown to people; --json has all."""

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        readable=True,
        help="CSV with a header, or JSONL (by its name) with the same names.",
    ),
]


def import_file(
    ctx: typer.Context,
    *,
    path: FileArgument,
    as_json: JsonOption = False,
) -> None:
    """Import wallets, deposits, withdrawals and transfers from a file.

    Columns: key, op, label, account, currency, source, destination, amount, reference, expect.
    op is create_wallet (label, account, currency), deposit (destination), withdraw (source) or
    transfer (source, destination), each with amount (12.50) and currency; source and destination
    are labels of wallets that a row above creates. Rows end as if they ran one by one.

    A row's key decides it once: run the same file again after Ctrl-C or an error, and it goes on;
    run it again when it is done, and nothing moves. Keys are kept for at least 7 days.

    Malformed rows are listed with their lines, and the rest goes on. expect is OK (the default) or
    the reason of a decline that is meant to happen. Exit code 0 when every row is well-formed and
    ends as expected.
    """
    sheet = load(path)

    async def work(guilder: Guilder) -> ExitCode:
        report, _ = await import_sheet(guilder, sheet, as_json=as_json)
        if as_json:
            print_json(report_dict(report))
        if report.left_over:
            return ExitCode.UNAVAILABLE
        return ExitCode.OK if report.ok else ExitCode.FAILED

    run(ctx, work, as_json=as_json, max_attempts=MAX_ATTEMPTS)


def load(path: Path) -> Sheet:
    """Read a file; one that can't be read at all is a usage error."""
    try:
        return read_sheet(path)
    except FileRefusedError as error:
        raise typer.BadParameter(str(error), param_hint="'FILE'") from None


async def import_sheet(
    guilder: Guilder, sheet: Sheet, *, as_json: bool = False
) -> tuple[Report, dict[str, str]]:
    """Run a sheet and show its report; return that, and the wallets' ids by label."""
    began = time.monotonic()
    with _progress(disable=as_json or not sys.stderr.isatty()) as progress:
        bar = progress.add_task("importing", total=len(sheet.rows))
        running = Run(guilder.wallet, make_plan(sheet.rows), lambda: progress.advance(bar))
        try:
            await running.finish()
        except BaseException:
            progress.stop()
            if not as_json:
                done = sum(result is not None for result in running.results)
                text = f"Interrupted: {done:,} of {len(sheet.rows):,} rows are known to be decided."
                console(stderr=True).print(f"{text} Run it again to go on.", style="yellow")
            raise
    seconds = time.monotonic() - began
    stopped = str(running.stopped) if running.stopped else ""
    report = make_report(sheet, running.results, seconds, stopped)
    if not as_json:
        show_report(report)
    return report, running.wallet_ids


def show_report(report: Report) -> None:
    """Print what an import did, then each row that needs somebody's eyes."""
    out = console()
    declined = "".join(
        f", {count:,} declined ({reason})" for reason, count in sorted(report.declined.items())
    )
    out.print(
        f"{report.new:,} new, {report.replayed:,} replayed{declined}: {report.decided:,} rows "
        f"in {report.seconds:.1f} s, {report.rows_per_second:,.0f} rows/s",
        style="bold",
    )
    for item in report.malformed[:MAX_SHOWN]:
        out.print(f"line {item.line}: {plain('; '.join(item.problems))}", style="yellow")
    for surprise in report.surprises[:MAX_SHOWN]:
        row, result = surprise.row, surprise.result
        text = f"line {row.line} ({row.op}): expected {row.expect}, got {result.reason}"
        message = f": {result.message}" if result.message else ""
        out.print(plain(text + message), style="red")
    for name, count in (
        ("malformed", len(report.malformed)),
        ("surprising", len(report.surprises)),
    ):
        if count:
            out.print(f"{count:,} {name} rows.", style="yellow")
    if report.left_over:
        out.print(
            f"{report.left_over:,} rows were not decided: {plain(report.stopped)}. "
            "Run it again to go on.",
            style="red",
        )


class _Speed(ProgressColumn):
    """How many rows a second are decided."""

    def render(self, task: Task) -> Text:
        """Return the speed; a dash at the beginning."""
        return Text("-" if task.speed is None else f"{task.speed:,.0f} rows/s")


def _progress(*, disable: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        _Speed(),
        TimeElapsedColumn(),
        console=console(stderr=True),
        disable=disable,
    )
