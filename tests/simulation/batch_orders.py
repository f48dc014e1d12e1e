"""Orders for several commands, all or none."""

import random
from collections.abc import Sequence

from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.simulation.asking import Asking, money
from tests.simulation.hold_orders import HoldOrders
from tests.simulation.known import Book, Known
from tests.simulation.order import Line, Order

_FIELDS = {
    "Deposit": "deposit",
    "Withdraw": "withdraw",
    "Transfer": "transfer",
    "Authorize": "authorize",
    "CaptureHold": "capture_hold",
    "VoidHold": "void_hold",
}


class BatchOrders:
    """Draws atomic batches: each on one shard, and at each hold at most once."""

    def __init__(
        self, chance: random.Random, book: Book, asking: Asking, holds: HoldOrders
    ) -> None:
        """Draw from ``chance``, with keys of ``asking``."""
        self._chance = chance
        self._book = book
        self._asking = asking
        self._holds = holds

    def atomic(self) -> Order:
        """Return two to five commands under one key."""
        chance, key = self._chance, self._asking.key()
        shard = chance.choice(self._book.wallets).shard
        here = [known for known in self._book.wallets if known.shard == shard]
        parts = [self._move(f"{key}.{n}", here) for n in range(chance.randint(1, 3))]
        if chance.random() < 0.5:
            parts.append(self._holds.authorize(chance.choice(here), f"{key}.hold"))
        recent = self._holds.recent(shard)
        if recent and chance.random() < 0.5:
            hold = chance.choice(recent)
            if chance.random() < 0.6:
                parts.append(self._holds.capture(hold, f"{key}.capture"))
            else:
                parts.append(self._holds.void(hold, keyless=True))
        if len(parts) == 1:
            parts.append(self._move(f"{key}.more", here))
        chance.shuffle(parts)
        return _batch(key, parts)

    def _move(self, reference: str, here: Sequence[Known]) -> Order:
        wallet = self._chance.choice(here)
        amount = self._chance.choice((2, 11, 80, 450))
        asked = money(wallet.currency, amount)
        luck = self._chance.random()
        if luck < 0.2:
            deposit = pb.DepositRequest(
                wallet_id=wallet.wallet_id, amount=asked, reference=reference
            )
            line = Line("", wallet.wallet_id, wallet.currency, amount)
            return Order("Deposit", deposit, wallet.wallet_id, lines=(line,))
        if luck < 0.3:
            withdrawal = pb.WithdrawRequest(
                wallet_id=wallet.wallet_id, amount=asked, reference=reference
            )
            line = Line(wallet.wallet_id, "", wallet.currency, amount)
            return Order("Withdraw", withdrawal, wallet.wallet_id, lines=(line,))
        there = self._book.other(self._chance, wallet, misfit=0.02)
        transfer = pb.TransferRequest(
            source_wallet_id=wallet.wallet_id,
            destination_wallet_id=there.wallet_id,
            amount=asked,
            reference=reference,
        )
        line = Line(wallet.wallet_id, there.wallet_id, wallet.currency, amount)
        return Order("Transfer", transfer, wallet.wallet_id, lines=(line,))


def _batch(key: str, parts: list[Order]) -> Order:
    commands = []
    for part in parts:
        command = pb.BatchCommand()
        getattr(command, _FIELDS[part.method]).CopyFrom(part.request)
        commands.append(command)
    request = pb.BatchExecuteRequest(commands=commands, atomic=True, idempotency_key=key)
    scope = min(part.scope for part in parts)
    return Order("BatchExecute", request, scope, parts=tuple(parts))
