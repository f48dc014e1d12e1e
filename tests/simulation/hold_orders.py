"""Orders for holds: many clients compete for the same few."""

import random
import time

from google.protobuf.timestamp_pb2 import Timestamp

from guilder.wallet.v1 import holds_pb2 as pb
from tests.simulation.asking import Asking, money
from tests.simulation.known import RECENT_HOLDS, Book, Known, KnownHold
from tests.simulation.order import Line, Order

MISSING_HOLD = "01a20000-0000-7001-8000-000000000002"


class HoldOrders:
    """Draws what is done to holds."""

    def __init__(self, chance: random.Random, book: Book, asking: Asking) -> None:
        """Draw from ``chance``, with keys of ``asking``."""
        self._chance = chance
        self._book = book
        self._asking = asking

    def authorize(self, wallet: Known | None = None, reference: str = "") -> Order:
        """Reserve money, often for less than two seconds."""
        wallet = wallet or self._chance.choice(self._book.wallets)
        key = "" if reference else self._asking.key()
        request = pb.AuthorizeRequest(
            wallet_id=wallet.wallet_id,
            amount=money(wallet.currency, self._chance.choice((5, 40, 120, 700))),
            idempotency_key=key,
            reference=reference or key,
        )
        if self._chance.random() < 0.5:
            there = self._book.other(self._chance, wallet, misfit=0.02)
            request.destination_wallet_id = there.wallet_id
        if self._chance.random() < 0.5:
            request.expire_time.CopyFrom(_in_seconds(self._chance.uniform(0.3, 2.0)))
        return Order("Authorize", request, wallet.wallet_id)

    def change(self) -> Order | None:
        """Do something to a hold that others are at, too."""
        hold = self._pick()
        if hold is None:
            return None
        luck = self._chance.random()
        if luck < 0.62:
            return self.capture(hold)
        if luck < 0.76:
            return self._increment(hold)
        return self._extend(hold) if luck < 0.86 else self.void(hold)

    def capture(self, hold: KnownHold, reference: str = "") -> Order:
        """Capture part, all, more than all, or the rest for the last time."""
        key = "" if reference else self._asking.key()
        currency = hold.wallet.currency
        request = pb.CaptureHoldRequest(
            hold_id=hold.hold_id,
            idempotency_key=key,
            reference=reference or key,
            final=self._chance.random() < 0.25,
        )
        luck, amount = self._chance.random(), 0
        if luck < 0.8:
            amount = self._chance.randint(1, max(1, hold.amount // 2))
            if luck < 0.15:
                amount = hold.amount + self._chance.randint(1, max(1, hold.amount // 4))
            request.amount.CopyFrom(money(currency, amount))
        destination = hold.destination
        if (not destination and self._chance.random() < 0.6) or self._chance.random() < 0.03:
            destination = self._book.other(self._chance, hold.wallet).wallet_id
            request.destination_wallet_id = destination
        line = Line(hold.wallet.wallet_id, destination, currency, amount)
        return Order("CaptureHold", request, hold.wallet.wallet_id, lines=(line,))

    def void(self, hold: KnownHold, *, keyless: bool = False) -> Order:
        """Release what is left."""
        key = "" if keyless else self._asking.key()
        request = pb.VoidHoldRequest(hold_id=hold.hold_id, idempotency_key=key)
        if self._chance.random() < 0.03 and not keyless:
            request.hold_id = MISSING_HOLD
        return Order("VoidHold", request, hold.wallet.wallet_id)

    def recent(self, shard: int) -> list[KnownHold]:
        """Return the holds of a shard that clients are at."""
        return [hold for hold in self._book.holds[-RECENT_HOLDS:] if hold.wallet.shard == shard]

    def _pick(self) -> KnownHold | None:
        recent = self._book.holds[-RECENT_HOLDS:]
        return self._chance.choice(recent) if recent else None

    def _increment(self, hold: KnownHold) -> Order:
        request = pb.IncrementHoldRequest(
            hold_id=hold.hold_id,
            amount=money(hold.wallet.currency, self._chance.choice((1, 15, 200))),
            idempotency_key=self._asking.key(),
        )
        return Order("IncrementHold", request, hold.wallet.wallet_id)

    def _extend(self, hold: KnownHold) -> Order:
        request = pb.ExtendHoldRequest(
            hold_id=hold.hold_id,
            expire_time=_in_seconds(self._chance.choice((0.2, 1.0, 3.0, 60.0))),
            idempotency_key=self._asking.key(),
        )
        return Order("ExtendHold", request, hold.wallet.wallet_id)


def _in_seconds(seconds: float) -> Timestamp:
    time_us = time.time_ns() // 1000 + int(seconds * 1_000_000)
    whole, micros = divmod(time_us, 1_000_000)
    return Timestamp(seconds=whole, nanos=micros * 1000)
