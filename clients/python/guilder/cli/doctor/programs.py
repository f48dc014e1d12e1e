"""Look at what this program itself runs on."""

import platform
import sys
from importlib.metadata import version

from guilder.cli.doctor.finding import Finding, fail, ok

LEAST_PYTHON = (3, 11)
PART = "this program"


def look() -> list[Finding]:
    """Tell which versions these are."""
    made = ok(PART, "version", f"guilder {version('guilder')}", "what all else is compared with")
    return [made, judge(sys.version_info[:2], platform.python_version())]


def judge(numbers: tuple[int, int], text: str) -> Finding:
    """Judge a version of Python."""
    wanted = ".".join(map(str, LEAST_PYTHON))
    if numbers < LEAST_PYTHON:
        means = f"the services need {wanted} or later"
        return fail(PART, "Python", text, means, f"install Python {wanted} or later")
    return ok(PART, "Python", text, f"{wanted} or later is needed")
