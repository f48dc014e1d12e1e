"""`make audit` calls clean only what was looked up, and the linters' rules leave nothing unread."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tools.audit import judge

ROOT = Path(__file__).resolve().parents[2]
CLEAN: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
WEAK: dict[str, Any] = {
    "name": "b",
    "version": "2",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"], "aliases": [], "description": ""}],
}
UNKNOWN: dict[str, Any] = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code"),
    [
        ([CLEAN], 0),
        ([CLEAN, WEAK], 1),
        ([CLEAN, UNKNOWN], 2),
        ([UNKNOWN], 2),
        ([WEAK, UNKNOWN], 2),
        ([], 2),
    ],
)
def test_only_what_was_looked_up_is_clean(packages: list[dict[str, Any]], code: int) -> None:
    """A package that the service does not tell of fails the audit, as an advisory does."""
    assert judge(packages)[0] == code


def test_an_advisory_is_named_with_its_remedy() -> None:
    """Which package, which advisory, which version mends it; and beside it what is not known."""
    told = judge([WEAK, UNKNOWN])[1].splitlines()
    assert told[0] == "b 2: PYSEC-1, mended in 3"
    assert "1 of 2 packages" in told[1]
    assert told[1].endswith(": c")


def test_what_bandit_passes_over_ruff_reads() -> None:
    """Its skips are rules that ruff has switched on for all code, and two that have a reason."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    skipped = {name.replace("B", "S") for name in settings["bandit"]["skips"]}
    ruff = settings["ruff"]["lint"]
    assert ruff["select"] == ["ALL"]
    assert skipped & set(ruff["ignore"]) == {"S101"}
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    assert {f"S{number}" for number in re.findall(r"\bB(\d{3})\b", text)} == skipped
