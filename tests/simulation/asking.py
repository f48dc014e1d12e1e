"""What all makers of orders share: the seed, keys, and what the clients know."""

import random

from guilder.type.v1.money_pb2 import Money
from tests.simulation.known import Book


class Asking:
    """Draws orders, each with a key of its own."""

    def __init__(self, chance: random.Random, book: Book) -> None:
        """Draw from ``chance``, over what the book knows."""
        self.chance = chance
        self.book = book
        self._made = 0

    def key(self) -> str:
        """Return a fresh key."""
        self._made += 1
        return f"order-{self._made}"


def money(currency: str, amount: int) -> Money:
    """Return an amount."""
    return Money(currency_code=currency, amount_minor=amount)
