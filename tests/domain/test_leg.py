"""Credits from other shards: they land once, are never refused, and what can't stay goes back."""

import pytest

from tests.domain.commands_for_tests import HERE, THERE, balance, intent, make_batch, make_id
from wallet.domain.batch import Balance, Batch, ClosedIntent
from wallet.domain.bound import Bound
from wallet.domain.commands import CloseIntent, Intent, LandLeg, Limits, VelocityLimit
from wallet.domain.decide import decide
from wallet.domain.kinds import (
    LIMITED,
    RETURN_LEG,
    AccountFreeze,
    LegResult,
    TransactionState,
    VelocityBasis,
    VelocityWindow,
    WalletStatus,
)
from wallet.domain.outcome import Closed, Landed
from walletkit.ids import SystemKind, slot_of, system_wallet_id
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


@pytest.mark.parametrize("flags", [AccountFreeze.DEBITS, AccountFreeze.ALL])
def test_leg_lands_whatever_is_frozen(flags: int) -> None:
    """Neither a freeze of debits nor one of the account stops a credit that was decided."""
    wallet = balance(0, status=WalletStatus.DEBITS_FROZEN)
    wallet.flags = flags
    batch = batch_with(wallet)
    assert land(batch, intent(FAR, W, 10)) == LegResult.CREDITED


DAY_CREDITS = VelocityLimit(VelocityWindow.DAY, VelocityBasis.CREDITS, 15, 0)


@pytest.mark.parametrize(
    "limits", [Limits(max_balance=15), Limits(velocity=(DAY_CREDITS,))], ids=["balance", "day"]
)
def test_leg_beyond_the_limits_goes_back(limits: Limits) -> None:
    """What a wallet may not take returns; what comes back to its own wallet always lands."""
    wallet = balance(0)
    wallet.flags = LIMITED
    batch = batch_with(wallet)
    batch.bounds[W] = Bound(W, HERE, limits, 0)
    results = [land(batch, intent(FAR, W, amount)) for amount in (10, 6, 5)]
    assert results == [LegResult.CREDITED, LegResult.RETURNED, LegResult.CREDITED]
    assert batch.bounds[W].usage[1].credits == 15
    assert land(batch, intent(FAR, W, 10, leg=RETURN_LEG)) == LegResult.CREDITED
    assert batch.balances[W].posted == 25


def test_leg_of_a_system_wallet_returns_to_it() -> None:
    """What the home's `exchange` has paid comes back to `exchange`."""
    exchange = system_wallet_id(SystemKind.EXCHANGE, 0, "USD")
    back = Intent(make_id(HERE), RETURN_LEG + 3, FAR, exchange, "USD", 10, legs=2)
    batch = make_batch()
    batch.open_intents.add((back.tx_id, 3))
    assert land(batch, back) == LegResult.CREDITED
    assert batch.changes.system == {
        (SystemKind.TRANSIT, "USD"): -10,
        (SystemKind.EXCHANGE, "USD"): 10,
    }
    assert [closed[1:] for closed in batch.changes.closed] == [(3, TransactionState.RETURNED)]


def several(*legs: int) -> tuple[Batch, bytes]:
    """Make a batch of the home of a transaction with these legs open."""
    tx_id = make_id(HERE)
    batch = batch_with(balance(0))
    batch.open_intents.update((tx_id, leg) for leg in legs)
    batch.states[tx_id] = TransactionState.PROCESSING
    return batch, tx_id


def close(batch: Batch, tx_id: bytes, leg: int, legs: int = 3) -> None:
    """Close one of several legs that have been credited."""
    assert (
        decide(batch, CloseIntent(HERE, tx_id, leg, TransactionState.COMPLETED, legs)) == Closed()
    )


def come_back(batch: Batch, tx_id: bytes, leg: int, legs: int = 3) -> None:
    """Land the return of one of several legs."""
    land(batch, Intent(tx_id, leg + RETURN_LEG, FAR, W, "EUR", 10, legs))


def states(batch: Batch) -> list[tuple[int, TransactionState | None]]:
    """Return the legs that were closed, and what their transaction became with each."""
    return [(closed.leg, closed.state) for closed in batch.changes.closed]


def test_last_leg_completes_its_transaction() -> None:
    """Only the leg that closes last ends a transaction of several, whatever its number."""
    batch, tx_id = several(0, 2, 99)
    for leg in (99, 0, 0, 2):
        close(batch, tx_id, leg)
    assert states(batch) == [(99, None), (0, None), (2, TransactionState.COMPLETED)]


def test_leg_that_comes_back_makes_it_returned_for_good() -> None:
    """RETURNED is told at once, and no leg that closes later changes it."""
    batch, tx_id = several(0, 2, 99)
    close(batch, tx_id, 0)
    come_back(batch, tx_id, 2)
    close(batch, tx_id, 99)
    assert states(batch) == [(0, None), (2, TransactionState.RETURNED), (99, None)]
    assert batch.states[tx_id] == TransactionState.RETURNED


def test_leg_that_comes_back_last_ends_it_too() -> None:
    """A transaction whose other legs were credited is RETURNED by the last one."""
    batch, tx_id = several(0, 1)
    close(batch, tx_id, 0)
    come_back(batch, tx_id, 1)
    assert states(batch) == [(0, None), (1, TransactionState.RETURNED)]


def test_returned_earlier_stays_returned() -> None:
    """What an earlier batch has found is read, and kept."""
    batch, tx_id = several(5)
    batch.states[tx_id] = TransactionState.RETURNED
    close(batch, tx_id, 5)
    assert states(batch) == [(5, None)]


def test_return_knows_how_many_legs_there_are() -> None:
    """A return of one of several legs is closed at home as one of several."""
    batch = make_batch()
    leg = intent(FAR, W)._replace(leg=7, legs=4)
    assert land(batch, leg) == LegResult.RETURNED
    assert batch.changes.legs[0].returned == leg._replace(
        leg=RETURN_LEG + 7, source=W, destination=FAR
    )
