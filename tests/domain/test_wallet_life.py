"""A wallet's life: created, frozen, unfrozen, updated, closed, and what each step refuses."""

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
    freeze_account,
    limit,
    make_batch,
    make_id,
    transfer,
    update,
)
from tests.domain.limited_for_tests import OWNER, limited_batch, reason
from wallet.domain.batch import Balance, Batch, Counterparty
from wallet.domain.bound import Bound
from wallet.domain.commands import ChangeStatus, Limits, SetWalletLimits, UpdateWallet
from wallet.domain.decide import decide
from wallet.domain.kinds import (
    ACCOUNT_LIMITED,
    LIMITED,
    AccountFreeze,
    WalletChangeKind,
    WalletStatus,
)
from wallet.domain.outcome import AccountSet, BalanceAfter, Posted, WalletSet
from wallet.domain.wallet import refuse_move
from walletkit.errors import ServiceError
from walletkit.ids import format_id

W, FAR = make_id(HERE, 1), make_id(THERE, 2)
FREEZE, UNFREEZE, CLOSE = (
    WalletChangeKind.FROZEN,
    WalletChangeKind.UNFROZEN,
    WalletChangeKind.CLOSED,
)
ACTIVE, FROZEN, CLOSED = WalletStatus.ACTIVE, WalletStatus.FROZEN, WalletStatus.CLOSED
DEBITS_FROZEN = WalletStatus.DEBITS_FROZEN


def declined(batch: Batch, command: ChangeStatus | UpdateWallet | SetWalletLimits) -> ServiceError:
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


@pytest.mark.parametrize(("first", "then"), [(FROZEN, DEBITS_FROZEN), (DEBITS_FROZEN, FROZEN)])
def test_a_freeze_may_become_the_other_one(first: WalletStatus, then: WalletStatus) -> None:
    """Wider or narrower: each can follow the other, none itself; either can be undone."""
    batch = make_batch({W: balance(status=first)})
    again = change(FREEZE, W, key="again")._replace(status=first)
    assert declined(batch, again).reason == "WALLET_FROZEN"
    outcome = decide(batch, change(FREEZE, W, key="other")._replace(status=then))
    assert isinstance(outcome, WalletSet)
    assert outcome.status == then
    decide(batch, change(UNFREEZE, W, key="undo"))
    assert [(c.previous_status, c.status) for c in batch.changes.wallets] == [
        (first, then),
        (then, ACTIVE),
    ]


@pytest.mark.parametrize(
    ("status", "freeze", "debit", "credit"),
    [
        (ACTIVE, AccountFreeze.NONE, None, None),
        (FROZEN, AccountFreeze.NONE, "WALLET_FROZEN", "WALLET_FROZEN"),
        (DEBITS_FROZEN, AccountFreeze.NONE, "WALLET_FROZEN", None),
        (CLOSED, AccountFreeze.NONE, "WALLET_CLOSED", "WALLET_CLOSED"),
        (ACTIVE, AccountFreeze.DEBITS, "ACCOUNT_FROZEN", None),
        (ACTIVE, AccountFreeze.ALL, "ACCOUNT_FROZEN", "ACCOUNT_FROZEN"),
        (FROZEN, AccountFreeze.DEBITS, "WALLET_FROZEN", "WALLET_FROZEN"),
        (DEBITS_FROZEN, AccountFreeze.ALL, "WALLET_FROZEN", "ACCOUNT_FROZEN"),
        (CLOSED, AccountFreeze.ALL, "WALLET_CLOSED", "WALLET_CLOSED"),
    ],
)
def test_what_may_move(
    status: WalletStatus, freeze: AccountFreeze, debit: str | None, credit: str | None
) -> None:
    """Either freeze stops debits, only one of all stops credits; the wallet's own is told first."""
    flags = freeze | LIMITED | ACCOUNT_LIMITED
    assert reason(refuse_move(W, status, flags, debit=True)) == debit
    assert reason(refuse_move(W, status, flags, debit=False)) == credit


@pytest.mark.parametrize(
    ("wallet", "command"),
    [
        (balance(version=3), change(FREEZE, W)),
        (balance(version=3, status=FROZEN), change(UNFREEZE, W)),
        (balance(version=3), change(CLOSE, W)),
        (balance(version=3), update(W)),
        (balance(version=3), limit(W, Limits(overdraft=5))),
    ],
)
def test_a_change_may_expect_a_version(
    wallet: Balance, command: ChangeStatus | UpdateWallet | SetWalletLimits
) -> None:
    """Any other version than the one expected declines it; the next change has the next one."""
    batch = make_batch({W: wallet})
    refusal = declined(batch, command._replace(expected_version=2, key_hash=b"stale"))
    assert refusal.reason == "VERSION_MISMATCH"
    assert (refusal.metadata["version"], refusal.metadata["expected_version"]) == ("3", "2")
    outcome = decide(batch, command._replace(expected_version=3))
    assert isinstance(outcome, WalletSet)
    assert outcome.after.version == 4


def test_state_is_told_before_version_before_what_is_left() -> None:
    """The order in which a close is refused."""
    batch = make_batch({W: balance(5, status=CLOSED, version=3)})
    close = change(CLOSE, W)._replace(expected_version=2)
    reasons = [declined(batch, close).reason]
    batch.balances[W].status = ACTIVE
    reasons.append(declined(batch, close._replace(key_hash=b"2")).reason)
    reasons.append(declined(batch, close._replace(key_hash=b"3", expected_version=3)).reason)
    assert reasons == ["WALLET_CLOSED", "VERSION_MISMATCH", "WALLET_NOT_EMPTY"]


def test_update_replaces_metadata() -> None:
    """A frozen wallet's too; the rest of the batch finds it changed."""
    batch = make_batch({W: balance(5, status=FROZEN, version=3)})
    outcome = decide(batch, update(W, b'{"m":{"a":"b"}}'))
    assert isinstance(outcome, WalletSet)
    assert (outcome.facts.opaque, outcome.after) == (b'{"m":{"a":"b"}}', BalanceAfter(5, 0, 0, 4))
    assert (batch.facts[W], set(batch.changes.touched)) == (outcome.facts, {W})
    (noted,) = batch.changes.wallets
    assert (noted.kind, noted.facts) == (WalletChangeKind.UPDATED, outcome.facts)
    assert (noted.status, noted.previous_status) == (FROZEN, FROZEN)


@pytest.mark.parametrize("command", [update(W), limit(W, Limits(overdraft=5))])
def test_a_closed_wallet_does_not_change(command: UpdateWallet | SetWalletLimits) -> None:
    """Neither its metadata nor its limits."""
    batch = make_batch({W: balance(status=CLOSED)})
    assert declined(batch, command).reason == "WALLET_CLOSED"
    assert declined(make_batch(), command).reason == "WALLET_NOT_FOUND"


def test_close_releases_all_limits() -> None:
    """The row goes, the credit line is zero, and the account's row is no longer its own."""
    batch = limited_batch({W: Limits(7, max_balance=5)}, Limits(max_transaction=5), posted=0)
    batch.balances[W].overdraft_limit = 7
    batch.balances[W].flags |= AccountFreeze.DEBITS
    outcome = decide(batch, change(CLOSE, W))
    assert isinstance(outcome, WalletSet)
    assert (outcome.after, outcome.account_freeze) == (BalanceAfter(0, 0, 0, 2), 1)
    assert batch.balances[W].flags == AccountFreeze.DEBITS
    assert (batch.changes.bounds, batch.changes.settings) == ({W: None}, {W})
    assert (set(batch.bounds), batch.owners) == ({OWNER}, {})
    (noted,) = batch.changes.wallets
    assert (noted.previous_overdraft_limit, noted.overdraft_limit) == (7, 0)


def test_an_alias_is_given_once_in_an_account() -> None:
    """Not again in the batch, nor in another account's way; a taken one is no decision."""
    batch = make_batch()
    made = decide(batch, create(HERE, key="1")._replace(alias="main"))
    assert isinstance(made, WalletSet)
    assert made.facts.alias == "main"
    refusal = decide(batch, create(HERE, key="2")._replace(alias="main"))
    assert isinstance(refusal, ServiceError)
    assert (refusal.reason, refusal.code) == ("ALIAS_TAKEN", "ALREADY_EXISTS")
    assert refusal.metadata["wallet_id"] == format_id(made.facts.wallet_id)
    assert isinstance(decide(batch, create(HERE, "other")._replace(alias="main")), WalletSet)
    assert isinstance(decide(batch, create(HERE, key="3")), WalletSet)
    assert len(batch.changes.keys) == 3


def test_a_wallet_is_born_as_its_account_is() -> None:
    """Frozen and limited: nobody gets around either by a new wallet."""
    batch = make_batch()
    batch.accounts["someone"] = AccountFreeze.DEBITS
    batch.bounds[OWNER] = Bound(OWNER, HERE, Limits(max_transaction=5), 0)
    command = create(HERE)
    outcome = decide(batch, command)
    assert isinstance(outcome, WalletSet)
    assert (outcome.status, outcome.account_freeze) == (ACTIVE, AccountFreeze.DEBITS)
    assert batch.balances[command.ref].flags == AccountFreeze.DEBITS | ACCOUNT_LIMITED
    assert batch.owners == {command.ref: OWNER}
    assert batch.changes.settings == set(batch.changes.touched) == {command.ref}
    assert batch.changes.wallets[0].account_freeze == AccountFreeze.DEBITS
    over = decide(batch, deposit(command.ref, 6))
    assert isinstance(over, ServiceError)
    assert over.reason == "TRANSACTION_LIMIT"


def test_a_wallet_is_frozen_with_its_account_in_the_batch_that_makes_it() -> None:
    """A freeze behind the creation finds the new wallet, though the store had not."""
    batch = make_batch({W: balance(9)})
    batch.account_wallets["someone"] = (W,)
    command = create(HERE, key="new")
    decide(batch, command)
    outcome = decide(batch, freeze_account(AccountFreeze.ALL))
    assert isinstance(outcome, AccountSet)
    assert outcome.wallets == 2
    late = decide(batch, transfer(W, command.ref, key="late"))
    assert isinstance(late, ServiceError)
    assert late.reason == "ACCOUNT_FROZEN"
