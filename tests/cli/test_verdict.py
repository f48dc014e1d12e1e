"""Verdicts: a difference fails its invariant, and what could not be checked never passes."""

import grpc
import pytest

from guilder.cli.proofs import Proofs, ShardProof
from guilder.cli.verdict import STATEMENTS, judge
from guilder.cli.verify import difference_line, verdict_dict
from guilder.client import GuilderError, UnavailableError
from guilder.ledger.v1.ledger_service_pb2 import (
    Difference,
    DifferenceKind,
    GetTrialBalanceResponse,
    ReconcileResponse,
    TrialBalanceLine,
    VerifyChainResponse,
    VerifyTransitResponse,
)
from guilder.type.v1.position_pb2 import Position

AT = Position(shard=0, seq=7)


def away() -> GuilderError:
    """Return the error of a service that is away."""
    return UnavailableError(grpc.StatusCode.UNAVAILABLE, "LEDGER_UNAVAILABLE", "away")


def clean() -> Proofs:
    """Return proofs of a suite of one shard in which everything holds."""
    lines = [
        TrialBalanceLine(shard=0, currency_code="EUR", account="customers", net_minor="12"),
        TrialBalanceLine(shard=0, currency_code="EUR", account="world", net_minor="-12"),
    ]
    shard = ShardProof(
        ReconcileResponse(position=AT, wallets=2), VerifyChainResponse(position=AT, records=7)
    )
    return Proofs(
        {0: shard},
        VerifyTransitResponse(positions=[AT]),
        GetTrialBalanceResponse(lines=lines, positions=[AT], balanced=True),
    )


def test_all_is_well() -> None:
    """With every proof made and no difference, all invariants are OK."""
    verdict = judge(clean())
    assert verdict.ok
    assert {check.result for check in verdict.checks.values()} == {"OK"}
    assert all(check.scope for check in verdict.checks.values())


@pytest.mark.parametrize(
    ("kind", "invariant"),
    [
        ("HASH", "I9"),
        ("GAP", "I6"),
        ("REPLAY", "I7"),
        ("ENTRIES", "I7"),
        ("BALANCE", "I7"),
        ("WALLET", "I7"),
        ("SUM", "I1"),
        ("NEGATIVE", "I3"),
        ("TRANSIT", "I2"),
        ("LEG", "I10"),
        ("HOLD", "I8"),
        ("FORK", "I6"),
        ("UNSPECIFIED", "I7"),
    ],
)
def test_each_kind_of_difference_fails_its_invariant(kind: str, invariant: str) -> None:
    """One difference fails one invariant, and the whole."""
    proofs = clean()
    assert not isinstance(proofs.shards, GuilderError)
    chain = proofs.shards[0].chain
    assert not isinstance(chain, GuilderError)
    number = DifferenceKind.Value(f"DIFFERENCE_KIND_{kind}")
    chain.differences.append(
        Difference(kind=number, seq=3, wallet_id="w", expected="1", actual="2", detail="Why.")
    )
    chain.difference_count = 1
    verdict = judge(proofs)
    failed = [name for name, check in verdict.checks.items() if check.result == "FAIL"]
    assert failed == [invariant]
    assert not verdict.ok
    line = f"{invariant} shard 0, record 3, wallet w: expected 1, found 2. Why."
    assert [difference_line(item) for item in verdict.findings] == [line]
    assert verdict_dict(verdict)["differenceCount"] == 1


def test_differences_beyond_the_list_count() -> None:
    """The ledger lists at most 1,000; the others fail the verdict too."""
    proofs = clean()
    assert not isinstance(proofs.transit, GuilderError)
    proofs.transit.difference_count = 5
    assert judge(proofs).difference_count == 5
    assert not judge(proofs).ok


def test_books_that_do_not_sum_to_0() -> None:
    """The nets are summed here too, whatever the ledger says of itself."""
    proofs = clean()
    assert not isinstance(proofs.trial, GuilderError)
    proofs.trial.lines[0].net_minor = "13"
    verdict = judge(proofs)
    assert verdict.checks["I1"].result == "FAIL"
    assert verdict.findings[0].difference.actual == "1"


def test_a_ledger_that_says_it_does_not_balance() -> None:
    """Its word alone fails the verdict."""
    proofs = clean()
    assert not isinstance(proofs.trial, GuilderError)
    proofs.trial.balanced = False
    assert judge(proofs).checks["I1"].result == "FAIL"


@pytest.mark.parametrize("missing", ["shards", "transit", "trial", "chain", "reconciliation"])
def test_what_could_not_be_checked_fails(missing: str) -> None:
    """A proof that was not made leaves its invariants unchecked, says so, and fails the whole."""
    proofs = clean()
    assert not isinstance(proofs.shards, GuilderError)
    whole = proofs.shards[0]
    if missing == "chain":
        proofs.shards[0] = ShardProof(whole.reconciliation, away())
    elif missing == "reconciliation":
        proofs.shards[0] = ShardProof(away(), whole.chain)
    else:
        setattr(proofs, missing, away())
    verdict = judge(proofs)
    assert not verdict.ok
    assert any("LEDGER_UNAVAILABLE" in text for text in verdict.unchecked)
    assert "UNCHECKED" in {check.result for check in verdict.checks.values()}
    assert verdict.difference_count == 0


def test_no_shard_is_no_proof() -> None:
    """A wallet service without shards proves nothing."""
    proofs = clean()
    proofs.shards = {}
    assert not judge(proofs).ok


def test_a_shard_that_only_the_ledger_knows() -> None:
    """Books that no wallet service stands behind can't be compared."""
    proofs = clean()
    assert not isinstance(proofs.trial, GuilderError)
    proofs.trial.positions.append(Position(shard=1, seq=1))
    verdict = judge(proofs)
    assert not verdict.ok
    assert "shard 1 has books" in verdict.unchecked[0]


def test_a_walk_that_ends_before_the_comparison() -> None:
    """Balances compared at a record that the chain's walk did not reach are not proved."""
    proofs = clean()
    assert not isinstance(proofs.shards, GuilderError)
    reconciliation = proofs.shards[0].reconciliation
    assert not isinstance(reconciliation, GuilderError)
    reconciliation.position.seq = 9
    assert judge(proofs).checks["I7"].result == "UNCHECKED"


def test_lag_that_did_not_end_fails() -> None:
    """With --wait-lag, records that never arrived are a failure of I6."""
    proofs = clean()
    proofs.lag = ["shard 0 is at record 9, the ledger at 7, after 1 s"]
    verdict = judge(proofs)
    assert verdict.checks["I6"].result == "UNCHECKED"
    assert not verdict.ok


def test_every_invariant_has_its_sentence() -> None:
    """The table names I1 to I3 and I6 to I10; I4 and I5 need tests that crash things."""
    assert list(STATEMENTS) == ["I1", "I2", "I3", "I6", "I7", "I8", "I9", "I10"]
