"""The journal of wallets' own changes: freezes, credit lines, closings, assets. No I/O."""

from collections.abc import Callable

import pytest

from guilder.events.v1 import record_pb2 as events
from tests.ledger.books import Books, Spoil, keep, refused, two_wallets
from tests.ledger.shards import Shard
from walletkit.ids import new_id

ACTIVE = events.WALLET_STATUS_ACTIVE
FROZEN = events.WALLET_STATUS_FROZEN
DEBITS_FROZEN = events.WALLET_STATUS_DEBITS_FROZEN
CLOSED = events.WALLET_STATUS_CLOSED
NONE = events.ACCOUNT_FREEZE_UNSPECIFIED
DEBITS = events.ACCOUNT_FREEZE_DEBITS
ALL = events.ACCOUNT_FREEZE_ALL
Kind = events.WalletChangeKind


def frozen(
    status: events.WalletStatus.ValueType, freeze: events.AccountFreeze.ValueType
) -> tuple[Shard, Books, bytes, bytes]:
    """Return a wallet with 100 that is frozen so, and another account's with 50."""
    shard, books, ann, _ = two_wallets()
    bob = shard.create(account_id="bob")
    shard.transfer(shard.world(), bob, 50)
    if status != ACTIVE:
        shard.change(ann, status)
    if freeze:
        shard.freeze_account("ann", freeze)
    keep(books, shard)
    return shard, books, ann, bob


@pytest.mark.parametrize("status", [ACTIVE, FROZEN, DEBITS_FROZEN])
@pytest.mark.parametrize("freeze", [NONE, DEBITS, ALL])
def test_what_a_freeze_lets_pass(
    status: events.WalletStatus.ValueType, freeze: events.AccountFreeze.ValueType
) -> None:
    """Any freeze refuses debits, those of all refuse credits too, and legs always land."""
    shard, books, ann, bob = frozen(status, freeze)
    shard.transfer(ann, bob, 1)
    if status == ACTIVE and freeze == NONE:
        keep(books, shard)
    else:
        assert refused(books, shard).expected == "no debit of a frozen wallet"
    shard, books, ann, bob = frozen(status, freeze)
    shard.transfer(bob, ann, 1)
    if status == FROZEN or freeze == ALL:
        assert refused(books, shard).expected.startswith("no credit of a frozen wallet")
    else:
        keep(books, shard)
    shard, books, ann, bob = frozen(status, freeze)
    leg = events.Intent(leg=3, destination=ann, currency_code="EUR", amount_minor=7)
    shard.land(new_id(1), leg)
    keep(books, shard)
    assert books.accounts[ann].posted == 107


def test_a_wallet_is_born_as_frozen_as_its_account() -> None:
    """It can't pay, and can be paid, like its account's other wallets."""
    shard, books, _, bob = frozen(ACTIVE, DEBITS)
    late = shard.create()
    shard.transfer(bob, late, 5)
    keep(books, shard)
    assert books.accounts[late].account_freeze == DEBITS
    shard.transfer(late, bob, 5)
    assert refused(books, shard).wallet_id == late


def test_freezes_of_wallet_and_account_stand_beside_each_other() -> None:
    """Each goes its own way through all its steps; only without both may the wallet pay."""
    shard, books, ann, bob = frozen(FROZEN, DEBITS)
    shard.change(ann, DEBITS_FROZEN)
    shard.freeze_account("ann", ALL)
    shard.change(ann, FROZEN)
    shard.freeze_account("ann", DEBITS)
    shard.change(ann, ACTIVE)
    keep(books, shard)
    assert (books.accounts[ann].status, books.accounts[ann].account_freeze) == (ACTIVE, DEBITS)
    shard.freeze_account("ann", NONE)
    shard.transfer(ann, bob, 100)
    keep(books, shard)
    assert books.accounts[ann].posted == 0


def wallet_field(name: str, value: int) -> Spoil:
    """Set one field of the last change of a wallet."""

    def spoil(message: events.Record) -> None:
        setattr(message.wallet_changes[-1], name, value)

    return spoil


Act = Callable[[Shard, bytes], None]


def _freeze(shard: Shard, ann: bytes) -> None:
    shard.change(ann, FROZEN)


def _thaw(shard: Shard, ann: bytes) -> None:
    shard.change(ann, ACTIVE)


def _update(shard: Shard, ann: bytes) -> None:
    shard.update(ann)


def _limit(shard: Shard, ann: bytes) -> None:
    shard.limit(ann, 40)


def _freeze_account(shard: Shard, _: bytes) -> None:
    shard.freeze_account("carl", ALL)


def _create(shard: Shard, _: bytes) -> None:
    shard.create()


def _close(shard: Shard, ann: bytes) -> None:
    shard.transfer(ann, shard.world(), 100)
    shard.change(ann, CLOSED)


WRONG = {
    "frozen into active": (_freeze, "status", ACTIVE, "status"),
    "frozen into no status": (_freeze, "status", 0, "status"),
    "frozen into closed": (_freeze, "status", CLOSED, "status"),
    "frozen and the account's freeze as well": (_freeze, "account_freeze", ALL, "status"),
    "frozen with a credit line": (_freeze, "overdraft_limit_minor", 5, "overdraft limit"),
    "frozen after another status": (_freeze, "previous_status", FROZEN, "previous status"),
    "frozen after another freeze": (
        *(_freeze, "previous_account_freeze", DEBITS, "previous freeze of the account"),
    ),
    "frozen after another credit line": (
        *(_freeze, "previous_overdraft_limit_minor", 7, "previous overdraft limit"),
    ),
    "unfrozen what was active": (_freeze, "kind", Kind.WALLET_CHANGE_KIND_UNFROZEN, "status"),
    "unfrozen into nothing": (_thaw, "status", 0, "status"),
    "an account's freeze to no freeze": (
        *(_freeze_account, "kind", Kind.WALLET_CHANGE_KIND_UNFROZEN, "freeze of the account"),
    ),
    "an unknown freeze": (_freeze_account, "account_freeze", 3, "freeze of the account"),
    "updated into frozen": (_update, "status", FROZEN, "status"),
    "updated with a freeze": (_update, "account_freeze", ALL, "freeze of the account"),
    "updated with a credit line": (_update, "overdraft_limit_minor", 5, "overdraft limit"),
    "limited into frozen": (_limit, "status", FROZEN, "status"),
    "limited with a freeze": (_limit, "account_freeze", DEBITS, "freeze of the account"),
    "a credit line below zero": (_limit, "overdraft_limit_minor", -1, "overdraft limit"),
    "closed into active": (_close, "status", ACTIVE, "status"),
    "closed with a freeze": (_close, "account_freeze", ALL, "freeze of the account"),
    "closed with a credit line": (_close, "overdraft_limit_minor", 9, "overdraft limit"),
    "created frozen": (_create, "status", FROZEN, "status"),
    "created after something": (_create, "previous_status", ACTIVE, "status"),
    "a kind that there is not": (_update, "kind", 77, "kind of a wallet's change"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_change_does_what_its_kind_may(name: str) -> None:
    """And says rightly how the wallet was before it; all else is refused."""
    act, field, value, what = WRONG[name]
    shard, books, ann, _ = two_wallets()
    shard.create(account_id="carl")
    if act is _thaw:
        shard.change(ann, FROZEN)
    keep(books, shard)
    act(shard, ann)
    assert refused(books, shard, wallet_field(field, value)).what == what


def test_a_closed_wallet_never_changes() -> None:
    """Not by a freeze of its account either: the shard passes it by."""
    for act in (_freeze, _thaw, _update, _limit):
        shard, books, _, bob = two_wallets()
        shard.change(bob, CLOSED)
        keep(books, shard)
        act(shard, bob)
        assert refused(books, shard).expected == "closed for good", act


def test_a_closing_takes_the_credit_line_away() -> None:
    """Nothing moves in the wallet any more, so nothing is lent."""
    shard, books, _, bob = two_wallets()
    shard.limit(bob, 40)
    shard.change(bob, CLOSED)
    keep(books, shard)
    assert (books.accounts[bob].status, books.accounts[bob].overdraft_limit) == (CLOSED, 0)


def test_a_credit_line_can_be_used_and_not_exceeded() -> None:
    """I3 counts it, and lowering it below what is used is refused."""
    shard, books, ann, bob = two_wallets()
    shard.limit(ann, 40)
    shard.transfer(ann, bob, 140)
    keep(books, shard)
    assert (books.accounts[ann].posted, books.accounts[ann].available) == (-40, 0)
    shard.limit(ann, 39)
    assert refused(books, shard).what == "available balance"
    shard, books, ann, bob = two_wallets()
    shard.limit(ann, 40)
    shard.transfer(ann, bob, 141)
    assert refused(books, shard).what == "available balance"


def test_a_replay_reports_an_overdraft_once() -> None:
    """What brings a wallet back is no fault, though it is still below zero."""
    shard, books, ann, _ = two_wallets()
    books.accounts[ann] = books.accounts[ann]._replace(overdraft_limit=-200)
    shard.transfer(shard.world(), ann, 5)
    keep(books, shard)
    assert books.accounts[ann].available == -95


def test_the_first_records_did_not_say_what_was_before() -> None:
    """They are still there to be replayed; they knew neither limits nor freezes of debits."""
    shard, books, ann, _ = two_wallets()
    for status in (FROZEN, ACTIVE, FROZEN):
        shard.change(ann, status)
        shard.batch.wallet_changes[-1].previous_status = events.WALLET_STATUS_UNSPECIFIED
    keep(books, shard)
    assert books.accounts[ann].status == FROZEN
    shard.change(ann, DEBITS_FROZEN)
    spoil = wallet_field("previous_status", 0)
    assert refused(books, shard, spoil).what == "previous status"


def test_an_asset_never_changes() -> None:
    """Registered again alike it is the same; with another exponent, or too large a one, refused."""
    shard, books, *_ = two_wallets()
    register = shard.batch.asset_registrations.add
    register(currency_code="GOLD", exponent=4)
    keep(books, shard)
    assert books.assets == {"GOLD": 4}
    shard.batch.asset_registrations.add(currency_code="GOLD", exponent=4)
    keep(books, shard)
    shard.batch.asset_registrations.add(currency_code="GOLD", exponent=3)
    mismatch = refused(books, shard)
    assert (mismatch.what, mismatch.expected, mismatch.actual) == ("exponent of GOLD", "4", "3")
    shard.batch.asset_registrations.add(currency_code="SAND", exponent=9)
    assert refused(books, shard).what == "exponent of SAND"
