"""Legs carry the time at which their transaction counts, there and back."""

import pytest

from tests.domain.commands_for_tests import (
    FEES,
    HERE,
    NOW_US,
    THERE,
    authorize,
    balance,
    capture,
    intent,
    line,
    make_batch,
    make_id,
    post,
    reverse,
    transfer,
)
from wallet.domain.batch import Batch, Counterparty
from wallet.domain.commands import Command, LandLeg
from wallet.domain.decide import decide
from wallet.domain.kinds import RETURN_LEG, LegResult, WalletStatus
from wallet.domain.outcome import HoldSet, Landed, Posted
from walletkit.ids import slot_of

A, B, FAR = make_id(HERE, 1), make_id(HERE, 2), make_id(THERE, 3)
EARLIER_US = NOW_US - 86_400_000_000


def batch_of_home() -> Batch:
    """Make a batch with money in A, that has looked at FAR."""
    batch = make_batch({A: balance(100), B: balance(0)})
    batch.counterparties[FAR] = Counterparty("EUR", WalletStatus.ACTIVE)
    return batch


def sent(kind: str, effective_us: int) -> Batch:
    """Send money from A to FAR, by one kind of command."""
    batch = batch_of_home()
    command: Command
    if kind == "transfer":
        command = transfer(A, FAR)._replace(effective_us=effective_us)
    elif kind == "capture":
        hold = decide(batch, authorize(A, 30, expire_time_us=NOW_US + 1000, key="hold"))
        assert isinstance(hold, HoldSet)
        command = capture(hold.hold.hold_id, A, 10, destination=FAR)
        command = command._replace(effective_us=effective_us)
    elif kind == "reversal":
        original = transfer(FAR, A)
        batch.landed[original.ref, 0] = LegResult.CREDITED
        command = reverse(original, leg=0)._replace(effective_us=effective_us)
    else:
        lines = (line(A, FAR, 10), line(A, B, 5), line(A, FAR, 7), line(A, FEES, 1))
        command = post(*lines)._replace(effective_us=effective_us)
    outcome = decide(batch, command)
    assert isinstance(outcome, Posted), outcome
    return batch


@pytest.mark.parametrize("effective_us", [EARLIER_US, NOW_US + 5, 0])
@pytest.mark.parametrize("kind", ["transfer", "capture", "reversal", "postings"])
def test_a_leg_counts_when_its_transaction_does(kind: str, effective_us: int) -> None:
    """Whatever sent it: each leg has the time that its caller said, or none."""
    (new,) = sent(kind, effective_us).changes.transactions
    assert len(new.intents) == (2 if kind == "postings" else 1)
    assert new.command.effective_us == effective_us
    assert {leg.effective_us for leg in new.intents} == {effective_us}


@pytest.mark.parametrize("effective_us", [EARLIER_US, 0])
def test_a_return_counts_when_the_debit_did(effective_us: int) -> None:
    """What bounced was never gone, at any time that counts; the payer gets it back as of then."""
    leg = intent(FAR, B, 10)._replace(effective_us=effective_us)
    there = make_batch({})
    assert decide(there, LandLeg(HERE, leg)) == Landed(LegResult.RETURNED)
    (landed,) = there.changes.legs
    assert landed.intent.effective_us == effective_us
    back = landed.returned
    assert back is not None
    assert (back.leg, back.effective_us) == (RETURN_LEG, effective_us)
    home = make_batch({FAR: balance(0)}, shard=1)
    assert decide(home, LandLeg(slot_of(FAR), back)) == Landed(LegResult.CREDITED)
    (landed,) = home.changes.legs
    assert landed.intent.effective_us == effective_us
