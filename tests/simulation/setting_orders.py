"""Orders that set limits, and that freeze accounts."""

import random

from guilder.wallet.v1 import limits_pb2 as pb
from guilder.wallet.v1 import resources_pb2 as res
from tests.simulation.asking import Asking
from tests.simulation.known import Book
from tests.simulation.order import Order


class SettingOrders:
    """Draws what changes wallets and accounts without moving money."""

    def __init__(self, chance: random.Random, book: Book, asking: Asking) -> None:
        """Draw from ``chance``, with keys of ``asking``."""
        self._chance = chance
        self._book = book
        self._asking = asking
        self._frozen: list[str] = []

    def limits(self) -> Order:
        """Limit a wallet tightly, loosely, or not at all."""
        wallet = self._chance.choice(self._book.wallets)
        request = pb.SetWalletLimitsRequest(
            wallet_id=wallet.wallet_id,
            limits=self._limits(),
            idempotency_key=self._asking.key(),
        )
        return Order("SetWalletLimits", request, wallet.wallet_id)

    def freeze(self) -> Order:
        """Freeze an account."""
        account = self._chance.choice(self._book.wallets).account_id
        self._frozen.append(account)
        request = pb.FreezeAccountRequest(
            account_id=account,
            scope=self._chance.choice((res.FREEZE_SCOPE_ALL, res.FREEZE_SCOPE_DEBITS)),
            idempotency_key=self._asking.key(),
        )
        return Order("FreezeAccount", request, account)

    def unfreeze(self) -> Order:
        """Free an account, rather one of those that were frozen last."""
        any_ = self._chance.choice(self._book.wallets).account_id
        account = self._chance.choice(self._frozen[-2:] or [any_])
        request = pb.UnfreezeAccountRequest(account_id=account, idempotency_key=self._asking.key())
        return Order("UnfreezeAccount", request, account)

    def _limits(self) -> res.WalletLimits:
        chance, limits = self._chance, res.WalletLimits()
        if chance.random() < 0.2:
            return limits
        limits.over_capture_percent = chance.choice((0, 20, 100))
        limits.overdraft_limit_minor = chance.choice((0, 0, 300))
        if chance.random() < 0.6:
            limits.max_balance_minor = chance.choice((500, 1_200, 4_000))
        if chance.random() < 0.3:
            limits.min_balance_minor = chance.choice((0, 50, 200))
        if chance.random() < 0.3:
            limits.max_transaction_minor = chance.choice((100, 600))
        seen = set()
        for _ in range(chance.randint(0, 3)):
            window, basis = chance.choice((1, 2, 3)), chance.choice((1, 1, 2, 3))
            if (window, basis) in seen:
                continue
            seen.add((window, basis))
            limit = limits.velocity.add(
                window=window,
                basis=basis,
                max_amount_minor=chance.choice((400, 1_500, 5_000)),
            )
            if basis != res.VELOCITY_BASIS_NET_DEBITS and chance.random() < 0.3:
                limit.max_count = chance.choice((3, 20))
        return limits
