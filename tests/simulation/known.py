"""What the simulated clients know to exist: wallets, holds, and movements that they may reverse."""

import random
from dataclasses import dataclass, field
from typing import NamedTuple

from guilder.wallet.v1 import resources_pb2 as res
from tests.simulation.order import Movement, Order, Reply
from walletkit.ids import SLOTS, parse_id, slot_of

SHARDS = 2
RECENT_HOLDS = 8
"""Clients compete for so few holds, and originals, that most meet others there."""
RECENT_MOVEMENTS = 12


class Known(NamedTuple):
    """A wallet that a client has made."""

    wallet_id: str
    account_id: str
    currency: str

    @property
    def shard(self) -> int:
        """Number of its shard."""
        return slot_of(parse_id(self.wallet_id)) * SHARDS // SLOTS


class KnownHold(NamedTuple):
    """A hold that a client has made."""

    hold_id: str
    wallet: Known
    destination: str
    """Where captures go: a wallet, or empty where they may choose."""
    amount: int


@dataclass
class Book:
    """All of it."""

    wallets: list[Known] = field(default_factory=list)
    holds: list[KnownHold] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    _learned: set[int] = field(default_factory=set)

    def learn(self, order: Order, reply: Reply) -> None:
        """Note what an order has made, once."""
        if reply.reason or id(order) in self._learned:
            return
        self._learned.add(id(order))
        message = reply.message
        if order.method == "CreateWallet":
            wallet = message.wallet
            self.wallets.append(Known(wallet.wallet_id, wallet.account_id, wallet.currency_code))
        elif order.method == "Authorize":
            self._hold(message.hold)
        elif order.lines:
            amount = message.transaction.amount.amount_minor
            lines = tuple(line._replace(amount=line.amount or amount) for line in order.lines)
            moved = Movement(message.transaction.transaction_id, order.method, lines)
            self.movements.append(moved)
        for part in order.parts:
            self.learn(part, part.replies[-1])

    def wallet(self, wallet_id: str) -> Known | None:
        """Return a wallet by its id."""
        return next((known for known in self.wallets if known.wallet_id == wallet_id), None)

    def other(self, chance: random.Random, source: Known, *, misfit: float = 0.0) -> Known:
        """Draw a wallet of the same currency; with a small probability of any."""
        young = chance.random() < 0.1
        others = [known for known in self.wallets if known is not source]
        if chance.random() >= misfit:
            fitting = [known for known in others if known.currency == source.currency]
            others = fitting or others
        return chance.choice(others[-4:] if young else others)

    def _hold(self, hold: res.Hold) -> None:
        wallet = self.wallet(hold.wallet_id)
        if wallet is not None:
            made = KnownHold(
                hold.hold_id, wallet, hold.destination_wallet_id, hold.authorized_minor
            )
            self.holds.append(made)
