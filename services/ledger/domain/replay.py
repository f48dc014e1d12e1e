"""Replay a shard's records from nothing, and compare what is kept with what comes out. Pure.

Memory grows with the wallets, open legs and open holds, never with records or entries: a wallet's
entries are folded into a digest that does not depend on their order, so they can be read back in
the order in which they are stored.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ledger.domain.account import Account
from ledger.domain.findings import Findings, Kind
from ledger.domain.journal import Entry, journal
from ledger.domain.reconciling import LegKey, OpenLeg, leg_text
from ledger.domain.record import Leg, Record, Side
from ledger.domain.sparse import SparseReplay
from walletkit.chain import genesis_hash, next_hash

_DIGEST_MASK = 2**64 - 1


class Fold(NamedTuple):
    """Any number of entries, folded: how many, and the sum of their digests."""

    entries: int
    digest: int


EMPTY = Fold(0, 0)


def fold(folded: Fold, entry: Entry) -> Fold:
    """Add an entry.

    Fits only folds of the same process: Python seeds its hash of bytes anew at each start.
    """
    _, version, day, seq, n, number, tx_id, other, delta, after, time_us, kind = entry
    # hash(-1) equals hash(-2); odd multiples keep negative numbers apart.
    signs = (4 * n + 1, 4 * delta + 1, 4 * after + 1)
    digest = hash((version, day, seq, number, tx_id, other, time_us, kind, *signs))
    return Fold(folded.entries + 1, folded.digest + digest & _DIGEST_MASK)


class Replay:
    """One shard, replayed record by record. Differences go to ``findings``."""

    def __init__(self, shard: int, findings: Findings, watched: Iterable[bytes] = ()) -> None:
        self.findings = findings
        self.seq = 0
        self.hash = genesis_hash(shard)
        self.records = 0
        self.transactions = 0
        self.entries = 0
        self.accounts: dict[bytes, Account] = {}
        self.sparse = SparseReplay(findings)
        self.folds: dict[bytes, Fold] = {}
        self.open_legs: dict[LegKey, Leg] = {}
        self.watched: dict[bytes, dict[int, Entry]] = {wallet_id: {} for wallet_id in watched}
        """Entries of the wallets that the caller wants to see one by one, by version."""

    def chain(self, seq: int, prev_hash: bytes, hash_: bytes, payload: bytes) -> None:
        """Check that a record follows the one before, and go on from what it says of itself."""
        if seq != self.seq + 1:
            found = f"record {seq} follows record {self.seq}"
            self.findings.add(Kind.GAP, found, self.seq + 1, seq, seq=seq)
        elif prev_hash != self.hash:
            text = "prev_hash is not the hash of the record before"
            self.findings.add(Kind.HASH, text, self.hash.hex(), prev_hash.hex(), seq=seq)
        expected = next_hash(prev_hash, payload)
        if expected != hash_:
            text = "the hash does not follow from prev_hash and the bytes"
            self.findings.add(Kind.HASH, text, expected.hex(), hash_.hex(), seq=seq)
        self.seq, self.hash = seq, hash_
        self.records += 1

    def apply(self, seq: int, record: Record) -> None:
        """Replay what a record does."""
        shard = self.findings.shard
        if record.shard != shard:
            self.findings.add(Kind.REPLAY, "record of another shard", shard, record.shard, seq=seq)
        done = journal(
            *(record, seq, self.accounts, self.findings.add_mismatch),
            holds=self.sparse.holds,
            assets=self.sparse.assets,
        )
        entries = done.entries
        self.accounts.update(done.accounts)
        self.sparse.apply(seq, record, done)
        for entry in entries:
            self.folds[entry[0]] = fold(self.folds.get(entry[0], EMPTY), entry)
            if entry[0] in self.watched:
                self.watched[entry[0]][entry[1]] = entry
        for leg in record.legs:
            if leg.side == Side.SENT:
                self.open_legs[leg.tx_id, leg.leg] = leg
        for leg in record.legs:
            if leg.side == Side.CLOSED and self.open_legs.pop((leg.tx_id, leg.leg), None) is None:
                text = f"leg {leg.leg} is closed, but was not open"
                self.findings.add(Kind.LEG, text, "open", "not open", seq=seq, tx_id=leg.tx_id)
        self.transactions += record.transactions
        self.entries += len(entries)

    def compare_end(self, seq: int, hash_: bytes) -> None:
        """Compare where the replay ended with the cursor."""
        if self.seq != seq:
            text = "the last record is not where the cursor stands"
            self.findings.add(Kind.GAP, text, seq, self.seq, seq=seq)
        elif self.hash != hash_:
            text = "the cursor's hash is not the last record's"
            self.findings.add(Kind.HASH, text, self.hash.hex(), hash_.hex(), seq=seq)

    def compare_account(self, wallet_id: bytes, kept: Account) -> None:
        """Compare a kept account with the replayed one."""
        replayed = self.accounts.get(wallet_id)
        if replayed is None:
            text = "an account is kept for a wallet that no record names"
            self.findings.add(Kind.WALLET, text, "none", kept.posted, wallet_id=wallet_id)
            return
        for field, expected, actual in zip(Account._fields, replayed, kept, strict=True):
            if expected != actual:
                text = f"{field} of the account is not what the records give"
                self.findings.add(Kind.BALANCE, text, expected, actual, wallet_id=wallet_id)

    def compare_accounts_seen(self, seen: set[bytes]) -> None:
        """Report replayed wallets that have no account."""
        for wallet_id in sorted(self.accounts.keys() - seen):
            posted = self.accounts[wallet_id].posted
            text = "no account is kept for a wallet of the records"
            self.findings.add(Kind.WALLET, text, posted, "none", wallet_id=wallet_id)

    def compare_open(self, kept: dict[LegKey, OpenLeg]) -> None:
        """Compare the legs kept as open with those that the replay leaves open."""
        replayed = {
            key: (leg.currency, leg.amount, leg.destination) for key, leg in self.open_legs.items()
        }
        for key in sorted(replayed.keys() | kept.keys()):
            expected, actual = replayed.get(key), kept.get(key)
            if expected != actual:
                text = f"leg {key[1]} kept as open is not what the records give"
                shown = leg_text(expected), leg_text(actual)
                self.findings.add(Kind.LEG, text, *shown, tx_id=key[0])

    def wallets_with_other_entries(self, kept: dict[bytes, Fold]) -> list[bytes]:
        """Return the wallets whose kept entries are not those that the records give."""
        return sorted(
            wallet_id
            for wallet_id in self.folds.keys() | kept.keys()
            if self.folds.get(wallet_id, EMPTY) != kept.get(wallet_id, EMPTY)
        )

    def compare_entries(self, wallet_id: bytes, kept: dict[int, Entry]) -> None:
        """Compare a watched wallet's entries one by one."""
        expected = self.watched[wallet_id]
        for version in sorted(expected.keys() | kept.keys()):
            given, found = expected.get(version), kept.get(version)
            if given != found:
                any_entry = given or found
                assert any_entry is not None
                text = f"entry with version {version} is not what the records give"
                shown = _entry_text(given), _entry_text(found)
                seq, tx_id = any_entry[3], any_entry[6]
                self.findings.add(
                    Kind.ENTRIES, text, *shown, seq=seq, wallet_id=wallet_id, tx_id=tx_id
                )


def _entry_text(entry: Entry | None) -> str:
    if entry is None:
        return "none"
    names = (
        "day",
        "seq",
        "n",
        "number",
        "tx",
        "counterparty",
        "delta",
        "balance",
        "time_us",
        "type",
    )
    values = [value.hex() if isinstance(value, bytes) else value for value in entry[2:]]
    return " ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
