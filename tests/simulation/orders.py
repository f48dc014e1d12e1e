"""What a simulated client asks for, what it hears, and a seeded stream of it."""

import random
import time
from collections.abc import Callable, Sequence

from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.simulation.asking import Asking
from tests.simulation.batch_orders import BatchOrders
from tests.simulation.hold_orders import HoldOrders
from tests.simulation.known import Book, Known
from tests.simulation.money_orders import MoneyOrders
from tests.simulation.order import Line, Order, Reply
from tests.simulation.setting_orders import SettingOrders

CURRENCIES = ("EUR", "EUR", "EUR", "JPY")
DAY_S = 86_400
MISSING = "01a20000-0000-7001-8000-000000000001"


class Orders(Asking):
    """Random orders from a seed, over what exists by now."""

    def __init__(self, chance: random.Random, accounts: Sequence[str]) -> None:
        """Draw from ``chance``; wallets are made for these accounts."""
        super().__init__(chance, Book())
        self._accounts = accounts
        self.past: list[Order] = []
        self._frozen: list[Known] = []
        holds = HoldOrders(chance, self.book, self)
        money = MoneyOrders(chance, self.book, self)
        settings = SettingOrders(chance, self.book, self)
        batches = BatchOrders(chance, self.book, self, holds)
        mix: dict[Callable[[], Order | None], float] = {
            self._transfer: 40,
            self._bring: 8,
            self._take: 3,
            self.create: 2.5,
            self._status: 2,
            self._close: 0.7,
            holds.authorize: 9,
            holds.change: 20,
            money.reverse: 8,
            money.post: 7,
            batches.atomic: 5,
            settings.limits: 3,
            settings.freeze: 0.4,
            settings.unfreeze: 2,
        }
        self._makers, self._weights = list(mix), list(mix.values())

    @property
    def wallets(self) -> list[Known]:
        """The wallets that exist."""
        return self.book.wallets

    def next(self) -> Order:
        """Return the next order: mostly new, sometimes an old one or one that spoils its key."""
        luck = self.chance.random()
        if self.past and luck < 0.05:
            return self.chance.choice(self.past)
        if self.past and luck < 0.08:
            return self._spoiling(self.chance.choice(self.past))
        order = self._fresh()
        self.past.append(order)
        return order

    def learn(self, order: Order, reply: Reply) -> None:
        """Note what an order has made."""
        self.book.learn(order, reply)

    def create(self) -> Order:
        """Return the order that creates a wallet."""
        account = self.chance.choice(self._accounts)
        currency = self.chance.choice(CURRENCIES)
        request = pb.CreateWalletRequest(
            account_id=account, currency_code=currency, idempotency_key=self.key()
        )
        return Order("CreateWallet", request, account)

    def deposit(self, wallet: Known, amount: int) -> Order:
        """Return the order that brings money in."""
        key = self.key()
        request = pb.DepositRequest(
            wallet_id=wallet.wallet_id,
            amount=Money(currency_code=wallet.currency, amount_minor=amount),
            idempotency_key=key,
            reference=key,
        )
        line = Line("", wallet.wallet_id, wallet.currency, amount)
        return Order("Deposit", request, wallet.wallet_id, lines=(line,))

    def _fresh(self) -> Order:
        """Draw until there is something to do it to: at first there is no hold yet."""
        while True:
            (make,) = self.chance.choices(self._makers, self._weights)
            order = make()
            if order is not None:
                self._date(order)
                return order

    def _date(self, order: Order) -> None:
        """Let every fifth movement count at a time of its own, long ago or soon."""
        fields = order.request.DESCRIPTOR.fields_by_name
        if "effective_time" in fields and self.chance.random() < 0.2:
            days = self.chance.randint(-400, 300)
            order.request.effective_time.FromSeconds(int(time.time()) + days * DAY_S)

    def _bring(self) -> Order:
        return self.deposit(self.chance.choice(self.wallets), self.chance.randint(1, 600))

    def _take(self) -> Order:
        wallet, key = self.chance.choice(self.wallets), self.key()
        amount = self.chance.randint(1, 300)
        request = pb.WithdrawRequest(
            wallet_id=wallet.wallet_id,
            amount=Money(currency_code=wallet.currency, amount_minor=amount),
            idempotency_key=key,
            reference=key,
        )
        line = Line(wallet.wallet_id, "", wallet.currency, amount)
        return Order("Withdraw", request, wallet.wallet_id, lines=(line,))

    def _status(self) -> Order:
        """Freeze a wallet, or rather free one of those that were frozen last."""
        if self.chance.random() < 0.65:
            wallet = self.chance.choice(self._frozen[-4:] or self.wallets)
            undo = pb.UnfreezeWalletRequest(wallet_id=wallet.wallet_id, idempotency_key=self.key())
            return Order("UnfreezeWallet", undo, wallet.wallet_id)
        wallet = self.chance.choice(self.wallets)
        self._frozen.append(wallet)
        request = pb.FreezeWalletRequest(
            wallet_id=wallet.wallet_id,
            idempotency_key=self.key(),
            scope=self.chance.choice((res.FREEZE_SCOPE_ALL, res.FREEZE_SCOPE_DEBITS)),
        )
        return Order("FreezeWallet", request, wallet.wallet_id)

    def _close(self) -> Order:
        # A young one may still be empty, and others may be sending to it just then.
        wallet = self.chance.choice(self.wallets[-4:])
        request = pb.CloseWalletRequest(wallet_id=wallet.wallet_id, idempotency_key=self.key())
        return Order("CloseWallet", request, wallet.wallet_id)

    def _transfer(self) -> Order:
        source = self.chance.choice(self.wallets)
        destination = self.book.other(self.chance, source, misfit=0.05)
        there = MISSING if self.chance.random() < 0.01 else destination.wallet_id
        key, amount = self.key(), self.chance.choice((1, 7, 60, 900))
        request = pb.TransferRequest(
            source_wallet_id=source.wallet_id,
            destination_wallet_id=there,
            amount=Money(currency_code=source.currency, amount_minor=amount),
            idempotency_key=key,
            reference=key,
        )
        line = Line(source.wallet_id, there, source.currency, amount)
        return Order("Transfer", request, source.wallet_id, lines=(line,))

    def _spoiling(self, first: Order) -> Order:
        """Ask for something else under the same key: one unit more, or another description."""
        request = type(first.request).FromString(first.request.SerializeToString())
        fields = request.DESCRIPTOR.fields_by_name
        if first.spoils is not None:
            return first
        lines = first.lines
        if "amount" in fields and request.HasField("amount"):
            request.amount.amount_minor += 1
            lines = tuple(line._replace(amount=line.amount + 1) for line in lines)
        elif "description" in fields:
            request.description = "spoiled"
        else:
            return first
        return Order(
            first.method,
            request,
            first.scope,
            lines=lines,
            original=first.original,
            spoils=first,
        )
