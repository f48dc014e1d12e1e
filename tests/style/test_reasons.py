"""Every reason of the catalogue is provoked somewhere: what no test has met may never be met."""

import re
from functools import cache
from pathlib import Path

import pytest

from walletkit.errors import CATALOGUE

TESTS = Path(__file__).resolve().parents[1]
RUNGS = ("domain", "engine", "api", "wallet", "ledger", "notify")
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
