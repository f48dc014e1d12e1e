"""Every reason of the catalogue is provoked somewhere: what no test has met may never be met."""

import re
from functools import cache
from pathlib import Path

import pytest

from walletkit.errors import CATALOGUE, Code

TESTS = Path(__file__).resolve().parents[1]
PROTOS = TESTS.parent / "protos"
ERRORS = re.compile(r"Errors?:(?:.|\n\s*//)*")
"""From where a call's errors begin to where its comment ends."""
RUNGS = ("domain", "engine", "api", "wallet", "ledger", "notify", "auth", "edge")
"""Where services are tested; clients, models and auditors only know reasons by name."""


@cache
def named() -> frozenset[str]:
    """Return every reason that stands as a string in a service's tests."""
    texts = [
        path.read_text(encoding="utf-8")
        for rung in RUNGS
        for path in sorted((TESTS / rung).rglob("test_*.py"))
    ]
    return frozenset(re.findall(r"\"([A-Z_]+)\"", "\n".join(texts)))


@pytest.mark.parametrize("reason", CATALOGUE)
def test_reason_has_a_test(reason: str) -> None:
    """A test of a service names the reason."""
    assert reason in named()


def test_protos_name_reasons_that_exist() -> None:
    """What a comment says that a call fails with is a reason of the catalogue, or a gRPC code."""
    known = {*CATALOGUE, *(code.name for code in Code)}
    said = {
        word
        for path in PROTOS.rglob("*.proto")
        for errors in ERRORS.findall(path.read_text(encoding="utf-8"))
        for word in re.findall(r"\b[A-Z]+_[A-Z_]+\b", errors)
    }
    assert len(said) > len(RUNGS)
    assert not said - known
