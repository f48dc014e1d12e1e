"""Sum a month's entries up: by currency, and for the trial balance. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from ledger.export.errors import ExportError
from ledger.export.lines import EntryLine, TrialLine
from ledger.export.manifest import Sum
from ledger.store.trial import Line
from walletkit.ids import is_system

Key = tuple[int, str, int]
"""Shard, currency, and kind: 0 for customers, else that of a system wallet."""


class Sums:
    """What the entries debited and credited, in minor units."""

    def __init__(self) -> None:
        self.moved: dict[Key, tuple[int, int]] = {}
        """Debit and credit."""
        self._entries: dict[str, int] = {}

    def add(self, shard: int, line: EntryLine) -> None:
        """Add an entry."""
        wallet_id, delta = line.entry[0], line.entry[8]
        key = (shard, line.currency, wallet_id[1] if is_system(wallet_id) else 0)
        debit, credit = self.moved.get(key, (0, 0))
        self.moved[key] = (debit - delta, credit) if delta < 0 else (debit, credit + delta)
        self._entries[line.currency] = self._entries.get(line.currency, 0) + 1

    def told(self) -> tuple[Sum, ...]:
        """Return them by currency."""
        found: dict[str, tuple[int, int]] = {}
        for (_, currency, _), (debit, credit) in self.moved.items():
            debits, credits_ = found.get(currency, (0, 0))
            found[currency] = (debits + debit, credits_ + credit)
        return tuple(
            Sum(
                currency_code=currency,
                entries=self._entries[currency],
                debit_minor=str(debit),
                credit_minor=str(credit),
            )
            for currency, (debit, credit) in sorted(found.items())
        )

    def require_zero(self) -> None:
        """Raise ``ExportError`` where debits are not credits."""
        for shard, currency, net in not_zero(self.moved):
            raise ExportError(
                f"shard: {shard}: the month's entries in {currency} sum to {net}, not to 0. These "
                "books do not hold, and are not exported: see guilder verify"
            )

    def trial(self, end: Iterable[Line]) -> Iterator[TrialLine]:
        """Yield the trial balance, given its lines at the month's end.

        The begin is the end less what the month moved. What moved later alone has no line.
        """
        for line in end:
            debit, credit = self.moved.get((line.shard, line.currency, line.kind), (0, 0))
            if line.debit or line.credit:
                yield TrialLine(
                    *(line.shard, line.currency, line.kind),
                    *(line.debit - debit, line.credit - credit),
                    *(line.debit, line.credit),
                )


def not_zero(figures: Mapping[Key, tuple[int, int]]) -> Iterator[tuple[int, str, int]]:
    """Yield shard, currency and sum where debits are not credits."""
    nets: dict[tuple[int, str], int] = {}
    for (shard, currency, _), (debit, credit) in figures.items():
        nets[shard, currency] = nets.get((shard, currency), 0) + credit - debit
    for (shard, currency), net in sorted(nets.items()):
        if net:
            yield shard, currency, net
