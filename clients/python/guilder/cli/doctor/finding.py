"""What doctor finds: one line each, with what it means and how to mend it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad it is, from the best on."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    status: Status
    part: str
    """What was looked at: ``shard 0``, ``redis of notify``, ``wallet``."""
    check: str
    """What was looked for: ``durability``, ``clock``."""
    found: str
    means: str
    mend: str = ""
    """What to do about it; empty where all is well."""


def ok(part: str, check: str, found: str, means: str) -> Finding:
    """Return a line that all is well."""
    return Finding(Status.OK, part, check, found, means)


def warn(part: str, check: str, found: str, means: str, mend: str) -> Finding:
    """Return a line that something will cost somebody something one day."""
    return Finding(Status.WARN, part, check, found, means, mend)


def fail(part: str, check: str, found: str, means: str, mend: str) -> Finding:
    """Return a line that something does not work, or loses money when luck runs out."""
    return Finding(Status.FAIL, part, check, found, means, mend)


def worst(findings: Iterable[Finding]) -> Status:
    """Return the worst status; ok without any."""
    order = list(Status)
    return max((finding.status for finding in findings), key=order.index, default=Status.OK)


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """Return how many lines there are of each status."""
    listed = [finding.status for finding in findings]
    return {status.value: listed.count(status) for status in Status}
