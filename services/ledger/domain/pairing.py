"""Pair what was sent into `transit` with what landed (I2, I10). Pure.

A ledger sees shards at different moments, so a landing may be here before its sending. What can
only be explained by that is no difference; whoever calls decides, by time, whether it still can.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from ledger.domain.findings import Findings, Kind
from ledger.domain.record import Result, Side
from walletkit.record import RETURN_LEG

_SUSPENSE = bytes((0, 5))


class LegRow(NamedTuple):
    """One event of a leg as it is kept."""

    tx_id: bytes
    leg: int
    side: int
    shard: int
    seq: int
    n: int
    currency: str
    amount: int
    destination: bytes
    result: int


class Waiting(NamedTuple):
    """An event whose other half is not here.

    A landing without sending, or a closing without landing.
    """

    event: LegRow
    destination: bytes
    """Where the missing landing should be; empty if the sending is what is missing."""


@dataclass(slots=True)
class Pairs:
    """Legs judged so far."""

    findings: Findings
    paired: int = 0
    open: int = 0
    early: int = 0
    net: dict[str, int] = field(default_factory=dict)
    """What `transit` should hold, per currency: open less early."""
    waiting: list[Waiting] = field(default_factory=list)

    def judge(self, rows: Iterable[LegRow]) -> None:
        """Judge whole transactions' legs.

        ``rows`` are sorted by transaction and leg, legs that are plainly paired left out.
        """
        for _, of_transaction in groupby(rows, key=lambda row: row.tx_id):
            legs = {
                number: list(of_leg)
                for number, of_leg in groupby(of_transaction, key=lambda row: row.leg)
            }
            for number, events in legs.items():
                self._judge_leg(events, legs.get(number ^ RETURN_LEG, []))

    def _judge_leg(self, events: list[LegRow], sibling: list[LegRow]) -> None:
        sent, landed, closed = (
            _side(events, side) for side in (Side.SENT, Side.LANDED, Side.CLOSED)
        )
        for name, times in (("sent", sent), ("landed", landed), ("closed", closed)):
            if len(times) > 1:
                places = ", ".join(f"shard {row.shard} record {row.seq}" for row in times)
                self._differs(times[-1], f"{name} more than once", "once", places)
        if closed and not sent:
            self._differs(closed[0], "closed without being sent", "sent", "not sent")
        if sent and landed:
            self._compare(sent[0], landed[0])
            self.paired += 1
        elif sent:
            self.open += 1
            self._hold(sent[0].currency, sent[0].amount)
            if closed:
                self.waiting.append(Waiting(closed[0], sent[0].destination))
        elif landed:
            self.early += 1
            self._hold(landed[0].currency, -landed[0].amount)
            self.waiting.append(Waiting(landed[0], b""))
        self._judge_return(sent, landed, sibling)

    def _compare(self, sent: LegRow, landed: LegRow) -> None:
        """Compare both halves of a leg."""
        if (sent.currency, sent.amount) != (landed.currency, landed.amount):
            expected = f"{sent.amount} {sent.currency}"
            actual = f"{landed.amount} {landed.currency}"
            self._differs(landed, "landed with another amount", expected, actual)
        credited = landed.result == Result.CREDITED
        if credited and landed.destination != sent.destination:
            expected, actual = sent.destination.hex(), landed.destination.hex()
            self._differs(landed, "landed in another wallet", expected, actual)
        if not credited and not landed.destination.startswith(_SUSPENSE):
            actual = landed.destination.hex()
            self._differs(landed, "not credited, yet not in suspense", "suspense", actual)

    def _judge_return(
        self, sent: list[LegRow], landed: list[LegRow], sibling: list[LegRow]
    ) -> None:
        """Check that returns answer RETURNED landings of the same record, and the reverse."""
        for row in sent:
            if row.leg < RETURN_LEG:
                continue
            answered = [other for other in _side(sibling, Side.LANDED) if _answers(row, other)]
            if not answered:
                text = "a return that answers no returned landing"
                self._differs(row, text, "a landing with result RETURNED in the record", "none")
        for row in landed:
            returned = row.result == Result.RETURNED
            if returned and not any(_answers(other, row) for other in _side(sibling, Side.SENT)):
                text = "a returned landing without its return"
                self._differs(row, text, f"a return of {row.amount} {row.currency}", "none")
            if row.result not in _RESULTS[row.leg >= RETURN_LEG]:
                self._differs(row, "a result that this leg can't have", "another", row.result)

    def _hold(self, currency: str, amount: int) -> None:
        self.net[currency] = self.net.get(currency, 0) + amount

    def _differs(self, row: LegRow, text: str, expected: object, actual: object) -> None:
        self.findings.add(
            *(Kind.LEG, f"leg {row.leg}: {text}", expected, actual),
            seq=row.seq,
            tx_id=row.tx_id,
            shard=row.shard,
        )

    def compare_transit(self, held: dict[str, int]) -> None:
        """Compare what `transit` holds over all shards with what is on its way."""
        for currency in sorted(held.keys() | self.net.keys()):
            expected, actual = self.net.get(currency, 0), held.get(currency, 0)
            if expected != actual:
                text = f"transit holds another sum of {currency} than the legs on their way"
                self.findings.add(Kind.TRANSIT, text, expected, actual)

    def report_missing(self, waiting: Waiting) -> None:
        """Report an event whose other half should be here by now."""
        row = waiting.event
        if waiting.destination:
            self._differs(row, "closed, but never landed", "landed", "not landed")
        else:
            self._differs(row, "landed, but never sent", "sent", "not sent")


_RESULTS = {
    False: (Result.CREDITED, Result.RETURNED),
    True: (Result.CREDITED, Result.SUSPENDED),
}


def _side(events: list[LegRow], side: Side) -> list[LegRow]:
    return [row for row in events if row.side == side]


def _answers(sent: LegRow, landed: LegRow) -> bool:
    """Tell whether a sent return belongs to a landing.

    Same record and place, same money, sent back.
    """
    return (
        landed.result == Result.RETURNED
        and sent.leg == landed.leg + RETURN_LEG
        and (sent.shard, sent.seq, sent.n) == (landed.shard, landed.seq, landed.n)
        and (sent.currency, sent.amount) == (landed.currency, landed.amount)
    )
