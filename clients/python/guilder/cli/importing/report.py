"""Sum up an import, or what it would do: new, replayed, declined, surprising. No output here."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from guilder.cli.importing.rehearse import Rehearsal
from guilder.cli.importing.rows import OK, RETURNED, Malformed, Row, Sheet
from guilder.cli.importing.run import Result


@dataclass(frozen=True, slots=True)
class Surprise:
    """A row that did not end as the file says it would."""

    row: Row
    result: Result


@dataclass(slots=True)
class Report:
    """What an import did."""

    seconds: float
    new: int
    replayed: int
    declined: Counter[str]
    surprises: list[Surprise]
    malformed: Sequence[Malformed]
    left_over: int
    stopped: str = ""
    """Why rows were left over."""

    @property
    def decided(self) -> int:
        """Rows that have an outcome."""
        return self.new + self.replayed + self.declined.total()

    @property
    def rows_per_second(self) -> float:
        """How fast it was."""
        return self.decided / self.seconds if self.seconds else 0.0

    @property
    def ok(self) -> bool:
        """Tell whether every row was well-formed and ended as expected."""
        return not (self.surprises or self.malformed or self.left_over)


def make_report(
    sheet: Sheet, results: Sequence[Result | None], seconds: float, stopped: str = ""
) -> Report:
    """Return the report of results, one a row and None where it was not decided."""
    report = Report(seconds, 0, 0, Counter(), [], sheet.malformed, 0, stopped)
    for row, result in zip(sheet.rows, results, strict=True):
        if result is None:
            report.left_over += 1
            continue
        if result.reason not in {OK, RETURNED}:
            report.declined[result.reason] += 1
        elif result.replayed:
            report.replayed += 1
        else:
            report.new += 1
        if result.reason != row.expect:
            report.surprises.append(Surprise(row, result))
    return report


def report_dict(report: Report) -> dict[str, Any]:
    """Return a report for machines."""
    return {
        "ok": report.ok,
        "seconds": round(report.seconds, 3),
        "rowsPerSecond": round(report.rows_per_second, 1),
        "new": report.new,
        "replayed": report.replayed,
        "declined": dict(sorted(report.declined.items())),
        "surprises": [
            {
                "line": surprise.row.line,
                "key": surprise.row.key,
                "expected": surprise.row.expect,
                "result": surprise.result.reason,
                "message": surprise.result.message,
            }
            for surprise in report.surprises
        ],
        "malformed": [
            {"line": item.line, "problems": list(item.problems)} for item in report.malformed
        ],
        "leftOver": report.left_over,
        "stopped": report.stopped,
    }


def rehearsal_dict(sheet: Sheet, rehearsal: Rehearsal) -> dict[str, Any]:
    """Return for machines what an import would do: each row, and each wallet's balance."""
    report = rehearsal_report(sheet, rehearsal)
    return {
        "ok": report.ok,
        "new": report.new,
        "replayed": report.replayed,
        "declined": dict(sorted(report.declined.items())),
        "rows": [
            {
                "line": step.row.line,
                "key": step.row.key,
                "op": step.row.op,
                "expected": step.row.expect,
                "result": step.reason,
                "replayed": step.replayed,
                "message": step.message,
            }
            for step in rehearsal.steps
        ],
        "wallets": [
            {
                "name": name,
                "walletId": item.wallet_id,
                "currencyCode": item.currency,
                "beforeMinor": str(item.before_minor),
                "afterMinor": str(item.after_minor),
            }
            for name, item in rehearsal.wallets.items()
        ],
        "malformed": [
            {"line": item.line, "problems": list(item.problems)} for item in report.malformed
        ],
    }


def rehearsal_report(sheet: Sheet, rehearsal: Rehearsal) -> Report:
    """Return the report that an import would end with."""
    results = [Result(step.reason, step.replayed, step.message) for step in rehearsal.steps]
    return make_report(sheet, results, 0.0)
