"""A wallet's life: created, frozen, unfrozen, closed, and what each step refuses."""

import pytest

from tests.domain.commands_for_tests import (
    HERE,
    NOW_US,
    THERE,
    balance,
    change,
    create,
    deposit,
    facts,
    make_batch,
    make_id,
    transfer,
)
from wallet.domain.batch import Batch, Counterparty
from wallet.domain.commands import ChangeStatus
from wallet.domain.decide import decide
from wallet.domain.kinds import WalletChangeKind, WalletStatus
from wallet.domain.outcome import BalanceAfter, Posted, WalletSet
from walletkit.errors import ServiceError
from walletkit.ids import format_id

W, FAR = make_id(HERE, 1), make_id(THERE, 2)
FREEZE, UNFREEZE, CLOSE = (
    WalletChangeKind.FROZEN,
    WalletChangeKind.UNFROZEN,
    WalletChangeKind.CLOSED,
)
ACTIVE, FROZEN, CLOSED = WalletStatus.ACTIVE, WalletStatus.FROZEN, WalletStatus.CLOSED


def declined(batch: Batch, command: ChangeStatus) -> ServiceError:
    """Decide a change that must be declined."""
    outcome = decide(batch, command)
    assert isinstance(outcome, ServiceError), outcome
    return outcome


def test_create_makes_an_empty_active_wallet() -> None:
    """It starts at zero and version 1, and exists for the rest of the batch."""
    batch = make_batch()
    outcome = decide(batch, command := create(HERE))
    assert isinstance(outcome, WalletSet)
    assert outcome.facts == facts(command.ref)._replace(create_time_us=NOW_US)
    assert (outcome.status, outcome.after) == (ACTIVE, BalanceAfter(0, 0, 0, 1))
    assert isinstance(decide(batch, deposit(command.ref)), Posted)
    (made,) = batch.changes.wallets
    assert (made.kind, made.version, made.slot) == (WalletChangeKind.CREATED, 1, HERE)


@pytest.mark.parametrize(
    ("kind", "status", "after"),
    [
        (FREEZE, ACTIVE, FROZEN),
        (UNFREEZE, FROZEN, ACTIVE),
        (CLOSE, ACTIVE, CLOSED),
        (CLOSE, FROZEN, CLOSED),
    ],
)
def test_status_changes(kind: WalletChangeKind, status: WalletStatus, after: WalletStatus) -> None:
    """Each change that is allowed sets the status and raises the version."""
    batch = make_batch({W: balance(status=status, version=3)})
    outcome = decide(batch, change(kind, W))
    assert isinstance(outcome, WalletSet), outcome
    assert (outcome.status, outcome.after) == (after, BalanceAfter(0, 0, 0, 4))
    assert batch.balances[W].status == after
    assert set(batch.changes.touched) == {W}
    assert [(c.kind, c.status) for c in batch.changes.wallets] == [(kind, after)]


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        (FREEZE, FROZEN, "WALLET_FROZEN"),
        (FREEZE, CLOSED, "WALLET_CLOSED"),
        (UNFREEZE, ACTIVE, "WALLET_NOT_FROZEN"),
        (UNFREEZE, CLOSED, "WALLET_CLOSED"),
        (CLOSE, CLOSED, "WALLET_CLOSED"),
    ],
)
def test_status_changes_that_are_refused(
    kind: WalletChangeKind, status: WalletStatus, reason: str
) -> None:
    """Any other change is declined, named, kept with its key, and changes nothing."""
    batch = make_batch({W: balance(status=status)})
    refusal = declined(batch, change(kind, W))
    assert (refusal.reason, refusal.metadata) == (reason, {"wallet_id": format_id(W)})
    assert batch.balances == {W: balance(status=status)}
    assert batch.changes.wallets == []
    assert len(batch.changes.keys) == 1


@pytest.mark.parametrize("kind", [FREEZE, UNFREEZE, CLOSE])
def test_unknown_wallet_is_not_kept(kind: WalletChangeKind) -> None:
    """A change of a wallet that is not there is NOT_FOUND and leaves the key free."""
    batch = make_batch()
    assert declined(batch, change(kind, W)).reason == "WALLET_NOT_FOUND"
    assert not batch.changes.any()


@pytest.mark.parametrize(("posted", "held"), [(1, 0), (-1, 0), (5, 5), (0, 1)])
def test_close_needs_an_empty_wallet(posted: int, held: int) -> None:
    """Neither money nor a reservation may be left."""
    batch = make_batch({W: balance(posted, held=held, overdraft_limit=10)})
    refusal = declined(batch, change(CLOSE, W))
    assert refusal.reason == "WALLET_NOT_EMPTY"
    shown = {"posted": str(posted), "held": str(held)}
    assert refusal.metadata == {"wallet_id": format_id(W), **shown}


def test_close_waits_for_money_on_its_way() -> None:
    """While an intent of the wallet is open it can't be closed: the money might come back."""
    batch = make_batch({W: balance(0)})
    batch.paying.add(W)
    assert declined(batch, change(CLOSE, W)).reason == "WALLET_HAS_OPEN_INTENTS"


def test_close_sees_money_sent_in_the_same_batch() -> None:
    """An intent that the batch itself opens counts."""
    batch = make_batch({W: balance(10)})
    batch.counterparties[FAR] = Counterparty("EUR", ACTIVE)
    assert isinstance(decide(batch, transfer(W, FAR, 10, key="send")), Posted)
    assert declined(batch, change(CLOSE, W)).reason == "WALLET_HAS_OPEN_INTENTS"


def test_close_is_final_within_the_batch() -> None:
    """What follows in the same batch finds the wallet closed."""
    batch = make_batch({W: balance(0)})
    assert isinstance(decide(batch, change(CLOSE, W)), WalletSet)
    late = decide(batch, deposit(W, key="late"))
    assert isinstance(late, ServiceError)
    assert late.reason == "WALLET_CLOSED"
