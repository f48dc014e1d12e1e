"""Count proofs and what they found."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ledger.domain.findings import Findings
from walletkit.telemetry.metrics.ledger import CHECKED, CHECKS, DIFFERENCES

ALL = "all"
"""Stands for the shard of a proof that is of all of them."""


class Proof:
    """A proof that is being run."""

    def __init__(self) -> None:
        self.findings: Findings | None = None


@contextmanager
def told(check: str, shard: str) -> Iterator[Proof]:
    """Count a proof; one that ends without ``findings`` has failed, and tells of no books."""
    proof = Proof()
    result = "failed"
    try:
        yield proof
        if proof.findings is not None:
            result = "different" if proof.findings.count else "equal"
            DIFFERENCES.of(check, shard).set(proof.findings.count)
            CHECKED.of(check, shard).set(time.time())
    finally:
        CHECKS.of(check, result).add()
