"""Transfers, deposits, withdrawals: what each does, what refuses it, what is checked first."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.domain.commands_for_tests import (
    HERE,
    THERE,
    balance,
    deposit,
    make_batch,
    make_id,
    transfer,
    withdrawal,
)
from wallet.domain.batch import Balance, Batch, Counterparty, Kept, NoCounterparty
from wallet.domain.commands import Intent, Transfer
from wallet.domain.decide import decide
from wallet.domain.kinds import TransactionState, WalletStatus
from wallet.domain.outcome import BalanceAfter, Posted
from walletkit.errors import ServiceError
from walletkit.ids import NIL, SystemKind, format_id
from walletkit.money import MAX_BALANCE_MINOR

A, B = make_id(HERE, 1), make_id(HERE, 2)
FAR = make_id(THERE, 3)
WORLD, TRANSIT = (SystemKind.WORLD, "EUR"), (SystemKind.TRANSIT, "EUR")


def far_batch(found: Counterparty | NoCounterparty | None = None) -> Batch:
    """Make a batch with 100 in A, that has looked at FAR."""
    batch = make_batch({A: balance(100)})
    batch.counterparties[FAR] = found or Counterparty("EUR", WalletStatus.ACTIVE)
    return batch


def posted(batch: Batch, command: Transfer) -> Posted:
    """Decide a command that must succeed."""
    outcome = decide(batch, command)
    assert isinstance(outcome, Posted), outcome
    return outcome


def declined(batch: Batch, command: Transfer) -> ServiceError:
    """Decide a command that must be declined."""
    outcome = decide(batch, command)
    assert isinstance(outcome, ServiceError), outcome
    return outcome


def test_transfer_moves_the_amount() -> None:
    """Both sides change by the amount and one version; nothing else is touched."""
    batch = make_batch({A: balance(100, version=5), B: balance(7, version=9)})
    outcome = posted(batch, command := transfer(A, B, 30))
    assert outcome.source_after == BalanceAfter(70, 0, 0, 6)
    assert outcome.destination_after == BalanceAfter(37, 0, 0, 10)
    assert (outcome.state, outcome.create_time_us) == (TransactionState.COMPLETED, batch.now_us)
    assert not outcome.replayed
    assert batch.changes.system == {}
    (new,) = batch.changes.transactions
    assert (new.source, new.destination, new.intents) == (A, B, ())
    assert new.postings == ((A, B, "EUR", 30, 70, 6, 37, 10),)
    assert [key.command for key in batch.changes.keys] == [command]


def test_deposit_comes_from_the_world() -> None:
    """A deposit debits the shard's `world`, which may go below zero."""
    batch = make_batch({A: balance(0)})
    outcome = posted(batch, deposit(A, 30))
    assert (outcome.source_after, outcome.destination_after) == (None, BalanceAfter(30, 0, 0, 2))
    assert batch.changes.system == {WORLD: -30}


def test_withdrawal_goes_to_the_world() -> None:
    """A withdrawal may take all that there is, and credits `world`."""
    batch = make_batch({A: balance(30)})
    outcome = posted(batch, withdrawal(A, 30))
    assert (outcome.source_after, outcome.destination_after) == (BalanceAfter(0, 0, 0, 2), None)
    assert batch.changes.system == {WORLD: 30}


def test_transfer_to_another_shard_opens_an_intent() -> None:
    """The debit is final here: the amount waits in `transit` and the state is PROCESSING."""
    batch = far_batch()
    outcome = posted(batch, command := transfer(A, FAR, 30))
    assert outcome.state == TransactionState.PROCESSING
    assert (outcome.source_after, outcome.destination_after) == (BalanceAfter(70, 0, 0, 2), None)
    assert batch.changes.system == {TRANSIT: 30}
    (new,) = batch.changes.transactions
    assert new.intents == (Intent(command.ref, 0, A, FAR, "EUR", 30),)
    assert new.destination == FAR


def test_commands_of_a_batch_see_each_other() -> None:
    """What the first spends the second has not; what the first brings the second has."""
    batch = make_batch({A: balance(10), B: balance(0)})
    posted(batch, transfer(A, B, 10, key="1"))
    assert declined(batch, transfer(A, B, 1, key="2")).metadata["available"] == "0"
    posted(batch, transfer(B, A, 10, key="1"))


@pytest.mark.parametrize(
    ("found", "spendable"),
    [
        (balance(100, held=60), 40),
        (balance(0, overdraft_limit=25), 25),
        (balance(100, held=60, overdraft_limit=5), 45),
        (balance(MAX_BALANCE_MINOR - 1), MAX_BALANCE_MINOR - 1),
    ],
)
def test_available_is_posted_less_held_plus_overdraft(found: Balance, spendable: int) -> None:
    """Exactly the available amount can be spent, and not one unit more."""
    refusal = declined(make_batch({A: replace(found)}), withdrawal(A, spendable + 1))
    shown = {"wallet_id": format_id(A), "available": str(spendable)}
    assert refusal.reason == "INSUFFICIENT_FUNDS"
    assert refusal.metadata == {**shown, "required": str(spendable + 1)}
    posted(make_batch({A: replace(found)}), withdrawal(A, spendable))


def test_balance_stays_within_64_bits() -> None:
    """A credit may fill a wallet to 2^63 - 1, and declines alone beyond it."""
    batch = make_batch({A: balance(MAX_BALANCE_MINOR - 10)})
    assert declined(batch, deposit(A, 11, key="1")).reason == "BALANCE_OVERFLOW"
    assert posted(batch, deposit(A, 10, key="2")).destination_after == BalanceAfter(
        MAX_BALANCE_MINOR, 0, 0, 2
    )


def test_decline_changes_nothing_but_its_key() -> None:
    """After a decline the wallets are as they were; the key is kept with the decline."""
    batch = make_batch({A: balance(5), B: balance(5)})
    declined(batch, command := transfer(A, B, 6))
    assert batch.balances == {A: balance(5), B: balance(5)}
    changes = batch.changes
    assert (changes.transactions, changes.touched, changes.system) == ([], {}, {})
    assert [key.command for key in changes.keys] == [command]


@pytest.mark.parametrize(
    ("batch", "command", "reason"),
    [
        (make_batch(), transfer(A, B), "WALLET_NOT_FOUND"),
        (make_batch({A: balance(10)}), transfer(A, B), "WALLET_NOT_FOUND"),
        (far_batch(NoCounterparty.UNKNOWN), transfer(A, FAR), "WALLET_NOT_FOUND"),
        (far_batch(NoCounterparty.UNREACHABLE), transfer(A, FAR), "SHARD_UNAVAILABLE"),
    ],
)
def test_what_may_be_otherwise_next_time_is_not_kept(
    batch: Batch, command: Transfer, reason: str
) -> None:
    """An unknown wallet and a shard that is down leave no trace: the key stays free."""
    refusal = declined(batch, command)
    assert refusal.reason == reason
    assert not batch.changes.any()
    assert batch.decided == {}


def test_unreachable_shard_is_no_unknown_wallet() -> None:
    """Nothing is known about a wallet that could not be read: the caller may retry."""
    refusal = declined(far_batch(NoCounterparty.UNREACHABLE), transfer(A, FAR))
    assert refusal.metadata == {"wallet_id": format_id(FAR)}
    assert refusal.code == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("status", "reason"),
    [(WalletStatus.FROZEN, "WALLET_FROZEN"), (WalletStatus.CLOSED, "WALLET_CLOSED")],
)
@pytest.mark.parametrize("side", ["source", "destination", "far", "deposit", "withdrawal"])
def test_only_active_wallets_move_money(status: WalletStatus, reason: str, side: str) -> None:
    """A frozen or closed wallet refuses, whichever side it is on, here or on another shard."""
    bad, good = balance(100, status=status), balance(100)
    batch = make_batch({A: bad, B: good} if side != "destination" else {A: good, B: bad})
    command = transfer(A, B)
    if side == "deposit":
        command = deposit(A)
    elif side == "withdrawal":
        command = withdrawal(A)
    elif side == "far":
        batch, command = far_batch(Counterparty("EUR", status)), transfer(A, FAR)
    refusal = declined(batch, command)
    wrong = {"destination": B, "far": FAR}.get(side, A)
    assert refusal.reason == reason
    assert refusal.metadata == {"wallet_id": format_id(wrong)}


@pytest.mark.parametrize("side", ["source", "destination", "far"])
def test_currencies_must_be_equal(side: str) -> None:
    """The amount's currency must be that of both wallets."""
    euros, dollars = balance(100), balance(100, currency="USD")
    batch = make_batch({A: dollars, B: euros} if side == "source" else {A: euros, B: dollars})
    command = transfer(A, B)
    if side == "far":
        batch, command = far_batch(Counterparty("USD", WalletStatus.ACTIVE)), transfer(A, FAR)
    refusal = declined(batch, command)
    wrong = {"source": A, "destination": B, "far": FAR}[side]
    assert refusal.reason == "CURRENCY_MISMATCH"
    shown = {"wallet_currency": "USD", "amount_currency": "EUR"}
    assert refusal.metadata == {"wallet_id": format_id(wrong), **shown}


@pytest.mark.parametrize(
    ("command", "checked"),
    [
        (transfer(A, B, expected_version=4), A),
        (transfer(A, NIL, expected_version=4), A),
        (transfer(NIL, A, expected_version=4), A),
    ],
)
def test_expected_version_is_that_of_the_scope_wallet(command: Transfer, checked: bytes) -> None:
    """The debited wallet, or for a deposit the credited one, must be at the version."""
    wallets = {A: balance(100, version=4), B: balance(100, version=77)}
    posted(make_batch({w: replace(found) for w, found in wallets.items()}), command)
    wallets[A].version = 5
    refusal = declined(make_batch(wallets), command)
    assert (refusal.reason, refusal.code) == ("VERSION_MISMATCH", "ABORTED")
    shown = {"version": "5", "expected_version": "4"}
    assert refusal.metadata == {"wallet_id": format_id(checked), **shown}


def _key_used(batch: Batch, command: Transfer) -> None:
    batch.kept[command.key_hash] = Kept(make_id(HERE), b"\x01" + bytes(32), b"\x02{}", None)


def _no_source(batch: Batch, _command: Transfer) -> None:
    del batch.balances[A]


def _no_destination(batch: Batch, _command: Transfer) -> None:
    del batch.balances[B]


def _source_frozen(batch: Batch, _command: Transfer) -> None:
    batch.balances[A].status = WalletStatus.FROZEN


def _destination_closed(batch: Batch, _command: Transfer) -> None:
    batch.balances[B].status = WalletStatus.CLOSED


def _source_currency(batch: Batch, _command: Transfer) -> None:
    batch.balances[A].currency = "USD"


def _destination_currency(batch: Batch, _command: Transfer) -> None:
    batch.balances[B].currency = "JPY"


def _version(batch: Batch, _command: Transfer) -> None:
    batch.balances[A].version = 2


def _overflow(batch: Batch, _command: Transfer) -> None:
    batch.balances[B].posted = MAX_BALANCE_MINOR


def _funds(batch: Batch, _command: Transfer) -> None:
    batch.balances[A].posted = 0


ORDER: list[tuple[Callable[[Batch, Transfer], None], str, bytes | None]] = [
    (_key_used, "IDEMPOTENCY_KEY_REUSED", None),
    (_no_source, "WALLET_NOT_FOUND", A),
    (_no_destination, "WALLET_NOT_FOUND", B),
    (_source_frozen, "WALLET_FROZEN", A),
    (_destination_closed, "WALLET_CLOSED", B),
    (_source_currency, "CURRENCY_MISMATCH", A),
    (_destination_currency, "CURRENCY_MISMATCH", B),
    (_version, "VERSION_MISMATCH", A),
    (_overflow, "BALANCE_OVERFLOW", B),
    (_funds, "INSUFFICIENT_FUNDS", A),
]
"""What is wrong, in the order of the checks: the reason for each, and the wallet that is named."""


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_checks_come_in_their_order(first: int) -> None:
    """With everything wrong from one check on, the first of them is the reason."""
    batch = make_batch({A: balance(100), B: balance(100)})
    command = transfer(A, B, 10, expected_version=1)
    for spoil, _, _ in reversed(ORDER[first:]):
        spoil(batch, command)
    refusal = declined(batch, command)
    _, reason, named = ORDER[first]
    assert refusal.reason == reason
    assert refusal.metadata.get("wallet_id") == (format_id(named) if named else None)


def test_with_nothing_wrong_it_is_posted() -> None:
    """The table above starts from a transfer that succeeds."""
    batch = make_batch({A: balance(100), B: balance(100)})
    posted(batch, transfer(A, B, 10, expected_version=1))
