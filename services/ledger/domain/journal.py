"""Turn a record into journal entries, given the running balances before it. Pure.

The ledger trusts no number of a record: each customer balance-after, version and amount held must
follow from the ones before. System wallets carry none; the ledger counts their versions and sums
their balances in commit order.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple

from ledger.domain.account import Account, Accounts, Mismatch, fresh, refuse
from ledger.domain.changing import hold_refusal, problems_of, refusal
from ledger.domain.holding import Captures, Hold, Holds, Problem, hold_after
from ledger.domain.holding import problems_of as hold_problems_of
from ledger.domain.record import Change, HoldChange, HoldKind, Record, Status
from walletkit.clock import day_of
from walletkit.ids import system_parts
from walletkit.money import MAX_AMOUNT_MINOR

Entry = tuple[bytes, int, int, int, int, int, bytes, bytes, int, int, int, int]
"""wallet_id, version, day, seq, n, number, tx_id, counterparty, delta, balance_after, time_us, then
the transaction's type; sorts by primary key."""

EffectiveEntry = tuple[bytes, int, int, int, int, int]
"""wallet_id, effective_us, version, delta, time_us, seq; sorts by primary key."""

Report = Callable[[Mismatch], None]
Assets = Mapping[str, int]
"""Exponents by currency."""

MAX_EXPONENT = 8

_Move = tuple[int, int, int, int, int, bytes, bytes, str, int, Change | HoldChange | None]
"""version, delta, balance_after, n, number, tx_id, counterparty, currency, type, change."""

_VERSION_OF = itemgetter(0)
_NONE = b""
_NO_HOLDS: Holds = MappingProxyType({})
_NO_ASSETS: Assets = MappingProxyType({})


class Journal(NamedTuple):
    """What a record does: its entries, and each wallet and hold that it touched, as it is after."""

    entries: list[Entry]
    accounts: dict[bytes, Account]
    holds: dict[bytes, Hold]


def wallets_of(record: Record) -> set[bytes]:
    """Return every wallet whose account is needed to journal a record."""
    touched = {change.wallet_id for change in record.changes}
    touched.update([change.wallet_id for change in record.holds])
    touched.update([posting[3] for posting in record.postings])
    touched.update([posting[4] for posting in record.postings])
    return touched


def journal(  # what a record is judged by
    record: Record,
    seq: int,
    accounts: Accounts,
    report: Report = refuse,
    *,
    holds: Holds = _NO_HOLDS,
    assets: Assets = _NO_ASSETS,
) -> Journal:
    """Return the record's entries, and accounts and holds after it; nothing given is changed.

    ``report`` is called for each thing that does not fit. If it returns, what the record says is
    taken as true, so that one fault in a long replay is reported once. By default it raises
    ``JournalMismatchError``.
    """
    scribe = _Scribe(record, seq, accounts, holds, report)
    for wallet_id, moves in _moves(record, scribe).items():
        if wallet_id[0] == 0:
            scribe.write_system(wallet_id, moves)
        else:
            scribe.write_customer(wallet_id, moves)
    scribe.check_captures()
    scribe.check_assets(assets)
    return Journal(scribe.entries, scribe.after, scribe.holds_after)


def effective_entries(record: Record, entries: Iterable[Entry]) -> list[EffectiveEntry]:
    """Return those of a record's entries that count at another time than they were recorded.

    Both sides of a posting, `transit` and `suspense` included. A landed leg, and a return, says the
    time of its transaction, so that what went into `transit` comes out of it at the same time.
    """
    if not record.effective:
        return []
    effective = record.effective
    return [
        (entry[0], effective[entry[4]], entry[1], entry[8], entry[10], entry[3])
        for entry in entries
        if entry[4] in effective
    ]


def _moves(record: Record, scribe: "_Scribe") -> dict[bytes, list[_Move]]:
    """Gather what the record does to each wallet; postings in the record's order."""
    moves: dict[bytes, list[_Move]] = {}
    gather = moves.setdefault
    for posting in record.postings:
        n, number, tx_id, source, destination, currency, amount, debited, _, credited, _, kind = (
            posting
        )
        if not 0 < amount <= MAX_AMOUNT_MINOR or source == destination:
            scribe.report(source, tx_id, "posting", "1 to 10^15 between two wallets", amount)
        gather(source, []).append(
            (posting[8], -amount, debited, n, number, tx_id, destination, currency, kind, None)
        )
        gather(destination, []).append(
            (posting[10], amount, credited, n, number, tx_id, source, currency, kind, None)
        )
    for change in record.changes:
        gather(change.wallet_id, []).append(
            (change.version, 0, 0, 0, 0, _NONE, _NONE, change.currency, 0, change)
        )
    for held in record.holds:
        gather(held.wallet_id, []).append(
            (held.version, 0, 0, 0, 0, held.tx_id, _NONE, held.currency, 0, held)
        )
    return moves


class _Scribe:
    """Write one record's entries. One is made for each record."""

    __slots__ = (
        *("_accounts", "_captures", "_day", "_holds", "_record", "_report", "_seq"),
        *("after", "entries", "holds_after"),
    )

    def __init__(
        self, record: Record, seq: int, accounts: Accounts, holds: Holds, report: Report
    ) -> None:
        self._record = record
        self._seq = seq
        self._day = day_of(record.time_us)
        self._accounts = accounts
        self._holds = holds
        self._report = report
        self._captures = Captures(record)
        self.entries: list[Entry] = []
        self.after: dict[bytes, Account] = {}
        self.holds_after: dict[bytes, Hold] = {}

    def report(
        self, wallet_id: bytes, tx_id: bytes, what: str, expected: object, actual: object
    ) -> None:
        """Say what does not fit to whoever asked for the journal."""
        shard = self._record.shard
        self._report(Mismatch(shard, self._seq, wallet_id, tx_id, what, str(expected), str(actual)))

    def write_system(self, wallet_id: bytes, moves: list[_Move]) -> None:
        """Write a system wallet's entries, with versions and balances of the ledger's own."""
        account = self._accounts.get(wallet_id) or self._open_system(wallet_id)
        _, name, _, _, posted, version, debit, credit, last_us, _, _, _ = account
        seq, day, time_us = self._seq, self._day, self._record.time_us
        if last_us > time_us:
            day, time_us = day_of(last_us), last_us
        for _, delta, _, n, number, tx_id, other, currency, kind, change in moves:
            if currency != name or change is not None:
                self.report(wallet_id, tx_id, "currency of a posting", name, currency)
            posted += delta
            version += 1
            if delta < 0:
                debit -= delta
            else:
                credit += delta
            self.entries.append(
                (
                    wallet_id,
                    version,
                    day,
                    seq,
                    n,
                    number,
                    tx_id,
                    other,
                    delta,
                    posted,
                    time_us,
                    kind,
                )
            )
        self.after[wallet_id] = Account(
            account.shard, name, "", _ACTIVE, posted, version, debit, credit, time_us, 0, 0, 0
        )

    def write_customer(self, wallet_id: bytes, moves: list[_Move]) -> None:
        """Write a customer's entries.

        Versions must be consecutive, each balance and amount held follow from the one before, and
        the status at that version allow what is done. What is available is judged at the end.

        Postings and changes of one batch may interleave, so their versions give the order.
        """
        if len(moves) > 1:
            moves.sort(key=_VERSION_OF)
        account = self._accounts.get(wallet_id) or self._open_customer(wallet_id, moves[0])
        shard, name, owner, status, posted, version, debit, credit, last_us, held, limit, freeze = (
            account
        )
        if shard != self._record.shard:
            self.report(wallet_id, moves[0][5], "shard", shard, self._record.shard)
        seq, day, time_us = self._seq, self._day, self._record.time_us
        if last_us > time_us:
            day, time_us = day_of(last_us), last_us
        for stated, delta, after, n, number, tx_id, other, currency, kind, change in moves:
            version += 1
            if stated != version:
                self.report(wallet_id, tx_id, "version", version, stated)
                version = stated
            if change is not None:
                now = account._replace(
                    status=status,
                    posted=posted,
                    held=held,
                    overdraft_limit=limit,
                    account_freeze=freeze,
                )
                status, held, limit, freeze = self._change(change, now)
                continue
            posted += delta
            if posted != after or currency != name or status != _ACTIVE or freeze:
                move = (posted, name), (after, currency)
                self._report_posting(wallet_id, tx_id, *move, refusal(status, freeze, delta, n))
                posted = after
            if delta < 0:
                debit -= delta
            else:
                credit += delta
            self.entries.append(
                (
                    wallet_id,
                    version,
                    day,
                    seq,
                    n,
                    number,
                    tx_id,
                    other,
                    delta,
                    posted,
                    time_us,
                    kind,
                )
            )
        available = posted - held + limit
        # A wallet below zero is reported where it gets there, not ever again.
        if available < 0 and available < account.available:
            self.report(wallet_id, moves[-1][5], "available balance", "0 or more", available)
        self.after[wallet_id] = Account(
            shard, name, owner, status, posted, version, debit, credit, time_us, held, limit, freeze
        )

    def check_captures(self) -> None:
        """Check that each capture of the record took its money out of a hold."""
        for tx_id, parent in self._captures.left():
            text = "a change of its hold in the record"
            self.report(_NONE, tx_id, "capture", text, f"none of {parent.hex()}")

    def check_assets(self, assets: Assets) -> None:
        """Check that no registered asset changes."""
        for currency, exponent in self._record.assets:
            if exponent > MAX_EXPONENT:
                self.report(_NONE, _NONE, f"exponent of {currency}", "0 to 8", exponent)
            if (known := assets.get(currency, exponent)) != exponent:
                self.report(_NONE, _NONE, f"exponent of {currency}", known, exponent)

    def _change(self, change: Change | HoldChange, now: Account) -> tuple[int, int, int, int]:
        """Return status, held, overdraft limit and freeze after a change that is no posting."""
        if isinstance(change, Change):
            self._report_all(change.wallet_id, _NONE, problems_of(change, now))
            return change.status, now.held, change.overdraft_limit, change.account_freeze
        before = self.holds_after.get(change.hold_id) or self._holds.get(change.hold_id)
        after = hold_after(change, self._record.shard)
        problems = hold_problems_of(change, before, after)
        if text := hold_refusal(now.status, now.account_freeze, change.kind):
            problems.append(("status", text, f"a change of kind {change.kind}"))
        if change.currency != now.currency:
            problems.append(("currency of a hold", now.currency, change.currency))
        held = now.held + after.open - (before.open if before else 0)
        if held != change.held_after:
            problems.append(("held-after", held, change.held_after))
        if change.kind == HoldKind.CAPTURED:
            problems += self._captures.take(change, before)
        self._report_all(change.wallet_id, change.tx_id, problems)
        self.holds_after[change.hold_id] = after
        return now.status, change.held_after, now.overdraft_limit, now.account_freeze

    def _report_all(self, wallet_id: bytes, tx_id: bytes, problems: Iterable[Problem]) -> None:
        for what, expected, actual in problems:
            self.report(wallet_id, tx_id, what, expected, actual)

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
        if isinstance(change, Change) and change.created:
            return fresh(self._record.shard, change.currency, change.account_id)
        self.report(wallet_id, first[5], "wallet", "created before it is used", "unknown")
        unknown = fresh(self._record.shard, first[7], "")
        return unknown._replace(version=first[0] - 1, posted=first[2] - first[1])

    def _report_posting(
        self,
        wallet_id: bytes,
        tx_id: bytes,
        expected: tuple[int, str],
        stated: tuple[int, str],
        refused: str,
    ) -> None:
        if refused:
            self.report(wallet_id, tx_id, "status", refused, "a posting")
        if stated[1] != expected[1]:
            self.report(wallet_id, tx_id, "currency of a posting", expected[1], stated[1])
        if stated[0] != expected[0]:
            self.report(wallet_id, tx_id, "balance-after", expected[0], stated[0])


_ACTIVE = int(Status.ACTIVE)
