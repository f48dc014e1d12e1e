"""Show what an import did, or would do, to people."""

from rich.console import Console

from guilder.cli.importing.rehearse import Rehearsal, Step
from guilder.cli.importing.report import Report, rehearsal_report
from guilder.cli.importing.rows import Op, Row, Sheet
from guilder.cli.render import console, money, plain, table

MAX_SHOWN = 50
"""Rows and wallets shown to people; --json has all."""


def show_report(report: Report) -> None:
    """Print what an import did, then each row that needs somebody's eyes."""
    out = console()
    out.print(
        f"{_counts(report)}: {report.decided:,} rows "
        f"in {report.seconds:.1f} s, {report.rows_per_second:,.0f} rows/s",
        style="bold",
    )
    _show_faults(out, report)
    if report.left_over:
        out.print(
            f"{report.left_over:,} rows were not decided: {plain(report.stopped)}. "
            "Run it again to go on.",
            style="red",
        )


def show_rehearsal(sheet: Sheet, rehearsal: Rehearsal) -> None:
    """Print what an import would do: rows, but those that are done already, then wallets' balances.

    A row of an earlier run is only counted.
    """
    out = console()
    report = rehearsal_report(sheet, rehearsal)
    made = table("Rows", "line", "does", "would be", right=("line",))
    steps = [step for step in rehearsal.steps if not step.replayed]
    for step in steps[:MAX_SHOWN]:
        made.add_row(str(step.row.line), plain(_deed(step.row)), plain(_outcome(step)))
    if made.row_count:
        out.print(made)
    _more(out, len(steps), "rows")
    _show_wallets(out, rehearsal)
    out.print(f"{_counts(report)}: {report.decided:,} rows.", style="bold")
    _show_faults(out, report)
    out.print("Dry run: nothing was changed.", style="yellow")


def _show_wallets(out: Console, rehearsal: Rehearsal) -> None:
    numbers = ("before", "after", "change")
    made = table("Wallets that would change", "wallet", "currency", *numbers, right=numbers)
    changed = {
        name: item
        for name, item in rehearsal.wallets.items()
        if item.before_minor != item.after_minor or not item.wallet_id
    }
    for name, item in list(changed.items())[:MAX_SHOWN]:
        amounts = (item.before_minor, item.after_minor, item.after_minor - item.before_minor)
        before, after, change = (money(each, item.currency, item.exponent) for each in amounts)
        sign = "+" if item.after_minor > item.before_minor else ""
        before = before if item.wallet_id else "new"
        made.add_row(plain(name), item.currency, before, after, f"{sign}{change}")
    if changed:
        out.print(made)
    else:
        out.print("No wallet would change.")
    _more(out, len(changed), "wallets")


def _more(out: Console, count: int, noun: str) -> None:
    if count > MAX_SHOWN:
        out.print(f"… {count - MAX_SHOWN:,} more {noun}: --json has all.", style="dim")


def _deed(row: Row) -> str:
    """Write what a row does on one line."""
    if row.op is Op.CREATE_WALLET:
        return f"{row.op} {row.label}, {row.account}, {row.currency}"
    way = " > ".join(name or "outside" for name in (row.source, row.destination))
    return f"{row.op} {way}, {money(row.amount_minor, row.currency)} {row.currency}"


def _outcome(step: Step) -> str:
    expected = "" if step.reason == step.row.expect else f", expected {step.row.expect}"
    message = f": {step.message}" if step.message else ""
    return f"{step.reason}{expected}{message}"


def _counts(report: Report) -> str:
    declined = "".join(
        f", {count:,} declined ({reason})" for reason, count in sorted(report.declined.items())
    )
    return f"{report.new:,} new, {report.replayed:,} replayed{declined}"


def _show_faults(out: Console, report: Report) -> None:
    """Print each row that needs somebody's eyes."""
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
