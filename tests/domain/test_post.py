"""Several postings in one transaction: all or none, here and to other shards."""

from collections.abc import Callable

import pytest

from tests.domain.commands_for_tests import (
    EXCHANGE,
    FEES,
    HERE,
    THERE,
    balance,
    line,
    make_batch,
    make_id,
    post,
    transfer,
)
from tests.domain.limited_for_tests import CREDITS, limited_batch, velocity
from wallet.domain.batch import Batch, Counterparty, NoCounterparty
from wallet.domain.bound import Bound
from wallet.domain.commands import Intent, Limits, Line, PostTransaction, VelocityLimit
from wallet.domain.decide import decide
from wallet.domain.kinds import (
    LIMITED,
    LegResult,
    TransactionState,
    TransactionType,
    VelocityBasis,
    VelocityWindow,
    WalletStatus,
)
from wallet.domain.outcome import BalanceAfter, Posted
from walletkit.errors import ServiceError
from walletkit.ids import NIL, SystemKind, format_id, system_wallet_id
from walletkit.money import MAX_BALANCE_MINOR

A, B, C = (make_id(HERE, n) for n in (1, 2, 3))
USD = make_id(HERE, 4)
FAR, FAR2 = make_id(THERE, 5), make_id(THERE, 6)
WORLD = SystemKind.WORLD


def fresh_batch(**posted: int) -> Batch:
    """Make a batch with wallets A, B, C in euros, one in dollars, and two on another shard."""
    batch = make_batch(
        {
            A: balance(posted.get("a", 100)),
            B: balance(posted.get("b", 0)),
            C: balance(posted.get("c", 0)),
            USD: balance(0, currency="USD"),
        }
    )
    for far in (FAR, FAR2):
        batch.counterparties[far] = Counterparty("EUR", WalletStatus.ACTIVE)
    return batch


def done(batch: Batch, command: PostTransaction) -> Posted:
    """Decide a command that must succeed."""
    outcome = decide(batch, command)
    assert isinstance(outcome, Posted), outcome
    return outcome


def declined(batch: Batch, command: PostTransaction) -> ServiceError:
    """Decide a command that must be declined."""
    outcome = decide(batch, command)
    assert isinstance(outcome, ServiceError), outcome
    return outcome


def here(kind: SystemKind, currency: str = "EUR", shard: int = 0) -> bytes:
    """Return a system wallet's full id."""
    return system_wallet_id(kind, shard, currency)


def test_postings_are_one_transaction() -> None:
    """A split with a fee: each posting in its order, one transaction, balances by wallet."""
    batch = fresh_batch()
    lines = (line(A, B, 60), line(A, C, 30), line(A, FEES, 10))
    outcome = done(batch, command := post(*lines))
    assert outcome.lines == (*lines[:2], Line(A, here(FEES), "EUR", 10))
    assert (outcome.state, outcome.legs) == (TransactionState.COMPLETED, ())
    assert outcome.balances == (
        (A, "EUR", BalanceAfter(0, 0, 0, 4)),
        (B, "EUR", BalanceAfter(60, 0, 0, 2)),
        (C, "EUR", BalanceAfter(30, 0, 0, 2)),
    )
    (new,) = batch.changes.transactions
    told = new.command
    assert (told.ref, told.type, told.amount) == (command.ref, TransactionType.POSTING, 60)
    assert (told.source, told.destination, told.parent, told.family) == (A, B, b"", b"")
    assert (new.lines, new.intents) == (outcome.lines, ())
    assert [p.source_version for p in new.postings] == [2, 3, 4]
    assert batch.changes.system == {(FEES, "EUR"): 10}


def test_exchange_at_a_stated_rate() -> None:
    """Euros go to `exchange` and dollars come from it: zero in each currency."""
    batch = fresh_batch()
    done(batch, post(line(A, EXCHANGE, 100), line(EXCHANGE, USD, 107, "USD")))
    assert (batch.balances[A].posted, batch.balances[USD].posted) == (0, 107)
    assert batch.changes.system == {(EXCHANGE, "EUR"): 100, (EXCHANGE, "USD"): -107}


def test_one_posting_has_no_lines() -> None:
    """A single posting is told by the transaction itself."""
    outcome = done(batch := fresh_batch(), post(line(A, B, 60)))
    assert outcome.lines == batch.changes.transactions[0].lines == ()
    assert [wallet_id for wallet_id, _, _ in outcome.balances] == [A, B]


@pytest.mark.parametrize("side", [NIL, here(WORLD, shard=9), here(WORLD)])
def test_system_wallets_are_the_homes(side: bytes) -> None:
    """Whatever shard a system wallet is named with, it is the home shard's."""
    batch = make_batch({A: balance(0)}, shard=3)
    outcome = done(batch, post(Line(side, A, "EUR", 5)))
    assert outcome.command.source == here(WORLD, shard=3)
    assert batch.changes.system == {(WORLD, "EUR"): -5}


@pytest.mark.parametrize("kind", [SystemKind.TRANSIT, SystemKind.SUSPENSE])
def test_the_suites_own_wallets_are_nobodys(kind: SystemKind) -> None:
    """Nobody posts to `transit` or `suspense`."""
    for one in (line(A, kind), line(kind, A)):
        assert declined(fresh_batch(), post(one)).reason == "WALLET_NOT_FOUND"


def test_system_wallet_has_its_currency() -> None:
    """A line's currency is that of the system wallet it names."""
    command = post(Line(A, here(FEES, "USD"), "EUR", 1))
    assert declined(fresh_batch(), command).reason == "CURRENCY_MISMATCH"


def test_later_postings_see_earlier_ones() -> None:
    """What one posting brings, a later one may spend, and not the other way round."""
    done(fresh_batch(), post(line(A, B, 60), line(B, C, 60)))
    refusal = declined(fresh_batch(), post(line(B, C, 60), line(A, B, 60)))
    shown = {"wallet_id": format_id(B), "available": "0", "required": "60"}
    assert (refusal.reason, refusal.metadata) == ("INSUFFICIENT_FUNDS", shown)


def test_credits_elsewhere_are_legs() -> None:
    """A credit to another shard is a leg with its line's number; it knows how many there are."""
    batch = fresh_batch()
    lines = (line(A, FAR, 10), line(A, B, 20), line(A, FAR2, 30))
    outcome = done(batch, command := post(*lines))
    assert (outcome.state, outcome.legs) == (TransactionState.PROCESSING, (0, 2))
    (new,) = batch.changes.transactions
    assert new.intents == (
        Intent(command.ref, 0, A, FAR, "EUR", 10, legs=2),
        Intent(command.ref, 2, A, FAR2, "EUR", 30, legs=2),
    )
    transit = here(SystemKind.TRANSIT)
    assert [p.destination for p in new.postings] == [transit, B, transit]
    assert batch.changes.system == {(SystemKind.TRANSIT, "EUR"): 40}
    assert [wallet_id for wallet_id, _, _ in outcome.balances] == [A, B]


def test_system_wallet_pays_another_shard() -> None:
    """The dollars of an exchange may go elsewhere: the intent's source is the home's `exchange`."""
    batch = fresh_batch()
    batch.counterparties[FAR] = Counterparty("USD", WalletStatus.ACTIVE)
    done(batch, command := post(line(A, EXCHANGE, 100), line(EXCHANGE, FAR, 107, "USD")))
    (new,) = batch.changes.transactions
    assert new.intents == (Intent(command.ref, 1, here(EXCHANGE, "USD"), FAR, "USD", 107),)


@pytest.mark.parametrize("found", [Counterparty("EUR", WalletStatus.FROZEN), None])
def test_all_debits_lie_on_one_shard(found: Counterparty | None) -> None:
    """A debit of a wallet on another shard is refused before its state is looked at."""
    batch = fresh_batch()
    if found is not None:
        batch.counterparties[FAR] = found
    refusal = declined(batch, post(line(A, B, 10), line(FAR, B, 10)))
    assert (refusal.reason, refusal.code) == ("MULTI_SHARD_DEBIT", "FAILED_PRECONDITION")
    assert refusal.metadata == {"wallet_id": format_id(FAR)}


def test_limits_count_every_posting() -> None:
    """Two debits of one wallet in a transaction use a window up as two transactions do."""
    batch = fresh_batch()
    batch.balances[A].flags = LIMITED
    day = VelocityLimit(VelocityWindow.DAY, VelocityBasis.DEBITS, 50, 0)
    batch.bounds[A] = Bound(A, HERE, Limits(velocity=(day,)), 0)
    before = batch.bounds[A].usage
    refusal = declined(batch, post(line(A, B, 30), line(A, C, 21), key="1"))
    assert refusal.reason == "VELOCITY_LIMIT"
    assert (batch.bounds[A].usage, batch.changes.bounds) == (before, {})
    done(batch, post(line(A, B, 30), line(A, C, 20), key="2"))
    assert (batch.bounds[A].usage[1].debits, batch.bounds[A].usage[1].begun) == (50, 2)
    assert batch.changes.bounds[A] is batch.bounds[A]


def test_limits_come_before_funds_over_all_lines() -> None:
    """A limit that a later line breaks is told before what an earlier line lacks."""
    batch = fresh_batch(a=0)
    batch.balances[C].posted = MAX_BALANCE_MINOR
    assert declined(batch, post(line(A, B, 1), line(A, C, 1))).reason == "BALANCE_OVERFLOW"


@pytest.mark.parametrize(("expected", "good"), [({A: 1, C: 1}, True), ({A: 1, C: 2}, False)])
def test_versions_of_any_home_wallet(expected: dict[bytes, int], *, good: bool) -> None:
    """Every version given must be the wallet's before the change."""
    outcome = decide(fresh_batch(), post(line(A, B, 1), line(A, C, 1), versions=expected))
    if good:
        assert isinstance(outcome, Posted)
    else:
        assert isinstance(outcome, ServiceError)
        assert (outcome.reason, outcome.metadata["wallet_id"]) == ("VERSION_MISMATCH", format_id(C))


def test_hundred_postings() -> None:
    """As many as a request may have, to as many wallets."""
    wallets = {make_id(HERE, n): balance(0) for n in range(10, 110)}
    batch = make_batch({A: balance(5050), **wallets})
    outcome = done(batch, post(*[line(A, w, n) for n, w in enumerate(wallets, start=1)]))
    assert len(outcome.lines) == 100
    assert [after.posted for _, _, after in outcome.balances] == list(range(101))


def mirrored(command: PostTransaction) -> tuple[Line, ...]:
    """Return the lines of a reversal, the last one first."""
    return tuple(
        one._replace(source=one.destination, destination=one.source)
        for one in reversed(command.lines)
    )


def test_reversal_of_all_postings() -> None:
    """Chains go back in reverse; once, as a REVERSAL that names the original."""
    batch = fresh_batch()
    done(batch, original := post(line(A, B, 60), line(B, C, 50), line(B, FEES, 10)))
    outcome = done(batch, post(*mirrored(original), original=original.ref, key="back"))
    told = outcome.command
    assert (told.type, told.parent, told.family) == (TransactionType.REVERSAL, *[original.ref] * 2)
    assert [batch.balances[w].posted for w in (A, B, C)] == [100, 0, 0]
    assert batch.changes.reversed == {original.ref: (HERE, 120)}
    again = declined(batch, post(*mirrored(original), original=original.ref, key="again"))
    assert again.reason == "TRANSACTION_REVERSED"


@pytest.mark.parametrize(
    ("landed", "reason"),
    [
        ([LegResult.CREDITED, LegResult.CREDITED], None),
        ([LegResult.CREDITED, None], "TRANSACTION_PROCESSING"),
        ([None, LegResult.RETURNED], "TRANSACTION_RETURNED"),
        ([None, None], "TRANSACTION_PROCESSING"),
    ],
)
def test_reversal_waits_for_the_legs(landed: list[LegResult | None], reason: str | None) -> None:
    """What came from another shard goes back only when all of it has arrived."""
    batch = make_batch({A: balance(10), B: balance(20)})
    batch.counterparties[FAR] = Counterparty("EUR", WalletStatus.ACTIVE)
    original = make_id(THERE)
    for leg, result in enumerate(landed):
        if result is not None:
            batch.landed[original, leg] = result
    outcome = decide(batch, post(line(A, FAR, 10), line(B, FAR, 20), original=original))
    assert getattr(outcome, "reason", None) == reason


@pytest.mark.parametrize("landed", [None, LegResult.CREDITED])
def test_reversal_of_credits_on_two_shards(landed: LegResult | None) -> None:
    """It can't be made, whichever of the shards has to say so: there is nothing to wait for."""
    batch = make_batch({A: balance(10)})
    for far in (FAR, FAR2):
        batch.counterparties[far] = Counterparty("EUR", WalletStatus.ACTIVE)
    original = make_id(THERE)
    if landed is not None:
        batch.landed[original, 0] = landed
    refused = declined(batch, post(line(A, FAR, 10), line(FAR2, FAR, 20), original=original))
    assert (refused.reason, refused.metadata) == (
        "MULTI_SHARD_DEBIT",
        {"wallet_id": format_id(FAR2)},
    )


def _no_last(batch: Batch) -> None:
    del batch.balances[C]


def _unreachable(batch: Batch) -> None:
    batch.counterparties[FAR] = NoCounterparty.UNREACHABLE


def _reversed(batch: Batch) -> None:
    batch.reversed[ORIGINAL] = 1


def _multi(batch: Batch) -> None:
    batch.counterparties[A] = Counterparty("EUR", WalletStatus.FROZEN)
    del batch.balances[A]


def _frozen(batch: Batch) -> None:
    batch.balances[B].status = WalletStatus.DEBITS_FROZEN


def _closed(batch: Batch) -> None:
    batch.balances[C].status = WalletStatus.CLOSED


def _first_currency(batch: Batch) -> None:
    batch.balances[A].currency = "USD"


def _last_currency(batch: Batch) -> None:
    batch.balances[C].currency = "USD"


def _version(batch: Batch) -> None:
    batch.balances[B].version = 2


def _limit(batch: Batch) -> None:
    batch.balances[B].flags = LIMITED
    batch.bounds[B] = Bound(B, HERE, Limits(max_transaction=9), 0)


def _full(batch: Batch) -> None:
    batch.balances[C].posted = MAX_BALANCE_MINOR


def _poor(batch: Batch) -> None:
    if A in batch.balances:
        batch.balances[A].posted = 0


ORIGINAL = transfer(A, B).ref
ORDER: list[tuple[Callable[[Batch], None], str, bytes | None]] = [
    (_unreachable, "SHARD_UNAVAILABLE", FAR),
    (_no_last, "WALLET_NOT_FOUND", C),
    (_reversed, "TRANSACTION_REVERSED", None),
    (_multi, "MULTI_SHARD_DEBIT", A),
    (_frozen, "WALLET_FROZEN", B),
    (_closed, "WALLET_CLOSED", C),
    (_first_currency, "CURRENCY_MISMATCH", A),
    (_last_currency, "CURRENCY_MISMATCH", C),
    (_version, "VERSION_MISMATCH", B),
    (_limit, "TRANSACTION_LIMIT", B),
    (_full, "BALANCE_OVERFLOW", C),
    (_poor, "INSUFFICIENT_FUNDS", A),
]
"""What is wrong, in the order of the checks: the reason for each, and the wallet that is named."""


@pytest.mark.parametrize("first", range(len(ORDER) + 1))
def test_checks_come_in_their_order(first: int) -> None:
    """With everything wrong from one check on, the first of them is the reason, over all lines."""
    batch = fresh_batch(b=100)
    lines = (line(A, FAR, 1), line(B, C, 10), line(A, C, 1))
    command = post(*lines, versions={B: 1}, original=ORIGINAL)
    # Spoiled from the last to the first: what was taken away before can't be spoiled any more.
    wrong = [spoil for spoil, _, _ in ORDER[first:]]
    missing = [spoil for spoil in wrong if spoil in {_no_last, _multi}]
    for spoil in [spoil for spoil in wrong if spoil not in missing] + missing:
        spoil(batch)
    if first == len(ORDER):
        done(batch, command)
        return
    refusal = declined(batch, command)
    _, reason, named = ORDER[first]
    assert refusal.reason == reason
    assert refusal.metadata.get("wallet_id") == (format_id(named) if named else None)
    assert (batch.changes.transactions, batch.changes.touched) == ([], {})


def test_credits_to_wallets_of_one_account_count_together() -> None:
    """Two credits of one posting can't pass together what each would pass alone."""
    for most, reason in ((31, "VELOCITY_LIMIT"), (32, None)):
        batch = limited_batch({A: None, B: None, C: None}, velocity(CREDITS, most), posted=100)
        outcome = decide(batch, post(line(A, B, 16), line(FEES, C, 16)))
        assert (outcome.reason if isinstance(outcome, ServiceError) else None) == reason
        assert batch.balances[C].posted == (100 if reason else 116)
