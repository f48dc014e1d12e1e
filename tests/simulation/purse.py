"""A wallet at one moment, as the records tell it, and the rules that bound what happens to it.

Shares no code with the wallet service: windows, usage and limits are written here once more.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

ACTIVE, FROZEN, CLOSED, DEBITS_FROZEN = 1, 2, 3, 4
FREE, DEBITS_STOPPED, STOPPED = 0, 1, 2
WINDOWS = ("HOUR", "DAY", "MONTH")
MICROS = 1_000_000


class Spent(NamedTuple):
    """What moved within one window."""

    start_us: int = 0
    debits: int = 0
    credits: int = 0
    begun: int = 0
    received: int = 0

    @property
    def net(self) -> int:
        """What left, less what came in."""
        return self.debits - self.credits


Usage = tuple[Spent, ...]


@dataclass(slots=True)
class Purse:
    """A wallet between two of its versions."""

    account: str = ""
    currency: str = ""
    posted: int = 0
    held: int = 0
    overdraft: int = 0
    status: int = 0
    freeze: int = 0
    version: int = 0
    limits: dict[str, Any] = field(default_factory=dict)
    """As the records spell them; a row of limits exists where there is more than a credit line."""
    usage: Usage = ()
    """Since there is such a row: of the hour, the day, the month."""

    @property
    def available(self) -> int:
        """What can be spent."""
        return self.posted - self.held + self.overdraft

    def limit(self, encoded: bytes) -> None:
        """Take new limits; usage lives as long as the row does."""
        self.limits = json.loads(encoded) if encoded else {}
        bounded = bool(self.limits.keys() - {"overdraft"})
        self.usage = (self.usage or (Spent(),) * 3) if bounded else ()

    def move(self, delta: int, now_us: int) -> None:
        """Count a posting in each window."""
        self.posted += delta
        moved = []
        for spent in self._now(now_us):
            if delta < 0:
                moved.append(spent._replace(debits=spent.debits - delta))
            else:
                credits_, received = spent.credits + delta, spent.received + 1
                moved.append(spent._replace(credits=credits_, received=received))
        self.usage = tuple(moved)

    def begin(self, now_us: int) -> None:
        """Count one more debit or hold."""
        self.usage = tuple(spent._replace(begun=spent.begun + 1) for spent in self._now(now_us))

    def used(self, window: str, now_us: int) -> Spent:
        """Return what moved in a window of now."""
        return self._now(now_us)[WINDOWS.index(window)]

    def _now(self, now_us: int) -> list[Spent]:
        """Begin each window anew that is over; never an earlier one."""
        found = []
        for window, spent in zip(WINDOWS, self.usage, strict=False):
            start = window_start(window, now_us)
            found.append(Spent(start) if start > spent.start_us else spent)
        return found


def window_start(window: str, now_us: int) -> int:
    """Return when the UTC hour, day or month of a moment began."""
    moment = datetime.fromtimestamp(now_us // MICROS, UTC)
    start = moment.replace(minute=0, second=0)
    if window != "HOUR":
        start = start.replace(hour=0)
    if window == "MONTH":
        start = start.replace(day=1)
    return int(start.timestamp()) * MICROS


def debit_faults(  # one debit, in all that bounds it
    purse: Purse, amount: int, now_us: int, *, reserved: int = 0, counted: bool = True
) -> Iterable[str]:
    """Say which rules a debit or hold broke that has just been made.

    ``reserved``: what its hold authorizes by now; 0 for a direct debit. ``counted``: an increment
    is no new debit.
    """
    yield from _state_faults(purse, debit=True)
    if purse.available < 0:
        yield f"{purse.available} available"
    limits, left = purse.limits, purse.posted - purse.held
    size = reserved or amount
    if size > limits.get("max_transaction", size):
        yield f"moved {size}, {limits['max_transaction']} is the largest"
    if left < limits.get("min_balance", left):
        yield f"keeps {left}, {limits['min_balance']} is the least"
    for limit in limits.get("velocity", ()):
        spent, basis = purse.used(limit["window"], now_us), limit["basis"]
        if basis == "CREDITS":
            continue
        used = spent.debits if basis == "DEBITS" else spent.net
        if basis == "NET_DEBITS" and reserved:
            used = max(used, 0)
        most = limit.get("max_amount", 0)
        if most and used + purse.held > most:
            yield f"used {used} and holds {purse.held}, {limit} is the most"
        if counted and limit.get("max_count", 0) and spent.begun > limit["max_count"]:
            yield f"began {spent.begun} debits, {limit} is the most"


def credit_faults(purse: Purse, amount: int, now_us: int, *, local: bool) -> Iterable[str]:
    """Say which rules a credit broke that has just come in; one of another shard may be late."""
    if local:
        yield from _state_faults(purse, debit=False)
    elif purse.status == CLOSED:
        yield "was credited after it had been closed"
    limits = purse.limits
    if amount > limits.get("max_transaction", amount):
        yield f"got {amount}, {limits['max_transaction']} is the largest"
    if purse.posted > limits.get("max_balance", purse.posted):
        yield f"has {purse.posted}, {limits['max_balance']} is the most"
    for limit in limits.get("velocity", ()):
        spent = purse.used(limit["window"], now_us)
        if limit["basis"] != "CREDITS":
            continue
        if limit.get("max_amount", 0) and spent.credits > limit["max_amount"]:
            yield f"got {spent.credits}, {limit} is the most"
        if limit.get("max_count", 0) and spent.received > limit["max_count"]:
            yield f"got {spent.received} credits, {limit} is the most"


def stopped(purse: Purse, *, debit: bool) -> str:
    """Return the reason that forbids to debit or credit a wallet by its state, or nothing."""
    if purse.status == CLOSED:
        return "WALLET_CLOSED"
    if purse.status == FROZEN or (debit and purse.status == DEBITS_FROZEN):
        return "WALLET_FROZEN"
    if purse.freeze == STOPPED or (debit and purse.freeze == DEBITS_STOPPED):
        return "ACCOUNT_FROZEN"
    return ""


def _state_faults(purse: Purse, *, debit: bool) -> Iterable[str]:
    reason = stopped(purse, debit=debit)
    if reason:
        yield f"was {'debited' if debit else 'credited'} in spite of {reason}"
