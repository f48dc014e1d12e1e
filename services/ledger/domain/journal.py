"""Turn a record into journal entries, given the running balances before it. Pure.

The ledger trusts no number of a record: each customer balance-after and version must follow from
the ones before. System wallets carry none; the ledger counts their versions and sums their balances
in commit order.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import NamedTuple

from ledger.domain.account import Account, Accounts, Mismatch, fresh, refuse
from ledger.domain.record import Change, Record, Status
from walletkit.clock import day_of
from walletkit.ids import system_parts
from walletkit.money import MAX_AMOUNT_MINOR

Entry = tuple[bytes, int, int, int, int, int, bytes, bytes, int, int, int]
"""wallet_id, version, day, seq, n, number, tx_id, counterparty, delta, balance_after, time_us;
sorts by primary key."""

Report = Callable[[Mismatch], None]

_Move = tuple[int, int, int, int, int, bytes, bytes, str, Change | None]
"""version, delta, balance_after, n, number, tx_id, counterparty, currency, change."""

_VERSION_OF = itemgetter(0)
_NONE = b""


class Journal(NamedTuple):
    """What a record does: its entries, and each wallet that it touched, as it is after."""

    entries: list[Entry]
    accounts: dict[bytes, Account]


def wallets_of(record: Record) -> set[bytes]:
    """Return every wallet whose account is needed to journal a record."""
    touched = {change.wallet_id for change in record.changes}
    for posting in record.postings:
        touched.add(posting[3])
        touched.add(posting[4])
    return touched


def journal(record: Record, seq: int, accounts: Accounts, report: Report = refuse) -> Journal:
    """Return the record's entries and the accounts after it; ``accounts`` is not changed.

    ``report`` is called for each thing that does not fit. If it returns, what the record says is
    taken as true, so that one fault in a long replay is reported once. By default it raises
    ``JournalMismatchError``.
    """
    scribe = _Scribe(record, seq, accounts, report)
    for wallet_id, moves in _moves(record, scribe).items():
        if wallet_id[0] == 0:
            scribe.write_system(wallet_id, moves)
        else:
            scribe.write_customer(wallet_id, moves)
    return Journal(scribe.entries, scribe.after)


def _moves(record: Record, scribe: "_Scribe") -> dict[bytes, list[_Move]]:
    """Gather what the record does to each wallet; postings in the record's order."""
    moves: dict[bytes, list[_Move]] = {}
    gather = moves.setdefault
    for posting in record.postings:
        n, number, tx_id, source, destination, currency, amount, debited, _, credited, _ = posting
        if not 0 < amount <= MAX_AMOUNT_MINOR or source == destination:
            scribe.report(source, tx_id, "posting", "1 to 10^15 between two wallets", amount)
        gather(source, []).append(
            (posting[8], -amount, debited, n, number, tx_id, destination, currency, None)
        )
        gather(destination, []).append(
            (posting[10], amount, credited, n, number, tx_id, source, currency, None)
        )
    for change in record.changes:
        gather(change.wallet_id, []).append(
            (change.version, 0, 0, 0, 0, _NONE, _NONE, change.currency, change)
        )
    return moves


class _Scribe:
    """Write one record's entries. One is made for each record."""

    __slots__ = ("_accounts", "_day", "_record", "_report", "_seq", "after", "entries")

    def __init__(self, record: Record, seq: int, accounts: Accounts, report: Report) -> None:
        self._record = record
        self._seq = seq
        self._day = day_of(record.time_us)
        self._accounts = accounts
        self._report = report
        self.entries: list[Entry] = []
        self.after: dict[bytes, Account] = {}

    def report(
        self, wallet_id: bytes, tx_id: bytes, what: str, expected: object, actual: object
    ) -> None:
        """Say what does not fit to whoever asked for the journal."""
        shard = self._record.shard
        self._report(Mismatch(shard, self._seq, wallet_id, tx_id, what, str(expected), str(actual)))

    def write_system(self, wallet_id: bytes, moves: list[_Move]) -> None:
        """Write a system wallet's entries, with versions and balances of the ledger's own."""
        account = self._accounts.get(wallet_id) or self._open_system(wallet_id)
        _, name, _, _, posted, version, debited, credited, last_us = account
        seq, day, time_us = self._seq, self._day, self._record.time_us
        if last_us > time_us:
            day, time_us = day_of(last_us), last_us
        for _, delta, _, n, number, tx_id, other, currency, change in moves:
            if currency != name or change is not None:
                self.report(wallet_id, tx_id, "currency of a posting", name, currency)
            posted += delta
            version += 1
            if delta < 0:
                debited -= delta
            else:
                credited += delta
            self.entries.append(
                (wallet_id, version, day, seq, n, number, tx_id, other, delta, posted, time_us)
            )
        self.after[wallet_id] = Account(
            account.shard, name, "", Status.ACTIVE, posted, version, debited, credited, time_us
        )

    def write_customer(self, wallet_id: bytes, moves: list[_Move]) -> None:
        """Write a customer's entries.

        Versions must be consecutive, each balance follow from the one before, and the status at
        that version allow the posting.

        Postings and changes of one batch may interleave, so their versions give the order.
        """
        if len(moves) > 1:
            moves.sort(key=_VERSION_OF)
        account = self._accounts.get(wallet_id) or self._open_customer(wallet_id, moves[0])
        shard, name, owner, status, posted, version, debited, credited, last_us = account
        if shard != self._record.shard:
            self.report(wallet_id, moves[0][5], "shard", shard, self._record.shard)
        seq, day, time_us = self._seq, self._day, self._record.time_us
        if last_us > time_us:
            day, time_us = day_of(last_us), last_us
        for stated, delta, after, n, number, tx_id, other, currency, change in moves:
            version += 1
            if stated != version:
                self.report(wallet_id, tx_id, "version", version, stated)
                version = stated
            if change is not None:
                self._check_change(change, status, posted)
                status = change.status
                continue
            posted += delta
            if posted != after or currency != name or status != _ACTIVE:
                move = (posted, name), (after, currency)
                self._report_posting(wallet_id, tx_id, *move, _refusal(status, delta, n))
                posted = after
            if delta < 0:
                debited -= delta
            else:
                credited += delta
            self.entries.append(
                (wallet_id, version, day, seq, n, number, tx_id, other, delta, posted, time_us)
            )
        self.after[wallet_id] = Account(
            shard, name, owner, status, posted, version, debited, credited, time_us
        )

    def _open_system(self, wallet_id: bytes) -> Account:
        """Return a system wallet's fresh account.

        Its id must be well-formed and of the record's shard.
        """
        try:
            _, shard, currency = system_parts(wallet_id)
        except ValueError:
            self.report(wallet_id, _NONE, "wallet", "a system wallet", wallet_id.hex())
            return fresh(self._record.shard, "", "")
        if shard != self._record.shard:
            self.report(wallet_id, _NONE, "shard", self._record.shard, shard)
        return fresh(shard, currency, "")

    def _open_customer(self, wallet_id: bytes, first: _Move) -> Account:
        """Return a customer's fresh account; a wallet begins with its creation and nothing else."""
        change = first[-1]
        if change is not None and change.created:
            return fresh(self._record.shard, change.currency, change.account_id)
        self.report(wallet_id, first[5], "wallet", "created before it is used", "unknown")
        unknown = fresh(self._record.shard, first[7], "")
        return unknown._replace(version=first[0] - 1, posted=first[2] - first[1])

    def _check_change(self, change: Change, status: int, posted: int) -> None:
        if change.created != (change.version == 1):
            self.report(change.wallet_id, _NONE, "version at creation", 1, change.version)
        if change.status == _CLOSED and posted != 0:
            self.report(change.wallet_id, _NONE, "balance when closed", 0, posted)
        allowed = _FIRST if change.created else _NEXT.get(status, _NONE_AFTER)
        if change.status not in allowed:
            expected = " or ".join(item.name for item in allowed) or "closed for good"
            self.report(change.wallet_id, _NONE, "status", expected, change.status)

    def _report_posting(
        self,
        wallet_id: bytes,
        tx_id: bytes,
        expected: tuple[int, str],
        stated: tuple[int, str],
        refusal: str,
    ) -> None:
        if refusal:
            self.report(wallet_id, tx_id, "status", refusal, "a posting")
        if stated[1] != expected[1]:
            self.report(wallet_id, tx_id, "currency of a posting", expected[1], stated[1])
        if stated[0] != expected[0]:
            self.report(wallet_id, tx_id, "balance-after", expected[0], stated[0])


def _refusal(status: int, delta: int, n: int) -> str:
    """Say why a wallet can't take a posting; empty if it can.

    A credit that was decided before the freeze still lands: only a landed leg's ``n`` is negative.
    """
    if status == _ACTIVE:
        return ""
    if status != _FROZEN:
        return "no posting of a closed wallet"
    if delta < 0:
        return "no debit of a frozen wallet"
    return "no credit of a frozen wallet but a landed leg" if n >= 0 else ""


_FIRST = (Status.ACTIVE,)
_NONE_AFTER: tuple[Status, ...] = ()
# Reconcile relies on it: from a change it tells what the status was before.
_NEXT: dict[int, tuple[Status, ...]] = {
    Status.ACTIVE: (Status.FROZEN, Status.CLOSED),
    Status.FROZEN: (Status.ACTIVE, Status.CLOSED),
    Status.CLOSED: _NONE_AFTER,
}
_ACTIVE = int(Status.ACTIVE)
_FROZEN = int(Status.FROZEN)
_CLOSED = int(Status.CLOSED)
