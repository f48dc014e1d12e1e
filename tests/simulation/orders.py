"""What a simulated client asks for, what it hears, and a seeded stream of it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1 import wallet_service_pb2 as pb

CURRENCIES = ("EUR", "EUR", "EUR", "JPY")
MISSING = "01a20000-0000-7001-8000-000000000001"

DOUBTFUL = frozenset({"OUTCOME_UNKNOWN", "DEADLINE_EXCEEDED", "CANCELLED", "UNAVAILABLE"})
"""Answers that leave open whether the call was done; UNAVAILABLE: not even a reason came."""
TRANSIENT = DOUBTFUL | {"SHARD_UNAVAILABLE", "OVERLOADED", "SHUTTING_DOWN"}
"""Answers after which a client asks again with the same key."""


class Reply(NamedTuple):
    """One answer to one attempt; ``reason`` is empty when it succeeded."""

    reason: str
    metadata: Mapping[str, str]
    message: Any


@dataclass(slots=True, eq=False)
class Order:
    """A request with its key, and every answer to it."""

    method: str
    request: Any
    scope: str
    """The wallet's text or the account, in which the key is unique."""
    spoils: "Order | None" = None
    """The order whose key this one uses for something else."""
    replies: list[Reply] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The idempotency key."""
        return str(self.request.idempotency_key)


class Known(NamedTuple):
    """A wallet that the client has made."""

    wallet_id: str
    account_id: str
    currency: str


class Orders:
    """Random orders from a seed, over the wallets that exist by now."""

    def __init__(self, chance: random.Random, accounts: Sequence[str]) -> None:
        """Draw from ``chance``; wallets are made for these accounts."""
        self._chance = chance
        self._accounts = accounts
        self._made = 0
        self.wallets: list[Known] = []
        self.past: list[Order] = []

    def next(self) -> Order:
        """Return the next order: mostly new, sometimes an old one or one that spoils its key."""
        luck = self._chance.random()
        if self.past and luck < 0.05:
            return self._chance.choice(self.past)
        if self.past and luck < 0.08:
            return self._spoiling(self._chance.choice(self.past))
        order = self._fresh()
        self.past.append(order)
        return order

    def create(self) -> Order:
        """Return the order that creates a wallet."""
        account = self._chance.choice(self._accounts)
        currency = self._chance.choice(CURRENCIES)
        request = pb.CreateWalletRequest(
            account_id=account, currency_code=currency, idempotency_key=self._key()
        )
        return Order("CreateWallet", request, account)

    def deposit(self, wallet: Known, amount: int) -> Order:
        """Return the order that brings money in."""
        key = self._key()
        request = pb.DepositRequest(
            wallet_id=wallet.wallet_id,
            amount=Money(currency_code=wallet.currency, amount_minor=amount),
            idempotency_key=key,
            reference=key,
        )
        return Order("Deposit", request, wallet.wallet_id)

    def _fresh(self) -> Order:
        luck = self._chance.random()
        wallet = self._chance.choice(self.wallets)
        if luck < 0.80:
            return self._transfer(wallet)
        if luck < 0.88:
            return self.deposit(wallet, self._chance.randint(1, 300))
        if luck < 0.93:
            order = self.deposit(wallet, self._chance.randint(1, 300))
            request = pb.WithdrawRequest.FromString(order.request.SerializeToString())
            return Order("Withdraw", request, wallet.wallet_id)
        if luck < 0.96:
            return self.create()
        method = self._chance.choice(("FreezeWallet", "UnfreezeWallet", "UnfreezeWallet"))
        if luck > 0.98:
            method = "CloseWallet"
            # A young one may still be empty, and others may be sending to it just then.
            wallet = self._chance.choice(self.wallets[-4:])
        request = getattr(pb, f"{method}Request")(
            wallet_id=wallet.wallet_id, idempotency_key=self._key()
        )
        return Order(method, request, wallet.wallet_id)

    def _transfer(self, source: Known) -> Order:
        destination = self._chance.choice(self.wallets)
        if self._chance.random() < 0.1:
            destination = self._chance.choice(self.wallets[-4:])
        while destination is source or (
            destination.currency != source.currency and self._chance.random() < 0.95
        ):
            destination = self._chance.choice(self.wallets)
        there = MISSING if self._chance.random() < 0.01 else destination.wallet_id
        key = self._key()
        request = pb.TransferRequest(
            source_wallet_id=source.wallet_id,
            destination_wallet_id=there,
            amount=Money(
                currency_code=source.currency, amount_minor=self._chance.choice((1, 7, 60, 900))
            ),
            idempotency_key=key,
            reference=key,
        )
        return Order("Transfer", request, source.wallet_id)

    def _spoiling(self, first: Order) -> Order:
        request = type(first.request).FromString(first.request.SerializeToString())
        if first.spoils is not None or "amount" not in request.DESCRIPTOR.fields_by_name:
            return first
        request.amount.amount_minor += 1
        return Order(first.method, request, first.scope, spoils=first)

    def _key(self) -> str:
        self._made += 1
        return f"order-{self._made}"
