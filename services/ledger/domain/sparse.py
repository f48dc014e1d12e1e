"""Replay what only some records have: holds, labels, effective times, assets, admin actions. Pure.

Memory grows with open holds and assets. All else is folded into digests, which are compared with
those of what is kept: a difference is told by its table and the numbers of rows.
"""

from collections.abc import Iterable

from ledger.domain.auditing import audit_rows
from ledger.domain.findings import Findings, Kind
from ledger.domain.holding import Hold
from ledger.domain.journal import Entry, Journal, effective_entries
from ledger.domain.reconciling import hold_text
from ledger.domain.record import HoldState, Record

SparseRow = tuple[bytes | int, ...]
"""Values of a table's ``COLUMNS``."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "labels": ("label", "seq", "n", "tx_id", "time_us"),
    "effective_entries": ("wallet_id", "effective_us", "version", "delta", "time_us", "seq"),
    "hold_changes": (
        *("hold_id", "version", "seq", "kind", "state"),
        *("authorized", "captured", "released", "expire_time_us"),
    ),
    "audit_events": (
        *("seq", "n", "time_us", "action", "actor", "reason", "request_id"),
        *("account_id", "currency", "wallet_id", "tx_id", "original_id"),
        *("state_before", "state_after"),
    ),
}

_DIGEST_MASK = 2**64 - 1


class Digest:
    """Any number of rows in any order: how many, and the sum of their hashes.

    Fits only digests of the same process: Python seeds its hash of bytes anew at each start.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.sum = 0

    def add(self, row: Iterable[object]) -> None:
        """Add a row."""
        # hash(-1) equals hash(-2); odd multiples keep negative numbers apart.
        signs = [4 * value + 1 if isinstance(value, int) else value for value in row]
        self.sum = self.sum + hash(tuple(signs)) & _DIGEST_MASK
        self.rows += 1

    def same(self, other: "Digest") -> bool:
        """Tell whether both have seen the same rows."""
        return (self.rows, self.sum) == (other.rows, other.sum)


class SparseReplay:
    """What one shard's records give. Differences go to ``findings``."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.holds: dict[bytes, Hold] = {}
        """Open ones: an ended hold that changes again is not known here, which is reported."""
        self.assets: dict[str, int] = {}
        self._ended = Digest()
        self._kept_ended = Digest()
        self._digests = {table: Digest() for table in COLUMNS}

    def apply(self, seq: int, record: Record, done: Journal) -> None:
        """Add what a record does, as it was journalled."""
        for hold_id, hold in done.holds.items():
            if hold.state == HoldState.AUTHORIZED:
                self.holds[hold_id] = hold
            else:
                self.holds.pop(hold_id, None)
                self._ended.add((hold_id, *hold))
        for change in record.holds:
            self._digests["hold_changes"].add(
                (
                    *(change.hold_id, change.version, seq, change.kind, change.state),
                    *(change.authorized, change.captured, change.released, change.expire_time_us),
                )
            )
        for label, n, tx_id in record.labels:
            self._digests["labels"].add((label, seq, n, tx_id, record.time_us))
        for row in audit_rows(record, seq, done.accounts):
            self._digests["audit_events"].add(row)
        self._add_effective(record, done.entries)
        self.assets.update(record.assets)

    def _add_effective(self, record: Record, entries: Iterable[Entry]) -> None:
        for wallet_id, effective_us, version, delta, time_us, seq in effective_entries(
            record, entries
        ):
            self._digests["effective_entries"].add(
                (wallet_id, effective_us, version, delta, time_us, seq)
            )

    def compare_hold(self, hold_id: bytes, kept: Hold) -> None:
        """Compare a kept hold with the replayed one, or add it to those that have ended."""
        replayed = self.holds.get(hold_id)
        if replayed is None and kept.state != HoldState.AUTHORIZED:
            self._kept_ended.add((hold_id, *kept))
        elif replayed != kept:
            self._differs(hold_id, replayed, kept)

    def compare_holds_seen(self, seen: set[bytes]) -> None:
        """Report open holds that are not kept, and compare all that have ended at once."""
        for hold_id in sorted(self.holds.keys() - seen):
            self._differs(hold_id, self.holds[hold_id], None)
        if not self._ended.same(self._kept_ended):
            text = "the ended holds kept are not what the records give; their numbers are shown"
            self.findings.add(Kind.HOLD, text, self._ended.rows, self._kept_ended.rows)

    def compare_table(self, table: str, kept: Digest) -> None:
        """Compare all rows of a table at once."""
        expected = self._digests[table]
        if not expected.same(kept):
            kind = Kind.HOLD if table == "hold_changes" else Kind.ENTRIES
            text = f"the rows kept in {table} are not what the records give; numbers are shown"
            self.findings.add(kind, text, expected.rows, kept.rows)

    def compare_assets(self, kept: dict[str, int]) -> None:
        """Compare the assets that this shard has registered; others may be another shard's."""
        for currency, exponent in sorted(self.assets.items()):
            if kept.get(currency) != exponent:
                text = f"exponent kept for {currency} is not what a record gives"
                found = kept.get(currency, "none")
                self.findings.add(Kind.ENTRIES, text, exponent, found)

    def _differs(self, hold_id: bytes, expected: Hold | None, actual: Hold | None) -> None:
        wallet_id = next(hold.wallet_id for hold in (expected, actual) if hold is not None)
        text = f"hold {hold_id.hex()} is not what the records give"
        shown = hold_text(expected), hold_text(actual)
        self.findings.add(Kind.HOLD, text, *shown, wallet_id=wallet_id)
