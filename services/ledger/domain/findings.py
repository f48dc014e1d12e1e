"""What a proof has found. Pure."""

from enum import IntEnum
from typing import NamedTuple

from ledger.domain.account import Mismatch

MAX_KEPT = 1_000
"""Differences that are kept; the rest is only counted."""


class Kind(IntEnum):
    """What a difference is about; the numbers are the contract's."""

    HASH = 1
    GAP = 2
    REPLAY = 3
    ENTRIES = 4
    BALANCE = 5
    WALLET = 6
    SUM = 7
    NEGATIVE = 8
    TRANSIT = 9
    LEG = 10
    HOLD = 11
    FORK = 12


class Difference(NamedTuple):
    """Something that does not hold. Ids are empty where it is about none."""

    kind: Kind
    shard: int
    expected: str
    actual: str
    detail: str
    seq: int = 0
    wallet_id: bytes = b""
    tx_id: bytes = b""


class Findings:
    """The differences that a proof has found: the first thousand, and how many there are."""

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.differences: list[Difference] = []
        self.count = 0

    def add(  # each is a field of the report
        self,
        kind: Kind,
        detail: str,
        expected: object,
        actual: object,
        *,
        seq: int = 0,
        wallet_id: bytes = b"",
        tx_id: bytes = b"",
        shard: int | None = None,
    ) -> None:
        """Add a difference of this shard, or of the one given."""
        self.count += 1
        if len(self.differences) < MAX_KEPT:
            where = self.shard if shard is None else shard
            self.differences.append(
                Difference(
                    *(kind, where, str(expected), str(actual), detail), seq, wallet_id, tx_id
                )
            )

    def add_mismatch(self, mismatch: Mismatch) -> None:
        """Add what a replay found in a record."""
        self.add(
            Kind.REPLAY,
            mismatch.what,
            mismatch.expected,
            mismatch.actual,
            seq=mismatch.seq,
            wallet_id=mismatch.wallet_id,
            tx_id=mismatch.tx_id,
        )
