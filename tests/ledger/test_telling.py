"""What a proof has found is told to whoever watches, also when it is nothing."""

import pytest

from ledger.domain.findings import Findings, Kind
from ledger.reconcile.telling import told
from walletkit.telemetry.metrics.ledger import CHECKED, CHECKS, DIFFERENCES


def prove(shard: str, differences: int) -> None:
    """Run a proof that finds so many differences."""
    findings = Findings(7)
    for _ in range(differences):
        findings.add(Kind.BALANCE, "made up", 1, 2)
    with told("reconcile", shard) as proof:
        proof.findings = findings


def test_differences_stay_until_a_proof_finds_none() -> None:
    """Two, and then none: the gauge is the last proof's, each result is counted."""
    before = {result: CHECKS.of("reconcile", result).value for result in ("equal", "different")}
    prove("7", 2)
    assert DIFFERENCES.of("reconcile", "7").value == 2
    prove("7", 0)
    assert DIFFERENCES.of("reconcile", "7").value == 0
    assert CHECKS.of("reconcile", "different").value == before["different"] + 1
    assert CHECKS.of("reconcile", "equal").value == before["equal"] + 1
    assert CHECKED.of("reconcile", "7").value > 1_000_000_000


def test_a_proof_that_breaks_off_says_nothing_of_the_books() -> None:
    """It is counted as failed; what the last one found stays."""
    prove("8", 3)
    before = CHECKS.of("reconcile", "failed").value
    with pytest.raises(TimeoutError), told("reconcile", "8"):
        raise TimeoutError
    assert CHECKS.of("reconcile", "failed").value == before + 1
    assert DIFFERENCES.of("reconcile", "8").value == 3
