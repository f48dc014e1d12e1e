"""Atomic batches: several commands, all or none, under one key and under one for each."""

import copy
from dataclasses import replace

import pytest

from tests.domain.commands_for_tests import (
    FEES,
    HERE,
    NOW_US,
    THERE,
    atomic,
    authorize,
    balance,
    capture,
    change,
    create,
    deposit,
    freeze_account,
    limit,
    limit_account,
    line,
    make_batch,
    make_id,
    post,
    register,
    transfer,
    update,
    void,
    withdrawal,
)
from wallet.domain.batch import Batch, Changes, Counterparty, Kept
from wallet.domain.bound import Bound
from wallet.domain.commands import Atomic, Limits, SingleCommand
from wallet.domain.decide import decide
from wallet.domain.kinds import (
    LIMITED,
    AccountFreeze,
    HoldState,
    WalletChangeKind,
    WalletStatus,
)
from wallet.domain.outcome import AtomicSet, Hold, HoldSet, Posted, SingleOutcome, WalletSet
from walletkit.errors import ServiceError
from walletkit.ids import NIL, format_id

A, B, FAR, HOLD = make_id(HERE, 1), make_id(HERE, 2), make_id(THERE, 3), make_id(HERE, 4)

EVERY_KIND: list[SingleCommand] = [
    transfer(A, B, 10, key="1"),
    transfer(A, FAR, 10, key="2"),
    deposit(B, 10, key="3"),
    create(HERE, "another", key="4"),
    change(WalletChangeKind.FROZEN, B, key="5"),
    update(B, b'{"m":{}}', key="6"),
    limit(A, Limits(max_transaction=50), key="7"),
    limit(A, Limits(), key="7b"),
    limit_account(Limits(max_transaction=60), key="8"),
    limit_account(Limits(), key="8b"),
    freeze_account(AccountFreeze.DEBITS, key="9"),
    freeze_account(AccountFreeze.NONE, key="9b"),
    register(key="10"),
    authorize(A, 10, key="11"),
    capture(HOLD, A, 5, key="12"),
    void(HOLD, A, key="13"),
    post(line(A, FEES, 5), line(A, FAR, 5), key="14"),
]
"""One of everything that changes something; in this order all of them succeed."""


def fresh_batch() -> Batch:
    """Make a batch with all that the commands above touch."""
    batch = make_batch({A: balance(100, held=20), B: balance(0)})
    batch.balances[A].flags = LIMITED
    batch.bounds[A] = Bound(A, HERE, Limits(max_transaction=99), 0)
    batch.counterparties[FAR] = Counterparty("EUR", WalletStatus.ACTIVE)
    batch.account_wallets["someone"] = (A, B)
    batch.holds[HOLD] = Hold(
        HOLD, A, "EUR", NIL, HoldState.AUTHORIZED, 20, 0, 0, NOW_US + 1, NOW_US, b"", b""
    )
    return batch


def done(batch: Batch, command: Atomic) -> AtomicSet:
    """Decide a batch that must succeed."""
    outcome = decide(batch, command)
    assert isinstance(outcome, AtomicSet), outcome
    return outcome


def declined(batch: Batch, command: Atomic) -> ServiceError:
    """Decide a batch that must be declined."""
    outcome = decide(batch, command)
    assert isinstance(outcome, ServiceError), outcome
    return outcome


def keep(batch: Batch) -> Batch:
    """Make the batch that finds what another has kept, and what it has made of the rows."""
    later = copy.deepcopy(replace(batch, decided={}, changes=Changes()))
    for command, _, kept in batch.changes.keys:
        later.kept[command.key_hash] = Kept(command.ref, command.fingerprint, kept, None)
    return later


def test_all_succeed_as_they_would_alone() -> None:
    """The outcomes, rows and changes are those of the same commands one after another."""
    alone, together = fresh_batch(), fresh_batch()
    expected = tuple(decide(alone, command) for command in EVERY_KIND)
    command = atomic(*EVERY_KIND)
    outcome = done(together, command)
    assert outcome == AtomicSet(expected, replayed=False)  # type: ignore[arg-type]
    assert not any(isinstance(one, ServiceError) for one in expected)
    keys = together.changes.keys
    assert keys[-1].command is command
    assert keys[:-1] == alone.changes.keys
    together.changes.keys = alone.changes.keys
    assert together.changes == alone.changes
    assert together.decided.pop(command.key_hash).outcome is outcome
    assert together == alone


@pytest.mark.parametrize("length", range(len(EVERY_KIND) + 1))
def test_one_decline_undoes_everything(length: int) -> None:
    """After any number of commands, one that fails leaves no trace of them but the decline."""
    batch = fresh_batch()
    command = atomic(*EVERY_KIND[:length], withdrawal(A, 10**6, key="too much"))
    refusal = declined(batch, command)
    assert refusal.metadata["failed_index"] == str(length)
    assert [key.command for key in batch.changes.keys] == [command]
    assert list(batch.decided) == [command.key_hash]
    batch.changes.keys.clear()
    batch.decided.clear()
    assert batch == fresh_batch()


@pytest.mark.parametrize("length", [0, len(EVERY_KIND)])
def test_what_is_not_there_is_not_kept(length: int) -> None:
    """A decline that may be otherwise next time leaves the keys free."""
    batch = fresh_batch()
    nobody = make_id(HERE)
    refusal = declined(batch, atomic(*EVERY_KIND[:length], deposit(nobody, key="nobody")))
    shown = {"wallet_id": format_id(nobody), "failed_index": str(length)}
    assert (refusal.reason, refusal.metadata) == ("WALLET_NOT_FOUND", shown)
    assert batch == fresh_batch()


def test_commands_see_each_other() -> None:
    """A hold, a wallet or money made by one is there for the next."""
    batch = fresh_batch()
    wallet, hold = create(HERE, key="new"), authorize(B, 30, key="hold")
    paid = transfer(B, wallet.ref, 10, key="pay")
    steps = (wallet, deposit(B, 40, key="in"), hold, capture(hold.ref, B, key="capture"), paid)
    outcome = done(batch, atomic(*steps))
    kinds = [type(one) for one in outcome.outcomes]
    assert kinds == [WalletSet, Posted, HoldSet, Posted, Posted]
    assert (batch.balances[B].posted, batch.balances[wallet.ref].posted) == (0, 10)


def test_batch_goes_on_after_a_decline() -> None:
    """Commands before and behind a declined batch stand; they see nothing of it."""
    batch = fresh_batch()
    decide(batch, deposit(B, 5, key="before"))
    too_much = withdrawal(B, 200, key="too much")
    declined(batch, atomic(transfer(A, B, 50, key="1"), too_much))
    outcome = decide(batch, withdrawal(B, 5, key="behind"))
    assert isinstance(outcome, Posted)
    assert outcome.source_after is not None
    assert (outcome.source_after.posted, outcome.source_after.version) == (0, 3)
    assert len(batch.changes.transactions) == 2


def test_replay_brings_every_outcome() -> None:
    """The same batch again gets all its outcomes, each from its own key."""
    batch = fresh_batch()
    command = atomic(*EVERY_KIND)
    first = done(batch, command)
    again = command._replace(
        ref=make_id(HERE),
        commands=tuple(one._replace(ref=make_id(HERE)) for one in command.commands),
    )
    expected = AtomicSet(
        tuple(one._replace(replayed=True) for one in first.outcomes), replayed=True
    )
    before = len(batch.changes.keys)
    assert done(batch, again) == expected
    assert len(batch.changes.keys) == before
    later = keep(batch)
    assert steady(done(later, again)) == steady(expected)
    assert not later.changes.any()


def test_rerun_of_a_lost_commit_is_no_replay() -> None:
    """The same call, run again behind its own commit, gets its first answer."""
    batch = fresh_batch()
    command = atomic(*EVERY_KIND)
    first = done(batch, command)
    later = keep(batch)
    assert steady(done(later, command)) == steady(first)
    assert not later.changes.any()


def steady(outcome: AtomicSet) -> AtomicSet:
    """Give every wallet the metadata of now, which alone is not kept; and no hint of a leg.

    What the test's batch keeps has no states of transactions: they replay as COMPLETED.
    """
    outcomes: list[SingleOutcome] = []
    for one in outcome.outcomes:
        if isinstance(one, WalletSet) and one.facts.wallet_id == B:
            outcomes.append(one._replace(facts=one.facts._replace(opaque=b"")))
        elif isinstance(one, Posted):
            outcomes.append(one._replace(state=1))  # type: ignore[arg-type]
        else:
            outcomes.append(one)
    return outcome._replace(outcomes=tuple(outcomes))


def test_decline_is_replayed_whole() -> None:
    """A batch that was declined stays declined, for the same reason, though it would succeed."""
    batch = fresh_batch()
    command = atomic(deposit(B, 5, key="1"), withdrawal(B, 200, key="2"))
    first = declined(batch, command)
    later = keep(batch)
    later.balances[B].posted = 1000
    again = declined(later, command._replace(ref=make_id(HERE)))
    assert (again.reason, again.message) == (first.reason, first.message)
    assert again.metadata == first.metadata
    assert later.balances[B].posted == 1000


def test_key_means_one_batch() -> None:
    """The same key with other commands is refused."""
    batch = fresh_batch()
    done(batch, atomic(deposit(B, 5, key="1")))
    refusal = declined(batch, atomic(deposit(B, 6, key="2")))
    assert refusal.reason == "IDEMPOTENCY_KEY_REUSED"
    assert batch.balances[B].posted == 5


def test_lost_outcome_is_never_decided_anew() -> None:
    """A success whose parts can't be found is our fault, and changes nothing."""
    batch = fresh_batch()
    command = atomic(deposit(B, 5, key="1"))
    done(batch, command)
    later = keep(batch)
    del later.kept[command.commands[0].key_hash]
    assert declined(later, command).reason == "INTERNAL"
    assert not later.changes.any()


def test_closed_wallet_with_an_intent_of_the_batch() -> None:
    """A close sees money that an earlier command of its batch has sent away, and undoes it."""
    batch = fresh_batch()
    steps = (
        deposit(B, 5, key="in"),
        transfer(B, FAR, 5, key="away"),
        change(WalletChangeKind.CLOSED, B, key="close"),
    )
    refusal = declined(batch, atomic(*steps))
    assert refusal.reason == "WALLET_HAS_OPEN_INTENTS"
    assert refusal.metadata["failed_index"] == "2"
    assert batch.changes.transactions == []
    assert batch.balances[B] == balance(0)
