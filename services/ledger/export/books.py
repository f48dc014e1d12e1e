"""Replay the records of exported months by the journal that the ledger itself uses. Pure.

Memory grows with the wallets and open holds, never with records or entries. A chain that begins
with its first record is judged by all rules. Of one that begins later, what a wallet was before is
not known: it is taken from the first that the records say of it, and from then on each balance and
version must follow; what hangs on its status, freeze, credit line and holds is not judged.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ledger.domain.account import Account, Mismatch, fresh
from ledger.domain.holding import Hold
from ledger.domain.journal import Entry, Journal, journal, wallets_of
from ledger.domain.record import HoldState, Record
from ledger.export.lines import EntryLine
from walletkit.chain import genesis_hash
from walletkit.ids import is_system, system_parts

_JUDGED_ALWAYS = frozenset(
    {"version", "balance-after", "posting", "currency of a posting", "shard", "capture"}
)
"""What is judged of a wallet whose beginning is not in the months given, by the journal's names."""


class Opening(NamedTuple):
    """A system wallet before a month."""

    version: int
    posted: int


class Books:
    """One shard's books over the months given."""

    def __init__(self, shard: int, seq: int, hash_: bytes) -> None:
        self.shard = shard
        self.seq = seq
        self.hash = hash_
        self.whole = seq == 0
        """Whether they begin with the shard's first record."""
        self.accounts: dict[bytes, Account] = {}
        self._holds: dict[bytes, Hold] = {}
        self._assets: dict[str, int] = {}
        self._adopted: set[bytes] = set()
        self._unsettled: set[bytes] = set()
        """Adopted wallets of which no posting has come: their balance is not known."""

    @property
    def genesis(self) -> bytes:
        """The hash before the shard's first record."""
        return genesis_hash(self.shard)

    def copy(self) -> "Books":
        """Return books that go on from here by themselves."""
        made = Books(self.shard, self.seq, self.hash)
        made.whole = self.whole
        made.accounts = dict(self.accounts)
        made._holds = dict(self._holds)
        made._assets = dict(self._assets)
        made._adopted = set(self._adopted)
        made._unsettled = set(self._unsettled)
        return made

    def open(self, wallets: Mapping[bytes, Opening]) -> list[tuple[bytes, Opening]]:
        """Take in what system wallets were before a month; return those that differ from here.

        With what they are here.
        """
        differing = []
        for wallet_id, said in wallets.items():
            account = self.accounts.get(wallet_id)
            if account is None and not self.whole:
                _, shard, currency = system_parts(wallet_id)
                account = fresh(shard, currency, "")._replace(
                    version=said.version, posted=said.posted
                )
                self.accounts[wallet_id] = account
            here = Opening(account.version, account.posted) if account else Opening(0, 0)
            if here != said:
                differing.append((wallet_id, here))
        return differing

    def apply(
        self, seq: int, record: Record, report: Callable[[Mismatch], None]
    ) -> list[EntryLine]:
        """Replay a record and return its entries; owners of adopted wallets are empty.

        ``report`` is called for each thing that does not fit.
        """
        if not self.whole:
            self._adopt(record)

        def told(mismatch: Mismatch) -> None:
            known = mismatch.wallet_id not in self._adopted
            if known or mismatch.what in _JUDGED_ALWAYS:
                report(mismatch)

        done = journal(*(record, seq, self.accounts, told), holds=self._holds, assets=self._assets)
        self.accounts.update(done.accounts)
        for hold_id, hold in done.holds.items():
            if hold.state == HoldState.AUTHORIZED:
                self._holds[hold_id] = hold
            else:
                self._holds.pop(hold_id, None)
        self._assets.update(record.assets)
        return [self._line(record, done, entry) for entry in done.entries]

    def owner(self, wallet_id: bytes) -> str | None:
        """Return a wallet's account, None where the months given do not say it."""
        account = self.accounts.get(wallet_id)
        if account is None or wallet_id in self._adopted:
            return None
        return account.account_id

    def _line(self, record: Record, done: Journal, entry: Entry) -> EntryLine:
        account = done.accounts[entry[0]]
        effective_us = record.effective.get(entry[4], entry[10])
        return EntryLine(entry, account.account_id, account.currency, effective_us)

    def _adopt(self, record: Record) -> None:
        """Take in the wallets that the record is the first to name, unless it creates them."""
        created = {change.wallet_id for change in record.changes if change.created}
        first: dict[bytes, int] = {}
        for wallet_id, version in _versions(record):
            first[wallet_id] = min(first.get(wallet_id, version), version)
        for wallet_id in wallets_of(record).difference(self.accounts, created):
            if not is_system(wallet_id):
                unknown = fresh(self.shard, "", "")
                self.accounts[wallet_id] = unknown._replace(version=first[wallet_id] - 1)
                self._adopted.add(wallet_id)
                self._unsettled.add(wallet_id)
        if self._unsettled:
            self._settle(record)

    def _settle(self, record: Record) -> None:
        """Take an adopted wallet's balance from the first posting of it, its currency too."""
        found: dict[bytes, tuple[int, int, str]] = {}
        for posting in record.postings:
            _, _, _, source, destination, currency, amount, *after, _ = posting
            for wallet_id, posted, version in (
                (source, after[0] + amount, after[1]),
                (destination, after[2] - amount, after[3]),
            ):
                if wallet_id in self._unsettled:
                    place = (version, posted, currency)
                    found[wallet_id] = min(found.get(wallet_id, place), place)
        for wallet_id, (_, posted, currency) in found.items():
            account = self.accounts[wallet_id]
            self.accounts[wallet_id] = account._replace(posted=posted, currency=currency)
            self._unsettled.discard(wallet_id)


def _versions(record: Record) -> Iterable[tuple[bytes, int]]:
    """Yield the wallets of a record with each version that it gives them."""
    for posting in record.postings:
        yield posting[3], posting[8]
        yield posting[4], posting[10]
    for change in record.changes:
        yield change.wallet_id, change.version
    for held in record.holds:
        yield held.wallet_id, held.version
