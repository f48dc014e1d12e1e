"""Orders for several postings at once, and for money that goes back."""

import random

from guilder.wallet.v1 import postings_pb2 as pb
from tests.simulation.asking import Asking, money
from tests.simulation.known import RECENT_MOVEMENTS, Book, Known
from tests.simulation.order import Line, Movement, Order

FEES, EXCHANGE = "sys:fees", "sys:exchange"


class MoneyOrders:
    """Draws postings and reversals."""

    def __init__(self, chance: random.Random, book: Book, asking: Asking) -> None:
        """Draw from ``chance``, with keys of ``asking``."""
        self._chance = chance
        self._book = book
        self._asking = asking

    def post(self) -> Order | None:
        """Post two to six lines: a fee, a split, an exchange, money passed on, several payers."""
        payer = self._chance.choice(self._book.wallets)
        shape = self._chance.choice(
            (self._fee, self._split, self._split, self._exchange, self._passed_on, self._payers)
        )
        lines = shape(payer)
        if lines is None:
            return None
        key = self._asking.key()
        request = pb.PostTransactionRequest(
            postings=[
                pb.Posting(
                    source_wallet_id=line.source,
                    destination_wallet_id=line.destination,
                    amount=money(line.currency, line.amount),
                )
                for line in lines
            ],
            idempotency_key=key,
            reference=key,
        )
        return Order("PostTransaction", request, scope_of(lines), lines=tuple(lines))

    def reverse(self) -> Order | None:
        """Send part or all of a recent movement back; others are at it, too."""
        recent = self._book.movements[-RECENT_MOVEMENTS:]
        if not recent:
            return None
        original, key = self._chance.choice(recent), self._asking.key()
        if original.method == "ReverseTransaction" and self._chance.random() < 0.9:
            return None
        request = pb.ReverseTransactionRequest(
            transaction_id=original.tx_id, idempotency_key=key, reference=key, reason="sent back"
        )
        amount = 0
        if len(original.lines) == 1 and original.method != "PostTransaction":
            whole, luck = original.lines[0].amount, self._chance.random()
            if luck < 0.75:
                amount = self._chance.randint(1, max(1, whole // 2))
                if luck < 0.1:
                    amount = whole + 1
                request.amount.CopyFrom(money(original.lines[0].currency, amount))
        lines = turned(original, amount)
        return Order("ReverseTransaction", request, scope_of(lines), lines=lines, original=original)

    def _line(self, source: str, destination: str, currency: str) -> Line:
        return Line(source, destination, currency, self._chance.choice((1, 9, 35, 210)))

    def _fee(self, payer: Known) -> list[Line]:
        payee = self._book.other(self._chance, payer)
        return [
            self._line(payer.wallet_id, payee.wallet_id, payer.currency),
            self._line(payer.wallet_id, FEES, payer.currency),
        ]

    def _split(self, payer: Known) -> list[Line]:
        return [
            self._line(
                payer.wallet_id, self._book.other(self._chance, payer).wallet_id, payer.currency
            )
            for _ in range(self._chance.randint(2, 6))
        ]

    def _exchange(self, payer: Known) -> list[Line] | None:
        others = [known for known in self._book.wallets if known.currency != payer.currency]
        if not others:
            return None
        payee = self._chance.choice(others)
        return [
            self._line(payer.wallet_id, EXCHANGE, payer.currency),
            self._line(EXCHANGE, payee.wallet_id, payee.currency),
            self._line(payer.wallet_id, FEES, payer.currency),
        ]

    def _passed_on(self, payer: Known) -> list[Line]:
        """Pay one who pays another with it; now and then the one is on another shard."""
        middle = self._book.other(self._chance, payer)
        if middle.shard != payer.shard and self._chance.random() < 0.7:
            return self._fee(payer)
        payee = self._book.other(self._chance, middle)
        return [
            self._line(payer.wallet_id, middle.wallet_id, payer.currency),
            self._line(middle.wallet_id, payee.wallet_id, payer.currency),
        ]

    def _payers(self, payer: Known) -> list[Line]:
        """Let several wallets of one shard pay one."""
        payee = self._book.other(self._chance, payer)
        payers = [
            known
            for known in self._book.wallets
            if known.shard == payer.shard and known.currency == payer.currency
        ]
        chosen = self._chance.sample(payers, min(len(payers), 3))
        return [
            self._line(known.wallet_id, payee.wallet_id, payer.currency)
            for known in chosen
            if known is not payee
        ] or self._fee(payer)


def turned(original: Movement, amount: int) -> tuple[Line, ...]:
    """Return what sends a movement back: its lines turned round, the last one first."""
    return tuple(
        Line(line.destination, line.source, line.currency, amount if single else line.amount)
        for single in (original.method != "PostTransaction",)
        for line in reversed(original.lines)
    )


def scope_of(lines: list[Line] | tuple[Line, ...]) -> str:
    """Return the wallet whose key it is: the lowest that pays, else the lowest that is paid."""
    payers = [line.source for line in lines if is_wallet(line.source)]
    payees = [line.destination for line in lines if is_wallet(line.destination)]
    return min(payers or payees)


def is_wallet(side: str) -> bool:
    """Tell whether a side is a customer's wallet."""
    return bool(side) and not side.startswith("sys:")
