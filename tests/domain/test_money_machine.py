"""Random batches on two shards, judged step by step by a model that shares no code with the domain.

A long run: ``GUILDER_LONG=1``.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.domain.commands_for_tests import HERE, THERE, change, create, make_id, transfer
from tests.domain.memory_shard import MemoryShard
from tests.domain.money_model import FULL, Leg, Model, Move, Reply
from wallet.domain.batch import Counterparty, NoCounterparty
from wallet.domain.commands import CloseIntent, Command, Intent, LandLeg
from wallet.domain.kinds import ANY_VERSION, TransactionState, WalletChangeKind
from wallet.domain.outcome import BalanceAfter, Closed, Landed, Outcome, Posted, WalletSet
from walletkit.errors import ServiceError
from walletkit.ids import NIL, SystemKind, slot_of

SLOTS = (HERE, THERE)
ACCOUNTS = ("a", "b", "c", "d")
"""The first half of the accounts live on shard 0."""
CURRENCIES = ("EUR", "JPY")
NOBODY = (make_id(HERE, 0xDEAD), make_id(THERE, 0xDEAD))
ALL_OF_IT = 0
LONG = os.environ.get("GUILDER_LONG") == "1"

index = st.integers(0, 30)
amounts = st.sampled_from([ALL_OF_IT, 1, 10, 10**15 - 1, 10**15, 2**62, FULL - 1, FULL])
amounts |= st.integers(1, 20)
versions = st.none() | st.none() | st.integers(1, 4)
OPS = st.one_of(
    st.tuples(st.just("create"), index, index),
    st.tuples(st.just("deposit"), index, amounts, versions),
    st.tuples(st.just("withdraw"), index, amounts, versions),
    st.tuples(st.just("transfer"), index, index, amounts, versions),
    st.tuples(st.just("transfer"), index, index, amounts, st.none()),
    st.tuples(st.just("status"), index, st.sampled_from(["FROZEN", "UNFROZEN", "CLOSED"])),
    st.tuples(st.just("again"), index),
    st.tuples(st.just("reuse"), index),
    st.tuples(st.just("land"), index),
    st.tuples(st.just("close"), index),
)


class Step(NamedTuple):
    """A command, and how the model foretells its reply."""

    command: Command
    foretell: Callable[[], Reply]


class MoneyMachine(RuleBasedStateMachine):
    """Two shards and the model, driven side by side."""

    def __init__(self) -> None:
        """Start with nothing."""
        super().__init__()
        self.shards = (MemoryShard(0), MemoryShard(1))
        self.model = Model()
        self.wallets: list[bytes] = [*NOBODY]
        self.made: list[Callable[..., Step]] = []
        """Makers of every request so far: called again they replay it."""
        self.numbers = count(1)
        self.far_down = False
        for account in range(len(ACCOUNTS)):
            self.batch([self.create(account, 0)])
            self.batch([self.move(NIL, self.wallets[-1], 100, None)])

    @rule(
        ops=st.lists(OPS, min_size=1, max_size=8),
        lost=st.sampled_from(["", "", "", "before commit", "after commit"]),
        far_down=st.sampled_from([False] * 5 + [True]),
    )
    def random_batch(self, ops: list[tuple[object, ...]], lost: str, far_down: bool) -> None:  # noqa: FBT001
        """Run a batch on each shard that is concerned."""
        self.far_down = far_down
        steps = [getattr(self, str(name))(*args) for name, *args in ops]
        self.batch([step for step in steps if step is not None], lost)

    @rule(which=index)
    def close_a_destination(self, which: int) -> None:
        """Empty and close a wallet that money is on its way to, so that it must go back."""
        leg = self.flying(which, 0)
        if leg is not None:
            at = len(self.wallets) - 1 - self.wallets.index(leg.payee)
            self.batch([self.withdraw(at, ALL_OF_IT, None), self.status(at, "CLOSED")])

    @rule(which=index)
    def fill_a_payer(self, which: int) -> None:
        """Fill a wallet that money is on its way back to, so that it can't take it."""
        leg = self.flying(which, 128)
        if leg is not None and (room := FULL - self.model.purses[leg.payee].posted):
            self.batch([self.move(NIL, leg.payee, room, None)])

    def flying(self, which: int, number: int) -> Leg | None:
        """Pick one of the legs of this number that have not landed."""
        self.far_down = False
        found = [
            leg for (_, n), leg in self.model.legs.items() if n == number and leg.landed is None
        ]
        return found[which % len(found)] if found else None

    # What an op becomes; numbers pick from what there is.

    def create(self, account: int, currency: int) -> Step:
        """Create a wallet."""
        number = account % len(ACCOUNTS)
        return self.request(self._create, number, CURRENCIES[currency % len(CURRENCIES)])

    def deposit(self, wallet: int, amount: int, version: int | None) -> Step:
        """Deposit."""
        return self.move(NIL, self.pick(wallet), amount, version)

    def withdraw(self, wallet: int, amount: int, version: int | None) -> Step:
        """Withdraw."""
        return self.move(self.pick(wallet), NIL, amount, version)

    def transfer(self, one: int, other: int, amount: int, version: int | None) -> Step | None:
        """Transfer; the API refuses one wallet on both sides."""
        source, destination = self.pick(one), self.pick(other)
        if source == destination:
            return None
        return self.move(source, destination, amount, version)

    def status(self, wallet: int, wish: str) -> Step:
        """Change a status."""
        return self.request(self._status, self.pick(wallet), wish)

    def again(self, which: int) -> Step | None:
        """Send an earlier request once more."""
        return self.made[-1 - which % len(self.made)](other=False)

    def reuse(self, which: int) -> Step | None:
        """Send another request with the key of an earlier one."""
        return self.made[-1 - which % len(self.made)](other=True)

    def land(self, which: int) -> Step | None:
        """Bring a leg, perhaps one that was brought before."""
        if not self.model.legs:
            return None
        (tx, number), leg = list(self.model.legs.items())[which % len(self.model.legs)]
        intent = Intent(tx, number, leg.payer, leg.payee, leg.currency, leg.amount)
        return Step(LandLeg(slot_of(leg.payee), intent), lambda: self.model.land(tx, number))

    def close(self, which: int) -> Step | None:
        """Close a leg's intent, perhaps once more; what bounced is closed by its return."""
        landed = [
            (place, leg)
            for place, leg in self.model.legs.items()
            if leg.landed not in {None, "RETURNED"}
        ]
        if not landed:
            return None
        (tx, number), leg = landed[which % len(landed)]
        state = TransactionState.COMPLETED if number == 0 else None
        return Step(
            CloseIntent(slot_of(leg.payer), tx, number, state),
            lambda: self.model.close(tx, number),
        )

    def move(self, source: bytes, destination: bytes, amount: int, version: int | None) -> Step:
        """Move money in the currency of the side that pays, or is paid."""
        purse = self.model.purses.get(source) or self.model.purses.get(destination)
        if amount == ALL_OF_IT:
            amount = max(1, purse.posted) if purse else 1
        currency = purse.currency if purse else CURRENCIES[0]
        return self.request(self._move, source, destination, amount, currency, version)

    def pick(self, which: int) -> bytes:
        """Pick a wallet, latest first; the last of all are nobody's."""
        return self.wallets[-1 - which % len(self.wallets)]

    # Requests, which can be made again with a fresh id.

    def request(self, make: Callable[..., Step], *args: object) -> Step:
        """Make a request with a fresh key, and remember how."""
        key = f"key {next(self.numbers)}"

        def maker(*, other: bool) -> Step:
            return make(*args, key, other)

        self.made.append(maker)
        return maker(other=False)

    def _create(self, account: int, currency: str, key: str, other: bool) -> Step:  # noqa: FBT001
        if other:
            currency = CURRENCIES[currency == CURRENCIES[0]]
        shard = account * len(SLOTS) // len(ACCOUNTS)
        command = create(SLOTS[shard], ACCOUNTS[account], currency=currency, key=key)
        return Step(
            command,
            lambda: self.model.create(command.ref, ACCOUNTS[account], currency, key, shard),
        )

    def _status(self, wallet: bytes, wish: str, key: str, other: bool) -> Step:  # noqa: FBT001
        if other:
            wish = "CLOSED" if wish == "FROZEN" else "FROZEN"
        command = change(WalletChangeKind[wish], wallet, key=key)
        return Step(command, lambda: self.model.set_status(wallet, wish, key))

    def _move(  # what a movement says, and whether to say something else
        self,
        source: bytes,
        destination: bytes,
        amount: int,
        currency: str,
        version: int | None,
        key: str,
        other: bool,  # noqa: FBT001
    ) -> Step:
        if other:
            amount = amount - 1 or 2
        expected = ANY_VERSION if version is None else version
        command = transfer(
            source, destination, amount, key=key, currency=currency, expected_version=expected
        )
        payer, payee = (None if side == NIL else side for side in (source, destination))
        request = Move(command.ref, payer, payee, currency, amount, version)
        shard = SLOTS.index(command.slot)
        return Step(command, lambda: self.model.move(request, key, shard, far_down=self.far_down))

    # Running and checking.

    def batch(self, steps: Sequence[Step], lost: str = "") -> None:
        """Run the steps of each shard as one batch, and compare every reply."""
        for shard, slot in zip(self.shards, SLOTS, strict=True):
            mine = [step for step in steps if step.command.slot == slot]
            if mine:
                self.run_on(shard, mine, lost)

    def run_on(self, shard: MemoryShard, steps: Sequence[Step], lost: str) -> None:
        """Run a batch; a lost one is run again, before or behind its commit."""
        commands = [step.command for step in steps]
        there = self.counterparties(shard)
        self.model.begin_batch()
        expected = [step.foretell() for step in steps]
        if lost == "before commit":
            shard.run(commands, there, commit=False)
        replies = [as_reply(outcome) for outcome in shard.run(commands, there)]
        assert replies == expected
        self.wallets += [wallet for wallet in shard.balances if wallet not in self.wallets]
        if lost == "after commit":
            seq = shard.seq
            again = [as_reply(outcome) for outcome in shard.run(commands, there)]
            assert again == [self.model.after_rerun(reply) for reply in expected]
            assert shard.seq == seq, "a rerun behind its commit writes nothing"

    def counterparties(self, shard: MemoryShard) -> dict[bytes, Counterparty | NoCounterparty]:
        """Look at the other shard's wallets."""
        other = self.shards[1 - shard.number]
        if self.far_down:
            return dict.fromkeys(other.balances, NoCounterparty.UNREACHABLE)
        return {w: Counterparty(row.currency, row.status) for w, row in other.balances.items()}

    @invariant()
    def rows_are_the_models(self) -> None:
        """Balances, versions, states, legs, `world` and `suspense` are what the model says."""
        rows = {w: row for shard in self.shards for w, row in shard.balances.items()}
        assert {
            w: (row.posted, row.version, row.status.name, row.currency) for w, row in rows.items()
        } == {w: (p.posted, p.version, p.status, p.currency) for w, p in self.model.purses.items()}
        states = {tx: s.name for shard in self.shards for tx, s in shard.states.items()}
        assert states == self.model.states
        intents = {place: i for shard in self.shards for place, i in shard.intents.items()}
        assert {place: (i.source, i.destination, i.amount) for place, i in intents.items()} == {
            place: (leg.payer, leg.payee, leg.amount)
            for place, leg in self.model.legs.items()
            if not leg.closed
        }
        for kind, said in ("WORLD", self.model.world), ("SUSPENSE", self.model.suspense):
            found = {
                (shard.number, currency): posted
                for shard in self.shards
                for (system, currency), posted in shard.system.items()
                if system.name == kind and posted
            }
            assert found == {place: posted for place, posted in said.items() if posted}

    @invariant()
    def i1_every_shard_sums_to_zero(self) -> None:
        """All balances of a shard, system wallets included, sum to 0 per currency."""
        for shard in self.shards:
            sums: Counter[str] = Counter()
            for row in shard.balances.values():
                sums[row.currency] += row.posted
            for (_, currency), posted in shard.system.items():
                sums[currency] += posted
            assert not any(sums.values())

    @invariant()
    def i2_transit_is_what_has_not_landed(self) -> None:
        """`transit` over both shards is exactly the intents without an inbox row."""
        sums: Counter[str] = Counter()
        for shard in self.shards:
            for (kind, currency), posted in shard.system.items():
                sums[currency] += posted if kind == SystemKind.TRANSIT else 0
            for place, intent in shard.intents.items():
                there = self.shards[SLOTS.index(slot_of(intent.destination))]
                sums[intent.currency] -= 0 if place in there.inbox else intent.amount
        assert not any(sums.values())

    @invariant()
    def i3_nobody_owes(self) -> None:
        """Every customer wallet has available >= 0, and fits 64 bits."""
        for shard in self.shards:
            assert all(0 <= row.available <= FULL for row in shard.balances.values())

    @invariant()
    def i10_legs_pair(self) -> None:
        """Every amount into `transit` leaves it once, or is an open intent still on its way."""
        into: Counter[tuple[object, ...]] = Counter()
        out: Counter[tuple[object, ...]] = Counter()
        for shard in self.shards:
            for (tx, leg), posting in shard.postings:
                movement = (tx, posting.currency, posting.amount)
                if posting.destination[:2] == bytes((0, SystemKind.TRANSIT)):
                    # What a landing puts back into `transit` is the return's.
                    into[(*movement, 128 if shard.inbox.get((tx, leg)) else leg)] += 1
                if posting.source[:2] == bytes((0, SystemKind.TRANSIT)):
                    out[(*movement, leg)] += 1
        flying = Counter(
            (tx, leg.currency, leg.amount, number)
            for (tx, number), leg in self.model.legs.items()
            if leg.landed is None
        )
        assert set(into.values()) <= {1}
        assert into - out == flying
        assert not out - into

    def teardown(self) -> None:
        """Whatever happened, every leg can be brought to its end, and `transit` is empty then."""
        self.far_down = False
        for _ in range(3):
            legs = range(len(self.model.legs))
            self.batch([step for which in legs if (step := self.land(which)) is not None])
            self.batch([step for which in legs if (step := self.close(which)) is not None])
        assert all(leg.closed for leg in self.model.legs.values())
        assert not any(shard.intents for shard in self.shards)
        assert "PROCESSING" not in self.model.states.values()
        self.check_invariants_at_end()

    def check_invariants_at_end(self) -> None:
        """Check all again: hypothesis does not, behind the last step."""
        self.rows_are_the_models()
        self.i1_every_shard_sums_to_zero()
        self.i2_transit_is_what_has_not_landed()
        self.i3_nobody_owes()
        self.i10_legs_pair()


def as_reply(outcome: Outcome) -> Reply:
    """Say an outcome in the model's words."""
    match outcome:
        case Posted():
            sides = (seen(side) for side in (outcome.source_after, outcome.destination_after))
            return ("posted", outcome.state.name, outcome.command.ref, *sides, outcome.replayed)
        case WalletSet():
            wallet = outcome.facts.wallet_id
            return ("wallet", outcome.status.name, wallet, seen(outcome.after), outcome.replayed)
        case Landed():
            return ("landed", outcome.result.name)
        case Closed():
            return ("closed",)
        case ServiceError():
            return ("declined", outcome.reason)
        case _:
            raise AssertionError(outcome)


def seen(after: BalanceAfter | None) -> tuple[int, int] | None:
    """Take what replies show of a balance."""
    return after and (after.posted, after.version)


@pytest.mark.timeout(3600 if LONG else 60)
class TestMoneyMachine(MoneyMachine.TestCase):  # type: ignore[misc,valid-type]
    """Run the machine."""

    settings = settings(
        max_examples=2000 if LONG else 100,
        stateful_step_count=60 if LONG else 20,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
