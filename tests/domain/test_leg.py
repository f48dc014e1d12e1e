"""Credits from other shards: they land once, are never refused, and what can't stay goes back."""

import pytest

from tests.domain.commands_for_tests import HERE, THERE, balance, intent, make_batch, make_id
from wallet.domain.batch import Balance, Batch, ClosedIntent
from wallet.domain.commands import CloseIntent, Intent, LandLeg
from wallet.domain.decide import decide
from wallet.domain.kinds import RETURN_LEG, LegResult, TransactionState, WalletStatus
from wallet.domain.outcome import Closed, Landed
from walletkit.ids import SystemKind, slot_of
from walletkit.money import MAX_BALANCE_MINOR

FAR, W = make_id(THERE, 1), make_id(HERE, 2)
TRANSIT, SUSPENSE = (SystemKind.TRANSIT, "EUR"), (SystemKind.SUSPENSE, "EUR")

UNABLE: list[Balance | None] = [
    None,
    balance(0, status=WalletStatus.CLOSED),
    balance(0, currency="USD"),
    balance(MAX_BALANCE_MINOR - 9),
]
"""Wallets that can't take 10 euros: missing, closed, of another currency, too full."""


def land(batch: Batch, leg: Intent) -> LegResult:
    """Land a leg, and return what became of it."""
    outcome = decide(batch, LandLeg(slot_of(leg.destination), leg))
    assert isinstance(outcome, Landed)
    return outcome.result


def batch_with(wallet: Balance | None) -> Batch:
    """Make a batch of the destination's shard."""
    return make_batch({} if wallet is None else {W: wallet})


@pytest.mark.parametrize("status", [WalletStatus.ACTIVE, WalletStatus.FROZEN])
def test_leg_lands_in_the_wallet(status: WalletStatus) -> None:
    """`transit` gives, the wallet gets; a freeze stops nothing that was decided before it."""
    batch = batch_with(balance(5, status=status, version=3))
    assert land(batch, intent(FAR, W, 10)) == LegResult.CREDITED
    assert (batch.balances[W].posted, batch.balances[W].version) == (15, 4)
    assert batch.changes.system == {TRANSIT: -10}
    (leg,) = batch.changes.legs
    assert leg.returned is None
    assert leg.slot == HERE


def test_leg_lands_up_to_the_last_unit() -> None:
    """A wallet takes a leg that fills it exactly."""
    batch = batch_with(balance(MAX_BALANCE_MINOR - 10))
    assert land(batch, intent(FAR, W, 10)) == LegResult.CREDITED
    assert batch.balances[W].posted == MAX_BALANCE_MINOR


@pytest.mark.parametrize("wallet", UNABLE)
def test_leg_that_cannot_stay_goes_back(wallet: Balance | None) -> None:
    """It passes through `suspense`, and an intent brings the amount back to where it came from."""
    before = wallet and wallet.after()
    batch = batch_with(wallet)
    leg = intent(FAR, W, 10)
    assert land(batch, leg) == LegResult.RETURNED
    assert wallet is None or batch.balances[W].after() == before
    assert batch.changes.system == {TRANSIT: 0, SUSPENSE: 0}
    (landed,) = batch.changes.legs
    assert landed.returned == Intent(leg.tx_id, RETURN_LEG, W, FAR, "EUR", 10)
    assert [posting.amount for posting in landed.postings] == [10, 10]


@pytest.mark.parametrize("status", [WalletStatus.ACTIVE, WalletStatus.FROZEN])
def test_return_lands_and_ends_the_first_intent(status: WalletStatus) -> None:
    """The amount is back, even in a frozen wallet; the transaction is RETURNED, its intent gone."""
    batch = batch_with(balance(0, status=status))
    back = intent(FAR, W, 10, leg=RETURN_LEG)
    batch.open_intents.add((back.tx_id, 0))
    assert land(batch, back) == LegResult.CREDITED
    assert batch.balances[W].posted == 10
    assert batch.changes.closed == [ClosedIntent(back.tx_id, 0, TransactionState.RETURNED)]


@pytest.mark.parametrize("wallet", UNABLE)
def test_return_that_cannot_land_stays_in_suspense(wallet: Balance | None) -> None:
    """Nothing bounces for ever: an operator finds the amount in the home shard's `suspense`."""
    batch = batch_with(wallet)
    back = intent(FAR, W, 10, leg=RETURN_LEG)
    batch.open_intents.add((back.tx_id, 0))
    assert land(batch, back) == LegResult.SUSPENDED
    assert batch.changes.system == {TRANSIT: -10, SUSPENSE: 10}
    assert batch.changes.legs[0].returned is None
    assert [closed.tx_id for closed in batch.changes.closed] == [back.tx_id]


@pytest.mark.parametrize("result", list(LegResult))
def test_leg_that_has_landed_keeps_its_result(result: LegResult) -> None:
    """Brought again, even when the wallet has changed meanwhile, a leg changes nothing."""
    batch = batch_with(balance(5))
    leg = intent(FAR, W)
    batch.landed[leg.tx_id, leg.leg] = result
    assert land(batch, leg) == result
    assert not batch.changes.any()
    assert batch.balances == {W: balance(5)}


def test_leg_twice_in_a_batch_lands_once() -> None:
    """Two processes may bring the same leg at the same time."""
    batch = batch_with(balance(0))
    leg = intent(FAR, W, 10)
    assert [land(batch, leg), land(batch, leg)] == [LegResult.CREDITED, LegResult.CREDITED]
    assert batch.balances[W].posted == 10
    assert len(batch.changes.legs) == 1


def test_legs_of_one_transaction_are_told_apart() -> None:
    """A leg is known by its transaction and its number."""
    batch = batch_with(balance(0))
    leg = intent(FAR, W, 10)
    land(batch, leg)
    land(batch, leg._replace(leg=1))
    assert batch.balances[W].posted == 20


def test_closing_an_intent_is_idempotent() -> None:
    """The first closing counts; one that is gone stays gone and writes nothing."""
    batch = make_batch()
    leg = intent(W, FAR)
    batch.open_intents.add((leg.tx_id, 0))
    close = CloseIntent(HERE, leg.tx_id, 0, TransactionState.COMPLETED)
    assert [decide(batch, close), decide(batch, close)] == [Closed(), Closed()]
    assert batch.changes.closed == [ClosedIntent(leg.tx_id, 0, TransactionState.COMPLETED)]
    assert batch.open_intents == set()
