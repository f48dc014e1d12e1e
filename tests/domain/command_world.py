"""Two shards in memory that take every command, and what must hold of them after each batch."""

from typing import Any

from tests.domain.command_checks import check_shard, seen, steady
from tests.domain.commands_for_tests import (
    EXCHANGE,
    FEES,
    HERE,
    NOW_US,
    THERE,
    atomic,
    authorize,
    capture,
    change,
    create,
    expire,
    extend,
    freeze_account,
    increment,
    limit,
    limit_account,
    line,
    make_id,
    post,
    register,
    reverse,
    transfer,
    update,
    void,
)
from tests.domain.memory_shard import MemoryShard
from wallet.domain.batch import Batch, Counterparty, NoCounterparty
from wallet.domain.commands import (
    Atomic,
    Authorize,
    CloseIntent,
    Command,
    ExpireHold,
    Intent,
    LandLeg,
    Limits,
    PostTransaction,
    SingleCommand,
    Transfer,
)
from wallet.domain.decide import decide
from wallet.domain.kinds import (
    RETURN_LEG,
    AccountFreeze,
    LegResult,
    TransactionState,
    TransactionType,
    WalletChangeKind,
    WalletStatus,
)
from wallet.domain.outcome import AtomicSet, HoldSet, Outcome, Posted, WalletSet
from walletkit.errors import ServiceError
from walletkit.ids import NIL, SystemKind, is_system, slot_of

SLOTS = (HERE, THERE)
ACCOUNTS = ("someone", "elsewhere")


class World:
    """Two shards, and what was asked of them so far."""

    def __init__(self) -> None:
        """Give each shard three wallets in euros and one in dollars, some with money."""
        self.shards = (MemoryShard(0), MemoryShard(1))
        self.now_us = NOW_US
        self.keys = 0
        self.wallets: list[bytes] = []
        self.holds: list[tuple[bytes, bytes, bytes]] = []
        self.originals: dict[bytes, Transfer | PostTransaction] = {}
        self.asked: list[Command] = []
        self.legs: dict[tuple[bytes, int], Intent] = {}
        self.firsts: dict[bytes, object] = {}
        """What each key came to first."""
        for slot, account in zip(SLOTS, ACCOUNTS, strict=True):
            for currency in ("EUR", "EUR", "EUR", "USD"):
                made = create(slot, account, currency=currency, key=self.key())
                self.run([made])
                self.run([transfer(NIL, made.ref, 100, currency=currency, key=self.key())])
            for wallet_id in self.wallets[-4:-1]:
                self.run([authorize(wallet_id, 20, key=self.key())])

    def key(self) -> str:
        """Make a fresh key."""
        self.keys += 1
        return str(self.keys)

    def wallet(self, which: int) -> bytes:
        """Pick a wallet; the last one is nobody's."""
        return [*self.wallets, make_id(HERE, 0xDEAD)][which % (len(self.wallets) + 1)]

    def currency(self, wallet_id: bytes) -> str:
        """Return a wallet's currency."""
        found = [s.balances[wallet_id] for s in self.shards if wallet_id in s.balances]
        return found[0].currency if found else "EUR"

    # What an op becomes.

    def transfer(self, one: int, other: int, amount: int) -> SingleCommand:
        """Transfer; from or to one wallet: deposit or withdraw."""
        source, destination = self.wallet(one), self.wallet(other)
        currency = self.currency(source)
        if source == destination:
            source, destination = (NIL, source) if amount % 2 else (source, NIL)
        return transfer(source, destination, amount, currency=currency, key=self.key())

    def authorize(self, one: int, other: int, amount: int, span: int) -> SingleCommand:
        """Authorize, for somebody or for anybody."""
        source, destination = self.wallet(one), self.wallet(other)
        return authorize(
            source,
            amount,
            destination=NIL if destination == source or other % 2 else destination,
            expire_time_us=span and self.now_us + span,
            currency=self.currency(source),
            key=self.key(),
        )

    def hold(self, which: int) -> tuple[bytes, bytes, bytes]:
        """Pick a hold, latest first; the last one is nobody's."""
        found = [(make_id(HERE, 0xDEAD), self.wallets[0], NIL), *self.holds]
        return found[-1 - which % len(found)]

    def increment(self, which: int, amount: int) -> SingleCommand:
        """Increment."""
        hold_id, wallet_id, _ = self.hold(which)
        currency = self.currency(wallet_id)
        return increment(hold_id, wallet_id, amount, currency=currency, key=self.key())

    def extend(self, which: int, span: int) -> SingleCommand:
        """Extend."""
        hold_id, wallet_id, _ = self.hold(which)
        return extend(hold_id, wallet_id, self.now_us + span, key=self.key())

    def capture(self, which: int, other: int, amount: int, final: bool) -> SingleCommand:  # noqa: FBT001
        """Capture, where the hold says or anywhere."""
        hold_id, wallet_id, destination = self.hold(which)
        if destination == NIL and self.wallet(other) != wallet_id:
            destination = self.wallet(other)
        return capture(
            hold_id,
            wallet_id,
            amount,
            destination=destination,
            final=final,
            currency=self.currency(wallet_id),
            key=self.key(),
        )

    def void(self, which: int) -> SingleCommand:
        """Void."""
        hold_id, wallet_id, _ = self.hold(which)
        return void(hold_id, wallet_id, key=self.key())

    def expire(self, which: int) -> Command:
        """Sweep."""
        hold_id, wallet_id, _ = self.hold(which)
        return expire(hold_id, wallet_id)

    def reverse(self, which: int, amount: int) -> SingleCommand | None:
        """Reverse a transaction, all or part."""
        if not self.originals:
            return None
        original = list(self.originals.values())[-1 - which % len(self.originals)]
        if isinstance(original, PostTransaction):
            lines = [line(d, s, a, c) for s, d, c, a in reversed(original.lines)]
            if all(is_system(one.source) and is_system(one.destination) for one in lines):
                return None
            return post(*lines, original=original.ref, key=self.key())
        to = original.destination
        leg = 0 if NIL not in {to, original.source} and self.far(to, original.source) else -1
        return reverse(original, amount, leg=leg, key=self.key())

    @staticmethod
    def far(one: bytes, other: bytes) -> bool:
        """Tell whether two wallets lie on different shards."""
        return slot_of(one) != slot_of(other)

    def post(self, sides: list[tuple[int, int, int]]) -> SingleCommand | None:
        """Post lines between wallets, `fees` and `exchange`."""
        lines = []
        for one, other, amount in sides:
            source: bytes | SystemKind = EXCHANGE if one == 7 else self.wallet(one)
            destination: bytes | SystemKind = FEES if other % 5 == 4 else self.wallet(other)
            if source == destination:
                destination = EXCHANGE
            known = destination if isinstance(source, SystemKind) else source
            if not isinstance(known, SystemKind):
                lines.append(line(source, destination, amount, self.currency(known)))
        return post(*lines, key=self.key()) if lines else None

    def status(self, which: int, status: WalletStatus) -> SingleCommand:
        """Freeze, unfreeze or close."""
        kind = WalletChangeKind.FROZEN
        if status in {WalletStatus.ACTIVE, WalletStatus.CLOSED}:
            active = status == WalletStatus.ACTIVE
            kind = WalletChangeKind.UNFROZEN if active else WalletChangeKind.CLOSED
        return change(kind, self.wallet(which), key=self.key())._replace(status=status)

    def limit(self, which: int, limits: Limits) -> SingleCommand:
        """Limit a wallet."""
        return limit(self.wallet(which), limits, key=self.key())

    def account(self, which: int, what: Limits | AccountFreeze) -> SingleCommand:
        """Freeze or limit an account."""
        n = which % len(SLOTS)
        if isinstance(what, Limits):
            made: Any = limit_account(what, ACCOUNTS[n], key=self.key())
        else:
            made = freeze_account(what, ACCOUNTS[n], key=self.key())
        done: SingleCommand = made._replace(slot=SLOTS[n])
        return done

    def other(self, which: int) -> SingleCommand:
        """Update a wallet, or register an asset."""
        if which % 2:
            return update(self.wallet(which), b'{"m":{"n":"%d"}}' % which, key=self.key())
        return register(("GLD", "SLV")[which % 3 % 2], which % 3, key=self.key())

    def land(self, which: int) -> Command | None:
        """Bring a leg, perhaps once more. A return goes to the home, whatever it pays."""
        if not self.legs:
            return None
        intent = list(self.legs.values())[-1 - which % len(self.legs)]
        home = intent.tx_id if intent.leg >= RETURN_LEG else intent.destination
        return LandLeg(slot_of(home), intent)

    def close(self, which: int) -> Command | None:
        """Close the intent of a leg that has landed for good, perhaps once more."""
        landed = [
            intent
            for place, intent in self.legs.items()
            if any(
                s.inbox.get(place) in {LegResult.CREDITED, LegResult.SUSPENDED} for s in self.shards
            )
        ]
        if not landed:
            return None
        intent = landed[which % len(landed)]
        returns = intent.leg >= RETURN_LEG
        home = intent.source if returns else intent.tx_id
        state = None if returns else TransactionState.COMPLETED
        return CloseIntent(slot_of(home), intent.tx_id, intent.leg, state, intent.legs)

    def again(self, which: int) -> Command | None:
        """Ask once more for something, with a fresh id."""
        command = self.asked[-1 - which % len(self.asked)]
        if isinstance(command, LandLeg | CloseIntent | ExpireHold):
            return command
        again: Any = command._replace(ref=make_id(command.slot))
        if isinstance(command, Atomic):
            parts = tuple(one._replace(ref=make_id(one.slot)) for one in command.commands)
            again = again._replace(commands=parts)
        made: Command = again
        return made

    def atomic(self, ops: list[tuple[Any, ...]]) -> Command | None:
        """Ask for several commands of one shard at once."""
        made = [self.make(op) for op in ops]
        singles = [one for one in made if one is not None and isinstance(one, SingleCommand)]
        mine: list[Any] = [one for one in singles if one.slot == singles[0].slot]
        return atomic(*mine, key=self.key()) if mine else None

    def make(self, op: tuple[Any, ...]) -> Command | None:
        """Make what an op asks for."""
        made: Command | None = getattr(self, op[0])(*op[1:])
        return made

    # Running and checking.

    def run(self, commands: list[Command], lost: str = "") -> None:
        """Run each shard's commands as one batch."""
        for shard, slot in zip(self.shards, SLOTS, strict=True):
            mine = [command for command in commands if command.slot == slot]
            if mine:
                self.run_on(shard, mine, lost)
        self.asked += commands
        self.check()

    def run_on(self, shard: MemoryShard, commands: list[Command], lost: str) -> None:
        """Run a batch; a lost one is run again, before or behind its commit."""
        shard.now_us = self.now_us
        if lost == "before commit":
            self.decide_all(self.load(shard), commands)
        batch = self.load(shard)
        outcomes = self.decide_all(batch, commands)
        if batch.changes.any():
            shard._save(batch)
        if lost == "after commit":
            behind = self.load(shard)
            again = self.decide_all(behind, commands)
            assert not behind.changes.any(), "a rerun behind its commit writes nothing"
            assert [steady(one) for one in again] == [steady(one) for one in outcomes]
        for command, outcome in zip(commands, outcomes, strict=True):
            key: bytes | None = getattr(command, "key_hash", None)
            if key in shard.keys:
                assert key is not None
                assert self.firsts.setdefault(key, steady(outcome)) == steady(outcome)
            self.note(command, outcome)
        for new in batch.changes.transactions:
            self.legs.update({(i.tx_id, i.leg): i for i in new.intents})
        for leg in batch.changes.legs:
            if leg.returned is not None:
                self.legs[leg.returned.tx_id, leg.returned.leg] = leg.returned

    def load(self, shard: MemoryShard) -> Batch:
        """Load a batch with what is known of the other shard."""
        batch = shard.load()
        other = self.shards[1 - shard.number]
        there: dict[bytes, Counterparty | NoCounterparty] = {
            w: Counterparty(row.currency, row.status, row.flags)
            for w, row in other.balances.items()
        }
        batch.counterparties = there
        return batch

    @staticmethod
    def decide_all(batch: Batch, commands: list[Command]) -> list[Outcome]:
        """Decide in order; a decline must leave all but its key as it was."""
        outcomes = []
        for command in commands:
            before = seen(batch)
            outcome = decide(batch, command)
            if isinstance(outcome, ServiceError):
                assert seen(batch) == before
            outcomes.append(outcome)
        return outcomes

    def note(self, command: Command, outcome: Outcome) -> None:
        """Remember what was made."""
        if isinstance(command, Atomic) and isinstance(outcome, AtomicSet):
            for one, its in zip(command.commands, outcome.outcomes, strict=True):
                self.note(one, its)
        elif isinstance(outcome, HoldSet) and isinstance(command, Authorize):
            if not outcome.replayed:
                self.holds.append((command.ref, command.wallet_id, command.destination))
        elif isinstance(outcome, WalletSet) and outcome.facts.wallet_id not in self.wallets:
            self.wallets.append(outcome.facts.wallet_id)
        elif isinstance(outcome, Posted) and not outcome.replayed:
            told = outcome.command
            if isinstance(command, PostTransaction):
                if told.type == TransactionType.POSTING:
                    self.originals[told.ref] = command
            else:
                self.originals[told.ref] = told

    def check(self) -> None:
        """Check the invariants on both shards."""
        for shard in self.shards:
            check_shard(shard, self.originals)

    def drain(self) -> None:
        """Bring every leg to its end: then `transit` is empty and nothing is on its way."""
        for _ in range(3):
            for which in range(len(self.legs)):
                self.run([step for step in (self.land(which), self.close(which)) if step])
        for shard in self.shards:
            assert not shard.intents
            assert TransactionState.PROCESSING not in shard.states.values()
        for currency in ("EUR", "USD"):
            entry = (SystemKind.TRANSIT, currency)
            assert sum(shard.system.get(entry, 0) for shard in self.shards) == 0
