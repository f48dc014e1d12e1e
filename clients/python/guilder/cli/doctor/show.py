"""Show what was found: a table for people, a document for machines."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from guilder.cli.doctor.finding import Finding, Status, counts, worst
from guilder.cli.render import console, plain, table

_STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}


def document(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the report for machines."""
    return {
        "status": worst(findings).value,
        "counts": counts(findings),
        "findings": [asdict(finding) for finding in findings],
    }


def show(findings: Sequence[Finding]) -> None:
    """Print a line for each finding, and how many there are of each kind."""
    made = table("Doctor", "", "part", "check", "found", "what it means, and how to mend it")
    for finding in findings:
        said = [plain(finding.means)]
        said += [f"→ {plain(finding.mend)}"] if finding.mend else []
        made.add_row(
            Text(finding.status.value, style=_STYLES[finding.status]),
            plain(finding.part),
            finding.check,
            plain(finding.found),
            "\n".join(said),
        )
    out = console()
    out.print(made)
    told = ", ".join(f"{count} {name}" for name, count in counts(findings).items())
    out.print(told, style=_STYLES[worst(findings)])
