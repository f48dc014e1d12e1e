"""Money between shards at effective times, against a model that adds up each side of each step."""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from guilder.events.v1 import record_pb2 as events
from ledger.store import statement
from tests.ledger.proofs import chain, kinds, transit
from tests.ledger.running import Running
from tests.ledger.shards import SECOND_US, START_US, Shard
from tests.ledger.test_effective import Move, balance_at
from tests.ledger.test_reads import DAY_US, at
from tests.ledger.test_statements import (
    EFFECTIVE,
    RECORDED,
    check,
    delta_of,
    expected_of,
    statement_of,
)
from walletkit.ids import SystemKind, format_id

STEPS = 14
BACK_US = START_US - 2 * DAY_US


@dataclass
class Traffic:
    """Two shards, and what happened to each of their wallets."""

    home: Shard = field(default_factory=lambda: Shard(0))
    away: Shard = field(default_factory=lambda: Shard(1))
    moves: dict[bytes, list[Move]] = field(default_factory=lambda: defaultdict(list))
    ann: bytes = b""
    bob: bytes = b""

    def begin(self) -> None:
        """Make a payer with money, as of long ago, and a payee."""
        self.ann, self.bob = self.home.create(), self.away.create()
        deposit = self.home.transfer(self.home.world(), self.ann, 10_000)
        deposit.effective_time_us = BACK_US - DAY_US
        self._note(self.home, deposit.postings, deposit.effective_time_us)
        self.home.commit()
        self.away.commit()

    def send(self, amount: int, effective_us: int) -> events.Transaction:
        """Debit the payer."""
        sent = self.home.send(self.ann, self.bob, amount)
        sent.effective_time_us = effective_us
        self._note(self.home, sent.postings, effective_us)
        # A copy: the batch is another one as soon as it is committed.
        copy = events.Transaction()
        copy.CopyFrom(sent)
        self.home.commit()
        return copy

    def land(self, sent: events.Transaction) -> None:
        """Credit the payee."""
        landed = self.away.land(sent.transaction_id, sent.intents[0])
        self._say(self.away, landed, sent.effective_time_us)
        self.away.commit()
        self.home.close(sent.transaction_id)
        self.home.commit()

    def bounce(self, sent: events.Transaction, *, suspended: bool) -> None:
        """Send it back: to the payer, or into `suspense` if it can't be given there either."""
        tx_id, effective_us = sent.transaction_id, sent.effective_time_us
        back = events.Intent()
        back.CopyFrom(self.away.send_back(tx_id, sent.intents[0], self.ann))
        self._say(self.away, self.away.batch.landed_legs[-1], effective_us)
        self.away.commit()
        self.home.time_us += SECOND_US
        if suspended:
            back.destination = self.home.system_id(SystemKind.SUSPENSE)
        landed = self.home.land(tx_id, back)
        if suspended:
            landed.result = events.LEG_RESULT_SUSPENDED
        self._say(self.home, landed, effective_us)
        self.home.close(tx_id, state=events.TRANSACTION_STATE_RETURNED)
        self.home.commit()
        self.away.close(tx_id, back.leg, events.TRANSACTION_STATE_UNSPECIFIED)
        self.away.commit()

    def _say(self, shard: Shard, landed: events.LandedLeg, effective_us: int) -> None:
        landed.effective_time_us = effective_us
        self._note(shard, landed.postings, effective_us)

    def _note(self, shard: Shard, postings: Iterable[events.Posting], effective_us: int) -> None:
        recorded_us = shard.time_us + SECOND_US
        for posting in postings:
            for wallet_id, sign in ((posting.source, -1), (posting.destination, 1)):
                self.moves[wallet_id].append(
                    Move(recorded_us, effective_us or recorded_us, sign * posting.amount_minor)
                )


def traffic(rng: random.Random) -> Traffic:
    """Send money over, with times of its own or none; some of it comes back, some stays away."""
    made = Traffic()
    made.begin()
    for step in range(STEPS):
        shift_us = rng.choice((-2 * DAY_US, -DAY_US, -1, 1, DAY_US, None))
        effective_us = 0 if shift_us is None else START_US + shift_us + step
        sent = made.send(rng.randrange(1, 90), effective_us)
        made.away.time_us = max(made.away.time_us, made.home.time_us)
        fate = rng.random()
        if fate < 0.5:
            made.land(sent)
        elif fate < 0.9:
            made.bounce(sent, suspended=fate > 0.75)
    return made


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_both_sides_count_at_one_time_whatever_becomes_of_a_leg(
    running: Running, seed: int
) -> None:
    """Landed, bounced, suspended, on its way: every wallet's balance, and sums of zero, always."""
    made = traffic(random.Random(seed))
    await running.take(made.home, made.away)
    moves = [move for of_wallet in made.moves.values() for move in of_wallet]
    times = {t for move in moves for t in (move.recorded_us, move.effective_us)}
    for time_us in sorted({t + d for t in times for d in (0, 1)}):
        sums: dict[int, int] = defaultdict(int)
        for wallet_id, of_wallet in made.moves.items():
            counts = sum(move.delta for move in of_wallet if move.effective_us < time_us)
            found = await balance_at(running, wallet_id, at_effective_time=at(time_us))
            assert found == counts
            recorded = sum(move.delta for move in of_wallet if move.recorded_us < time_us)
            assert await balance_at(running, wallet_id, at_time=at(time_us)) == recorded
            home = wallet_id in made.home.wallets or wallet_id in made.home.system
            sums[0 if home else 1] += found
        assert set(sums.values()) == {0}, time_us
    assert [kinds(await chain(running, shard)) for shard in (0, 1)] == [set(), set()]
    assert kinds(await transit(running)) == set()


async def test_transit_is_empty_at_every_effective_time_once_all_has_landed(
    running: Running,
) -> None:
    """A credit and a return that were recorded days later: between the two times nothing is off."""
    made = Traffic()
    made.begin()
    landed, bounced = made.send(30, BACK_US), made.send(50, BACK_US + DAY_US)
    made.away.time_us = made.home.time_us + 3 * DAY_US
    made.land(landed)
    made.home.time_us = made.away.time_us + DAY_US
    made.bounce(bounced, suspended=False)
    await running.take(made.home, made.away)
    on_its_way = [shard.system_id(SystemKind.TRANSIT) for shard in (made.home, made.away)]
    suspense = made.away.system_id(SystemKind.SUSPENSE)
    for time_us, paid in (
        *((BACK_US, 0), (BACK_US + 1, 30), (BACK_US + DAY_US + 1, 30)),
        *((made.home.time_us - DAY_US, 30), (made.away.time_us + DAY_US, 30)),
    ):
        moment = at(time_us)
        found = [
            await balance_at(running, id_, at_effective_time=moment)
            for id_ in (made.ann, made.bob, *on_its_way, suspense)
        ]
        assert found == [10_000 - paid, paid, paid, -paid, 0], time_us
    recorded = [
        await balance_at(running, id_, at_time=at(made.away.time_us - DAY_US)) for id_ in on_its_way
    ]
    assert sum(recorded) > 0, "at recorded times it was on its way"


@pytest.mark.parametrize("known", ["both", "away alone"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_statements_have_landed_legs_once_at_their_time(
    running: Running, monkeypatch: pytest.MonkeyPatch, seed: int, known: str
) -> None:
    """Also while the home's record, which has all else about them, is not here yet."""
    monkeypatch.setattr(statement, "AT_ONCE", 3)
    rng = random.Random(seed)
    made = traffic(rng)
    shards = (made.home, made.away) if known == "both" else (made.away,)
    await running.take(*shards)
    wallets = (made.bob, made.away.system_id(SystemKind.TRANSIT))
    for wallet_id in (*wallets, made.ann) if known == "both" else wallets:
        moves = made.moves[wallet_id]
        times = sorted({t for move in moves for t in (move.recorded_us, move.effective_us)})
        for _ in range(4):
            start, end = sorted(rng.choices(times, k=2))
            for basis in (RECORDED, EFFECTIVE):
                bounds = {"start_time": at(start), "end_time": at(end)}
                found = await statement_of(
                    running, wallet_id=format_id(wallet_id), basis=basis, **bounds
                )
                check(found)
                expected = expected_of(moves, start, end, effective=basis == EFFECTIVE)
                assert int(found.header.opening_minor) == expected[0]
                shown = [
                    (line.effective_time.ToMicroseconds(), delta_of(line)) for line in found.lines
                ]
                if basis == EFFECTIVE:
                    assert sorted(shown) == expected[1]
                else:
                    counted = [
                        (move.effective_us, move.delta)
                        for move in moves
                        if start <= move.recorded_us < end
                    ]
                    assert sorted(shown) == sorted(counted)


async def test_a_leg_of_before_counts_when_it_was_recorded(running: Running) -> None:
    """Its record says no time, and is not changed: only the debit counts at the effective one."""
    made = Traffic()
    made.begin()
    sent = made.send(30, BACK_US)
    made.away.land(sent.transaction_id, sent.intents[0])
    made.away.commit()
    await running.take(made.home, made.away)
    assert await balance_at(running, made.bob, at_effective_time=at(START_US)) == 0
    found = await statement_of(running, wallet_id=format_id(made.bob), basis=EFFECTIVE)
    check(found)
    assert [line.effective_time.ToMicroseconds() for line in found.lines] == [made.away.time_us]
