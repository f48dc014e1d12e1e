"""Read a file of rows, run it with a progress bar, and show the report."""

import sys
import time
from pathlib import Path

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

from guilder.cli.currency import learn
from guilder.cli.importing.order import make_plan
from guilder.cli.importing.rehearse import existing, rehearse
from guilder.cli.importing.report import (
    Report,
    make_report,
    rehearsal_dict,
    rehearsal_report,
    report_dict,
)
from guilder.cli.importing.rows import FileRefusedError, Sheet, read_sheet
from guilder.cli.importing.run import Run
from guilder.cli.importing.show import show_rehearsal, show_report
from guilder.cli.render import console, print_json
from guilder.cli.session import ExitCode, run
from guilder.client import Guilder

MAX_ATTEMPTS = 12
"""Of each call: an import outlives a restart of a service, which takes some seconds."""


def carry_out(ctx: typer.Context, path: Path, *, dry_run: bool, as_json: bool) -> None:
    """Do what ``guilder import`` was asked for."""
    sheet = load(path)

    async def work(guilder: Guilder) -> ExitCode:
        nonlocal sheet
        if sheet.unknown_currencies:
            await learn(guilder, *sheet.unknown_currencies)
            sheet = load(path)
        if dry_run:
            return await _rehearse(guilder, sheet, as_json=as_json)
        report, _ = await import_sheet(guilder, sheet, as_json=as_json)
        if as_json:
            print_json(report_dict(report))
        if report.left_over:
            return ExitCode.UNAVAILABLE
        return ExitCode.OK if report.ok else ExitCode.FAILED

    run(ctx, work, as_json=as_json, max_attempts=MAX_ATTEMPTS)


async def _rehearse(guilder: Guilder, sheet: Sheet, *, as_json: bool) -> ExitCode:
    rehearsal = await rehearse(guilder, sheet)
    if as_json:
        print_json(rehearsal_dict(sheet, rehearsal))
    else:
        show_rehearsal(sheet, rehearsal)
    return ExitCode.OK if rehearsal_report(sheet, rehearsal).ok else ExitCode.FAILED


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
        there = {
            name: item.wallet_id for name, item in (await existing(guilder, sheet.rows)).items()
        }
        plan = make_plan(sheet.rows, there)
        running = Run(guilder.wallet, plan, lambda: progress.advance(bar), there)
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
