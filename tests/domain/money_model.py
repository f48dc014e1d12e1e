"""What wallets, keys and legs should do, said again in plain dicts: shares no code with the domain.

A reply is a tuple, so that it compares: ("posted", state, transaction, source, destination,
replayed), ("wallet", status, wallet, balance, replayed) or ("declined", reason).
A balance in it is (posted, version), or None.
"""

from dataclasses import dataclass, field
from typing import Any

FULL = 9_223_372_036_854_775_807
KEPT = {
    "WALLET_FROZEN",
    "WALLET_CLOSED",
    "WALLET_NOT_FROZEN",
    "WALLET_NOT_EMPTY",
    "WALLET_HAS_OPEN_INTENTS",
    "CURRENCY_MISMATCH",
    "VERSION_MISMATCH",
    "BALANCE_OVERFLOW",
    "INSUFFICIENT_FUNDS",
}

Reply = tuple[Any, ...]


@dataclass
class Purse:
    """A wallet."""

    shard: int
    currency: str
    posted: int = 0
    status: str = "ACTIVE"
    version: int = 1

    def now(self) -> tuple[int, int]:
        """Return what replies show."""
        return self.posted, self.version

    def add(self, amount: int) -> None:
        """Post an amount."""
        self.posted += amount
        self.version += 1


@dataclass(frozen=True)
class Move:
    """A deposit (no payer), a withdrawal (no payee) or a transfer."""

    tx: bytes
    payer: bytes | None
    payee: bytes | None
    currency: str
    amount: int
    version: int | None = None


@dataclass
class Leg:
    """A credit on its way; ``landed`` says what became of it."""

    payer: bytes
    payee: bytes
    currency: str
    amount: int
    landed: str | None = None
    closed: bool = False


@dataclass
class Model:
    """All wallets of both shards."""

    purses: dict[bytes, Purse] = field(default_factory=dict)
    legs: dict[tuple[bytes, int], Leg] = field(default_factory=dict)
    states: dict[bytes, str] = field(default_factory=dict)
    keys: dict[Any, tuple[Any, Reply]] = field(default_factory=dict)
    world: dict[tuple[int, str], int] = field(default_factory=dict)
    suspense: dict[tuple[int, str], int] = field(default_factory=dict)
    states_before: dict[bytes, str] = field(default_factory=dict)
    paying_before: set[bytes] = field(default_factory=set)

    def begin_batch(self) -> None:
        """Remember what a batch finds: replays and closings go by it."""
        self.states_before = dict(self.states)
        self.paying_before = self._paying()

    def after_rerun(self, reply: Reply) -> Reply:
        """Return a reply as it is when its batch is run again behind its own commit."""
        if reply[0] == "posted":
            return ("posted", self.states[reply[2]], *reply[2:])
        return reply

    def move(self, request: Move, key: str, shard: int, *, far_down: bool) -> Reply:
        """Move money under a key of the payer, or of a deposit's payee."""
        scope = (request.payer or request.payee, key)
        content = ("move", *[getattr(request, name) for name in _CONTENT])
        known = self._known(scope, content)
        if known is not None:
            return known
        reply = self._refusal(request, shard, far_down=far_down) or self._post(request, shard)
        return self._keep(scope, content, reply)

    def create(self, wallet: bytes, account: str, currency: str, key: str, shard: int) -> Reply:
        """Create a wallet under a key of its account."""
        known = self._known(("account", account, key), ("create", currency))
        if known is not None:
            return known
        self.purses[wallet] = Purse(shard, currency)
        reply = ("wallet", "ACTIVE", wallet, (0, 1), False)
        return self._keep(("account", account, key), ("create", currency), reply)

    def set_status(self, wallet: bytes, wish: str, key: str) -> Reply:
        """Freeze, unfreeze or close a wallet under a key of its own."""
        known = self._known((wallet, key), ("status", wish))
        if known is not None:
            return known
        purse = self.purses.get(wallet)
        if purse is None:
            return ("declined", "WALLET_NOT_FOUND")
        reason = self._status_refusal(wallet, purse, wish)
        if reason is not None:
            return self._keep((wallet, key), ("status", wish), ("declined", reason))
        purse.status = {"FROZEN": "FROZEN", "UNFROZEN": "ACTIVE", "CLOSED": "CLOSED"}[wish]
        purse.version += 1
        reply = ("wallet", purse.status, wallet, purse.now(), False)
        return self._keep((wallet, key), ("status", wish), reply)

    def land(self, tx: bytes, number: int) -> Reply:
        """Bring a leg; again changes nothing."""
        leg = self.legs[tx, number]
        if leg.landed is None:
            leg.landed = self._arrive(tx, number, leg)
        return ("landed", leg.landed)

    def close(self, tx: bytes, number: int) -> Reply:
        """Close a leg's intent, known to have landed."""
        leg = self.legs[tx, number]
        if not leg.closed:
            leg.closed = True
            if number == 0:
                self.states[tx] = "COMPLETED"
        return ("closed",)

    def _arrive(self, tx: bytes, number: int, leg: Leg) -> str:
        payee = self.purses[leg.payee]
        if payee.status != "CLOSED" and payee.posted + leg.amount <= FULL:
            payee.add(leg.amount)
            landed = "CREDITED"
        elif number == 0:
            self.legs[tx, 128] = Leg(leg.payee, leg.payer, leg.currency, leg.amount)
            landed = "RETURNED"
        else:
            place = (payee.shard, leg.currency)
            self.suspense[place] = self.suspense.get(place, 0) + leg.amount
            landed = "SUSPENDED"
        if number == 128:
            self.legs[tx, 0].closed = True
            self.states[tx] = "RETURNED"
        return landed

    def _known(self, scope: object, content: object) -> Reply | None:
        if scope not in self.keys:
            return None
        first_content, reply = self.keys[scope]
        if first_content != content:
            return ("declined", "IDEMPOTENCY_KEY_REUSED")
        if reply[0] == "posted":
            state = self.states_before.get(reply[2], reply[1])
            return ("posted", state, *reply[2:-1], True)
        return reply if reply[0] == "declined" else (*reply[:-1], True)

    def _keep(self, scope: object, content: object, reply: Reply) -> Reply:
        if reply[0] != "declined" or reply[1] in KEPT:
            self.keys[scope] = (content, reply)
        return reply

    def _refusal(self, request: Move, shard: int, *, far_down: bool) -> Reply | None:
        payer, payee = (self.purses.get(w) if w else None for w in (request.payer, request.payee))
        if request.payer and payer is None:
            return ("declined", "WALLET_NOT_FOUND")
        far = payee is not None and payee.shard != shard
        if far and far_down:
            return ("declined", "SHARD_UNAVAILABLE")
        if request.payee and payee is None:
            return ("declined", "WALLET_NOT_FOUND")
        sides = [side for side in (payer, payee) if side is not None]
        scope = payer or payee
        assert scope is not None
        checks = [
            *[(side.status != "ACTIVE", f"WALLET_{side.status}") for side in sides],
            *[(side.currency != request.currency, "CURRENCY_MISMATCH") for side in sides],
            (request.version not in {None, scope.version}, "VERSION_MISMATCH"),
            (
                payee is not None and not far and payee.posted + request.amount > FULL,
                "BALANCE_OVERFLOW",
            ),
            (payer is not None and payer.posted < request.amount, "INSUFFICIENT_FUNDS"),
        ]
        return next((("declined", reason) for wrong, reason in checks if wrong), None)

    def _post(self, request: Move, shard: int) -> Reply:
        payer, payee = (self.purses[w] if w else None for w in (request.payer, request.payee))
        amount, state = request.amount, "COMPLETED"
        outside = (payer is None) - (payee is None)
        place = (shard, request.currency)
        self.world[place] = self.world.get(place, 0) - outside * amount
        if payer is not None:
            payer.add(-amount)
        if payee is not None and payee.shard != shard:
            assert request.payer is not None
            assert request.payee is not None
            leg = Leg(request.payer, request.payee, request.currency, amount)
            self.legs[request.tx, 0] = leg
            payee, state = None, "PROCESSING"
        if payee is not None:
            payee.add(amount)
        self.states[request.tx] = state
        before, after = (side.now() if side else None for side in (payer, payee))
        return ("posted", state, request.tx, before, after, False)

    def _status_refusal(self, wallet: bytes, purse: Purse, wish: str) -> str | None:
        if purse.status == "CLOSED":
            return "WALLET_CLOSED"
        if wish == "FROZEN" and purse.status == "FROZEN":
            return "WALLET_FROZEN"
        if wish == "UNFROZEN" and purse.status == "ACTIVE":
            return "WALLET_NOT_FROZEN"
        if wish == "CLOSED" and purse.posted:
            return "WALLET_NOT_EMPTY"
        if wish == "CLOSED" and wallet in self.paying_before | self._paying():
            return "WALLET_HAS_OPEN_INTENTS"
        return None

    def _paying(self) -> set[bytes]:
        """Return whose money is on its way; what only bounced off a wallet is not its own."""
        return {leg.payer for (_, n), leg in self.legs.items() if n == 0 and not leg.closed}


_CONTENT = ("payer", "payee", "currency", "amount", "version")
