"""What the suite should do, said again in plain Python: shares no code with the services.

Each command is judged in stages, in the documented order: existence, state, currency, version,
limits, funds. Within a stage any of the broken rules may be the reason; a rule of a later stage
may not. What is allowed is carried out on plain numbers.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

FULL = 2**63 - 1
WORLD, FEES, EXCHANGE = "sys:world", "sys:fees", "sys:exchange"
SYSTEM = frozenset({WORLD, FEES, EXCHANGE})

Stages = list[set[str]]
Line = tuple[str, str, str, int]
"""Source, destination, currency, amount."""


@dataclass
class Usage:
    """What a limited wallet or account has moved since it is limited."""

    moves: list[tuple[datetime, int]] = field(default_factory=list)
    """Time and change of posted."""
    begun: list[datetime] = field(default_factory=list)

    def debits(self, since: datetime) -> int:
        """Return what left since a moment."""
        return -sum(delta for at, delta in self.moves if at >= since and delta < 0)

    def credits(self, since: datetime) -> int:
        """Return what came in since a moment."""
        return sum(delta for at, delta in self.moves if at >= since and delta > 0)

    def credit_count(self, since: datetime) -> int:
        """Count what came in since a moment."""
        return sum(at >= since and delta > 0 for at, delta in self.moves)

    def begun_count(self, since: datetime) -> int:
        """Count the debits and holds begun since a moment."""
        return sum(at >= since for at in self.begun)


@dataclass
class Rules:
    """Limits of a wallet or account. Velocity: (window, basis, max_amount, max_count)."""

    minimum: int | None = None
    maximum: int | None = None
    single: int | None = None
    over_capture: int = 0
    velocity: tuple[tuple[str, str, int, int], ...] = ()

    @property
    def any(self) -> bool:
        """Tell whether there is anything to keep."""
        return self != Rules()


@dataclass
class Purse:
    """A wallet."""

    wallet_id: str
    account: str
    shard: int
    currency: str
    posted: int = 0
    held: int = 0
    overdraft: int = 0
    status: str = "ACTIVE"
    version: int = 1
    rules: Rules = field(default_factory=Rules)
    usage: Usage = field(default_factory=Usage)

    @property
    def available(self) -> int:
        """What can be spent."""
        return self.posted - self.held + self.overdraft


@dataclass
class Ticket:
    """A hold."""

    hold_id: str
    wallet_id: str
    destination: str
    authorized: int
    captured: int = 0
    released: int = 0
    state: str = "AUTHORIZED"

    @property
    def open(self) -> int:
        """What it still reserves."""
        return self.authorized - self.captured - self.released


@dataclass
class Deal:
    """A transaction."""

    tx_id: str
    kind: str
    lines: list[Line]
    state: str = "COMPLETED"
    reversed: int = 0
    parent: str = ""
    family: str = ""


@dataclass
class Together:
    """What is set for an account in a currency."""

    rules: Rules
    usage: Usage


@dataclass
class Model:
    """All wallets that one walk has made."""

    purses: dict[str, Purse] = field(default_factory=dict)
    tickets: dict[str, Ticket] = field(default_factory=dict)
    deals: dict[str, Deal] = field(default_factory=dict)
    frozen: dict[str, str] = field(default_factory=dict)
    """Accounts: DEBITS or ALL."""
    together: dict[tuple[str, str], Together] = field(default_factory=dict)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)

    # What refuses, stage by stage.

    def state_faults(self, wallet_id: str, *, debit: bool) -> set[str]:
        """Return why money may not leave, or not come into, a wallet."""
        purse = self.purses.get(wallet_id)
        if purse is None:
            return set()
        found = set()
        if purse.status == "CLOSED":
            found.add("WALLET_CLOSED")
        if purse.status == "FROZEN" or (debit and purse.status == "DEBITS_FROZEN"):
            found.add("WALLET_FROZEN")
        freeze = self.frozen.get(purse.account)
        if freeze == "ALL" or (debit and freeze == "DEBITS"):
            found.add("ACCOUNT_FROZEN")
        return found

    def _bounds(self, purse: Purse) -> list[tuple[Rules, Usage, int]]:
        """Return what bounds a wallet: rules, usage, and what is held within them."""
        bounds = []
        if purse.rules.any:
            bounds.append((purse.rules, purse.usage, purse.held))
        shared = self.together.get((purse.account, purse.currency))
        if shared is not None:
            held = sum(
                other.held
                for other in self.purses.values()
                if (other.account, other.currency) == (purse.account, purse.currency)
            )
            bounds.append((shared.rules, shared.usage, held))
        return bounds

    def debit_faults(
        self, purse: Purse, amount: int, now: datetime, *, holding: bool = False, grown: int = 0
    ) -> set[str]:
        """Return the limits that a new debit or hold would break.

        ``holding``: credits of the window make no room for holds. ``grown``: what a hold that is
        incremented had before: the cap bounds all of it, and nothing new begins.
        """
        found = set()
        for rules, usage, held in self._bounds(purse):
            if rules.single is not None and grown + amount > rules.single:
                found.add("TRANSACTION_LIMIT")
            if rules.minimum is not None and purse.posted - purse.held - amount < rules.minimum:
                found.add("BALANCE_BELOW_MINIMUM")
            for window, basis, most, count in rules.velocity:
                since = _start(window, now)
                if basis == "CREDITS":
                    continue
                used = usage.debits(since)
                if basis == "NET_DEBITS":
                    used -= usage.credits(since)
                if holding:
                    used = max(used, 0)
                if most and used + held + amount > most:
                    found.add("VELOCITY_LIMIT")
                if count and not grown and usage.begun_count(since) + 1 > count:
                    found.add("VELOCITY_LIMIT")
        return found

    def credit_faults(
        self, purse: Purse, amount: int, now: datetime, before: tuple[int, ...] = ()
    ) -> set[str]:
        """Return the limits that a credit would break.

        ``before``: what the same command has credited to other wallets of the account already.
        """
        found = {"BALANCE_OVERFLOW"} if purse.posted + amount > FULL else set()
        for rules, usage, _ in self._bounds(purse):
            others = before if usage is not purse.usage else ()
            if rules.single is not None and amount > rules.single:
                found.add("TRANSACTION_LIMIT")
            if rules.maximum is not None and purse.posted + amount > rules.maximum:
                found.add("BALANCE_ABOVE_MAXIMUM")
            for window, basis, most, count in rules.velocity:
                if basis != "CREDITS":
                    continue
                since = _start(window, now)
                if most and usage.credits(since) + sum(others) + amount > most:
                    found.add("VELOCITY_LIMIT")
                if count and usage.credit_count(since) + len(others) + 1 > count:
                    found.add("VELOCITY_LIMIT")
        return found

    # What happens.

    def move(self, wallet_id: str, delta: int, now: datetime) -> None:
        """Post to a customer's wallet; the outside needs no account here."""
        purse = self.purses.get(wallet_id)
        if purse is None:
            return
        for rules, usage, _ in self._bounds(purse):
            assert rules.any
            usage.moves.append((now, delta))
        purse.posted += delta
        purse.version += 1

    def begin(self, wallet_id: str, now: datetime) -> None:
        """Count a debit or hold that begins."""
        purse = self.purses.get(wallet_id)
        if purse is not None:
            for _, usage, _ in self._bounds(purse):
                usage.begun.append(now)

    def reserve(self, purse: Purse, delta: int) -> None:
        """Reserve more, or less."""
        purse.held += delta
        purse.version += 1

    def line_faults(self, lines: list[Line], home: int, now: datetime) -> Stages:
        """Judge postings, each wallet of which appears once; an account may be credited often."""
        credited: dict[tuple[str, str], tuple[int, ...]] = {}
        exists: set[str] = set()
        states: set[str] = set()
        currencies: set[str] = set()
        limits: set[str] = set()
        funds: set[str] = set()
        for source, destination, currency, amount in lines:
            for wallet_id, debit in ((source, True), (destination, False)):
                if wallet_id in SYSTEM or not wallet_id:
                    continue
                purse = self.purses.get(wallet_id)
                if purse is None:
                    exists.add("WALLET_NOT_FOUND")
                    continue
                states |= self.state_faults(wallet_id, debit=debit)
                if purse.currency != currency:
                    currencies.add("CURRENCY_MISMATCH")
                if debit:
                    limits |= self.debit_faults(purse, amount, now)
                    if purse.available < amount:
                        funds.add("INSUFFICIENT_FUNDS")
                elif purse.shard == home:
                    owner = (purse.account, purse.currency)
                    before = credited.get(owner, ())
                    limits |= self.credit_faults(purse, amount, now, before)
                    credited[owner] = (*before, amount)
        return [exists, states, currencies, limits, funds]

    def post(self, lines: list[Line], home: int, now: datetime) -> str:
        """Carry postings out; return the state that the transaction comes to."""
        state = "COMPLETED"
        for source, destination, _, amount in lines:
            self.move(source, -amount, now)
            purse = self.purses.get(destination)
            if purse is None:
                continue
            if purse.shard != home and self._cannot_land(purse, amount, now):
                self.move(source, amount, now)
                state = "RETURNED"
            else:
                self.move(destination, amount, now)
        return state

    def _cannot_land(self, purse: Purse, amount: int, now: datetime) -> bool:
        return bool(self.credit_faults(purse, amount, now))

    def account_purses(self, account: str) -> list[Purse]:
        """Return an account's wallets that are not closed."""
        return [
            purse
            for purse in self.purses.values()
            if purse.account == account and purse.status != "CLOSED"
        ]


def verdict(stages: Stages) -> set[str]:
    """Return the reasons of the first stage that refuses; empty: nothing does."""
    return next((stage for stage in stages if stage), set())


def _start(window: str, now: datetime) -> datetime:
    moment = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if window == "HOUR":
        return moment
    moment = moment.replace(hour=0)
    return moment if window == "DAY" else moment.replace(day=1)
