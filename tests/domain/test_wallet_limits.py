"""A wallet's limits are set: what changes, what is kept, and what refuses it."""

import pytest

from tests.domain.commands_for_tests import (
    HERE,
    balance,
    deposit,
    limit,
    make_batch,
    make_id,
    withdrawal,
)
from tests.domain.limited_for_tests import DAY, DEBITS, OWNER, limited_batch, velocity
from wallet.domain.batch import Batch
from wallet.domain.bound import decode_limits, encode_limits
from wallet.domain.commands import Limits, SetWalletLimits
from wallet.domain.decide import decide
from wallet.domain.kinds import ACCOUNT_LIMITED, LIMITED, WalletChangeKind, WalletStatus
from wallet.domain.outcome import BalanceAfter, Posted, WalletSet
from walletkit.errors import ServiceError
from walletkit.ids import format_id
from walletkit.money import MAX_BALANCE_MINOR

W = make_id(HERE, 1)
FULL = Limits(40, 0, 5000, 600, 15, velocity(DEBITS, 100, 3).velocity)


def changed(batch: Batch, command: SetWalletLimits) -> WalletSet:
    """Set limits that must be taken."""
    outcome = decide(batch, command)
    assert isinstance(outcome, WalletSet), outcome
    return outcome


def test_limits_are_set() -> None:
    """A row, a flag, the credit line, and a change that tells both and what was before."""
    batch = make_batch({W: balance(10, overdraft_limit=7, version=3)})
    outcome = changed(batch, limit(W, FULL))
    assert (outcome.after, outcome.limits) == (BalanceAfter(10, 0, 40, 4), FULL)
    assert batch.balances[W].flags == LIMITED
    assert (batch.bounds[W].limits, batch.changes.bounds) == (FULL, {W: batch.bounds[W]})
    assert batch.changes.settings == set(batch.changes.touched) == {W}
    (noted,) = batch.changes.wallets
    assert (noted.kind, noted.version) == (WalletChangeKind.LIMITED, 4)
    assert decode_limits(noted.limits) == FULL
    assert (noted.previous_overdraft_limit, noted.overdraft_limit) == (7, 40)
    assert noted.previous_status == noted.status == WalletStatus.ACTIVE


def test_a_credit_line_alone_needs_no_row() -> None:
    """The balance has it; the wallet is not slowed down by anything else."""
    batch = make_batch({W: balance(10)})
    changed(batch, limit(W, Limits(overdraft=40)))
    assert (batch.balances[W].flags, batch.bounds, batch.changes.bounds) == (0, {}, {})
    assert batch.changes.settings == {W}
    assert batch.changes.wallets[0].limits == encode_limits(Limits(overdraft=40))
    assert isinstance(decide(batch, withdrawal(W, 50, key="all")), Posted)
    refusal = decide(batch, withdrawal(W, 1, key="more"))
    assert isinstance(refusal, ServiceError)
    assert refusal.reason == "INSUFFICIENT_FUNDS"


@pytest.mark.parametrize("left", [Limits(), Limits(overdraft=3)])
def test_limits_are_taken_away(left: Limits) -> None:
    """Row and flag go, the account's stay; nothing is refused any more."""
    batch = limited_batch({W: Limits(max_balance=1000)}, Limits(max_transaction=50))
    outcome = changed(batch, limit(W, left))
    assert (outcome.limits, batch.balances[W].flags) == (left, ACCOUNT_LIMITED)
    assert (set(batch.bounds), batch.changes.bounds) == ({OWNER}, {W: None})
    assert isinstance(decide(batch, deposit(W, 50, key="in")), Posted)


def test_limits_taken_away_and_set_again_begin_anew() -> None:
    """In one batch too: what was used is forgotten with the row."""
    batch = limited_batch({W: velocity(DEBITS, 100)})
    decide(batch, withdrawal(W, 100, key="1"))
    changed(batch, limit(W, Limits(), key="2"))
    changed(batch, limit(W, velocity(DEBITS, 100), key="3"))
    assert batch.changes.bounds == {W: batch.bounds[W]}
    assert isinstance(decide(batch, withdrawal(W, 100, key="4")), Posted)


def test_changed_limits_keep_what_was_used() -> None:
    """A wider limit leaves only the difference."""
    batch = limited_batch({W: velocity(DEBITS, 100)})
    decide(batch, withdrawal(W, 100, key="1"))
    changed(batch, limit(W, velocity(DEBITS, 130, 9), key="2"))
    assert batch.bounds[W].spent(DAY, batch.now_us).begun == 1
    assert isinstance(decide(batch, withdrawal(W, 31, key="3")), ServiceError)
    assert isinstance(decide(batch, withdrawal(W, 30, key="4")), Posted)


@pytest.mark.parametrize(
    ("posted", "held", "used"), [(-30, 0, 30), (10, 40, 30), (0, 0, 0), (50, 20, -30)]
)
def test_a_credit_line_covers_what_is_used(posted: int, held: int, used: int) -> None:
    """What is posted less what is held, below zero, is in use; exactly that much suffices."""
    batch = make_batch({W: balance(posted, held=held, overdraft_limit=100)})
    if used > 0:
        refusal = decide(batch, limit(W, Limits(overdraft=used - 1), key="less"))
        assert isinstance(refusal, ServiceError)
        assert refusal.reason == "OVERDRAFT_IN_USE"
        shown = {"used": str(used), "requested": str(used - 1)}
        assert refusal.metadata == {"wallet_id": format_id(W), **shown}
        assert not batch.changes.settings
    outcome = changed(batch, limit(W, Limits(overdraft=max(0, used))))
    assert outcome.after.available >= 0


def test_limits_are_set_in_a_frozen_wallet() -> None:
    """Bounding is no movement."""
    batch = make_batch({W: balance(status=WalletStatus.FROZEN)})
    assert changed(batch, limit(W, FULL)).status == WalletStatus.FROZEN


def test_a_refused_command_uses_nothing() -> None:
    """Neither the limit's sum nor its count."""
    batch = limited_batch({W: velocity(DEBITS, 500, 1)}, posted=10)
    assert isinstance(decide(batch, withdrawal(W, 11, key="1")), ServiceError)
    assert batch.changes.bounds == {}
    assert isinstance(decide(batch, withdrawal(W, 10, key="2")), Posted)


def test_posted_and_credit_line_fit_64_bits() -> None:
    """What can be spent is a 64-bit integer, so neither a line nor a credit takes it beyond."""
    batch = make_batch({W: balance(MAX_BALANCE_MINOR - 10)})
    refusal = decide(batch, limit(W, Limits(overdraft=11)))
    assert isinstance(refusal, ServiceError)
    assert refusal.reason == "BALANCE_OVERFLOW"
    changed(batch, limit(W, Limits(overdraft=10), key="2"))
    assert not batch.balances[W].has_room(1)
