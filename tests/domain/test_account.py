"""Accounts are frozen and limited: all of their wallets at once, whatever each one's own state."""

import pytest

from tests.domain.commands_for_tests import (
    HERE,
    balance,
    create,
    deposit,
    freeze_account,
    limit_account,
    make_batch,
    make_id,
    withdrawal,
)
from tests.domain.limited_for_tests import DEBITS, OWNER, limited_batch, velocity
from wallet.domain.batch import AccountChange, Balance, Batch
from wallet.domain.bound import decode_limits, encode_limits
from wallet.domain.commands import FreezeAccount, Limits, SetAccountLimits
from wallet.domain.decide import decide
from wallet.domain.kinds import (
    ACCOUNT_LIMITED,
    LIMITED,
    MAX_ACCOUNT_WALLETS,
    AccountFreeze,
    WalletChangeKind,
    WalletStatus,
)
from wallet.domain.outcome import AccountSet, Posted, WalletSet
from walletkit.errors import ServiceError

A, B, C = make_id(HERE, 1), make_id(HERE, 2), make_id(HERE, 3)
NONE, STOP_DEBITS, ALL = AccountFreeze.NONE, AccountFreeze.DEBITS, AccountFreeze.ALL
FROZEN, UNFROZEN = WalletChangeKind.FROZEN, WalletChangeKind.UNFROZEN
LIMITS = velocity(DEBITS, 100)._replace(max_transaction=80)


def account_batch(balances: dict[bytes, Balance], freeze: AccountFreeze = NONE) -> Batch:
    """Make a batch that has all wallets of an account."""
    batch = make_batch(balances)
    batch.account_wallets["someone"] = tuple(balances)
    batch.accounts["someone"] = freeze
    for wallet in balances.values():
        wallet.flags |= freeze
    return batch


def changed(batch: Batch, command: FreezeAccount | SetAccountLimits) -> AccountSet:
    """Change an account as it must be possible."""
    outcome = decide(batch, command)
    assert isinstance(outcome, AccountSet), outcome
    return outcome


def refused(batch: Batch, command: object) -> str:
    """Decide what must be declined, and say why it was."""
    outcome = decide(batch, command)  # type: ignore[arg-type]  # whichever command a test is about
    assert isinstance(outcome, ServiceError), outcome
    return outcome.reason


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (NONE, STOP_DEBITS, FROZEN),
        (NONE, ALL, FROZEN),
        (STOP_DEBITS, ALL, FROZEN),
        (ALL, STOP_DEBITS, FROZEN),
        (STOP_DEBITS, NONE, UNFROZEN),
        (ALL, NONE, UNFROZEN),
    ],
)
def test_a_freeze_reaches_every_wallet(
    before: AccountFreeze, after: AccountFreeze, kind: WalletChangeKind
) -> None:
    """Each that is not closed gets it as a change of its own; status and other flags stay."""
    batch = account_batch(
        {
            B: balance(7, currency="USD", status=WalletStatus.FROZEN, version=4),
            A: balance(10, version=2),
            C: balance(status=WalletStatus.CLOSED, version=9),
        },
        before,
    )
    batch.balances[A].flags |= LIMITED
    outcome = changed(batch, freeze_account(after))
    assert (outcome.freeze, outcome.wallets, outcome.limits) == (after, 2, None)
    assert batch.balances[A].flags == after | LIMITED
    assert batch.balances[C].flags == before
    assert [(c.facts.wallet_id, c.kind, c.version) for c in batch.changes.wallets] == [
        (A, kind, 3),
        (B, kind, 5),
    ]
    assert {(c.previous_account_freeze, c.account_freeze) for c in batch.changes.wallets} == {
        (before, after)
    }
    assert batch.changes.settings == set(batch.changes.touched) == {A, B}
    assert batch.changes.accounts == [AccountChange("someone", HERE, after)]
    assert batch.accounts["someone"] == after


def test_a_freeze_holds_for_the_rest_of_the_batch() -> None:
    """Nothing leaves any more; of debits alone, credits come in, and new wallets are born so."""
    batch = account_batch({A: balance(10)})
    changed(batch, freeze_account(STOP_DEBITS))
    assert refused(batch, withdrawal(A, 1, key="out")) == "ACCOUNT_FROZEN"
    assert isinstance(decide(batch, deposit(A, 1, key="in")), Posted)
    born = decide(batch, create(HERE, key="new"))
    assert isinstance(born, WalletSet)
    assert born.account_freeze == STOP_DEBITS
    assert changed(batch, freeze_account(NONE, key="undo")).wallets == 2
    assert isinstance(decide(batch, withdrawal(A, 1, key="again")), Posted)


@pytest.mark.parametrize(
    ("freeze", "reason"),
    [
        (NONE, "ACCOUNT_NOT_FROZEN"),
        (STOP_DEBITS, "ACCOUNT_FROZEN"),
        (ALL, "ACCOUNT_FROZEN"),
    ],
)
def test_the_same_again_is_refused(freeze: AccountFreeze, reason: str) -> None:
    """It is a decision on the account, kept with its key, and changes nothing."""
    batch = account_batch({A: balance(10)}, freeze)
    assert refused(batch, freeze_account(freeze)) == reason
    assert (batch.changes.wallets, batch.changes.accounts) == ([], [])
    assert len(batch.changes.keys) == 1


@pytest.mark.parametrize("command", [freeze_account(ALL), limit_account(LIMITS)])
def test_an_account_is_what_wallets_have(command: FreezeAccount | SetAccountLimits) -> None:
    """Without any it is not found, which leaves the key free; with too many it is too large."""
    batch = account_batch({})
    assert refused(batch, command) == "ACCOUNT_NOT_FOUND"
    assert not batch.changes.any()
    ids = [make_id(HERE, number) for number in range(1, MAX_ACCOUNT_WALLETS + 2)]
    batch = account_batch({wallet_id: balance() for wallet_id in ids})
    assert refused(batch, command) == "ACCOUNT_TOO_LARGE"
    batch = account_batch({wallet_id: balance() for wallet_id in ids[1:]})
    assert changed(batch, command).wallets == MAX_ACCOUNT_WALLETS


@pytest.mark.parametrize("command", [freeze_account(ALL), limit_account(LIMITS)])
def test_a_bound_account_does_not_outgrow_what_undoes_it(
    command: FreezeAccount | SetAccountLimits,
) -> None:
    """While it is frozen or limited it gets no wallet too many; one that is neither does."""
    batch = account_batch({make_id(HERE, n): balance() for n in range(1, MAX_ACCOUNT_WALLETS)})
    batch.account_sizes["someone"] = MAX_ACCOUNT_WALLETS - 1
    changed(batch, command)
    outcomes = [decide(batch, create(HERE, key=f"new {n}")) for n in range(2)]
    assert isinstance(outcomes[0], WalletSet)
    assert getattr(outcomes[1], "reason", "") == "ACCOUNT_TOO_LARGE"
    free = account_batch({})
    free.account_sizes["someone"] = MAX_ACCOUNT_WALLETS
    assert isinstance(decide(free, create(HERE, key="new")), WalletSet)


def test_limits_bind_all_wallets_of_a_currency() -> None:
    """Each gets the flag as a change of its own; the row begins with what is held in them."""
    batch = account_batch(
        {
            A: balance(1000, held=20, overdraft_limit=5, version=2),
            B: balance(1000, held=30),
            C: balance(1000, currency="USD", held=7),
        }
    )
    batch.balances[A].flags = LIMITED | ALL
    batch.bounds = dict(limited_batch({A: Limits(5, max_balance=9)}).bounds)
    outcome = changed(batch, limit_account(LIMITS))
    assert (outcome.wallets, outcome.currency, outcome.limits) == (2, "EUR", LIMITS)
    assert (batch.bounds[OWNER].limits, batch.bounds[OWNER].held) == (LIMITS, 50)
    assert batch.changes.bounds == {OWNER: batch.bounds[OWNER]}
    assert batch.balances[A].flags == LIMITED | ALL | ACCOUNT_LIMITED
    assert batch.balances[C].flags == 0
    assert batch.owners == {A: OWNER, B: OWNER}
    assert batch.changes.settings == {A, B}
    first, second = batch.changes.wallets
    assert (first.kind, first.version) == (WalletChangeKind.LIMITED, 3)
    assert (decode_limits(first.limits), second.limits) == (Limits(5, max_balance=9), b"")
    (noted,) = batch.changes.accounts
    assert (noted.currency, noted.limits) == ("EUR", encode_limits(LIMITS))


def test_limits_hold_for_the_rest_of_the_batch() -> None:
    """What one wallet spends, another can't; a wallet created now is bound as well."""
    batch = account_batch({A: balance(1000), B: balance(1000, held=30)})
    changed(batch, limit_account(LIMITS))
    assert isinstance(decide(batch, withdrawal(A, 50, key="1")), Posted)
    assert refused(batch, withdrawal(B, 21, key="2")) == "VELOCITY_LIMIT"
    born = create(HERE, key="new")
    decide(batch, born)
    assert refused(batch, deposit(born.ref, 81, key="3")) == "TRANSACTION_LIMIT"
    decide(batch, deposit(born.ref, 80, key="4"))
    assert refused(batch, withdrawal(born.ref, 21, key="5")) == "VELOCITY_LIMIT"
    assert isinstance(decide(batch, withdrawal(born.ref, 20, key="6")), Posted)


def test_changed_limits_keep_what_was_used() -> None:
    """And take what is held as it is now."""
    batch = account_batch({A: balance(1000), B: balance(1000)})
    changed(batch, limit_account(LIMITS))
    decide(batch, withdrawal(A, 80, key="1"))
    batch.hold(B, 20)
    changed(batch, limit_account(velocity(DEBITS, 110), key="2"))
    assert batch.bounds[OWNER].held == 20
    assert refused(batch, withdrawal(A, 11, key="3")) == "VELOCITY_LIMIT"
    assert isinstance(decide(batch, withdrawal(A, 10, key="4")), Posted)


def test_limits_are_taken_away() -> None:
    """The row goes, and with it the flag of each wallet; again changes nothing that counts."""
    batch = account_batch({A: balance(1000), B: balance(1000)})
    changed(batch, limit_account(LIMITS))
    changed(batch, limit_account(Limits(), key="2"))
    assert (batch.bounds, batch.owners, batch.changes.bounds) == ({}, {}, {OWNER: None})
    assert {wallet.flags for wallet in batch.balances.values()} == {0}
    assert batch.changes.accounts[-1] == AccountChange("someone", HERE, NONE, "EUR", b"")
    assert isinstance(decide(batch, withdrawal(A, 1000, key="3")), Posted)
    changed(batch, limit_account(Limits(), key="4"))
    assert batch.changes.bounds == {OWNER: None}


def test_limits_do_not_unfreeze() -> None:
    """The account stays as frozen as it is, and says so."""
    batch = account_batch({A: balance(1000)}, ALL)
    assert changed(batch, limit_account(LIMITS)).freeze == ALL
    assert batch.changes.accounts[0].freeze == ALL
    assert batch.changes.wallets[0].account_freeze == ALL
