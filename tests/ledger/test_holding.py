"""The journal of holds: how they follow from each other, and what contradicts them. No I/O."""

import pytest

from guilder.events.v1 import record_pb2 as events
from tests.ledger.books import Books, Spoil, keep, refused, two_wallets
from tests.ledger.shards import SECOND_US, Shard
from walletkit.ids import new_id

EXPIRED = events.HOLD_CHANGE_KIND_EXPIRED, events.HOLD_STATE_EXPIRED
CHANGES = ("increment", "extend", "capture", "final", "void", "expire")


def held() -> tuple[Shard, Books, bytes, bytes, bytes]:
    """Return two wallets, 100 in the first, and a hold of 60 there; all of it journalled."""
    shard, books, ann, bob = two_wallets()
    hold_id = shard.authorize(ann, 60)
    keep(books, shard)
    return shard, books, ann, bob, hold_id


def change(shard: Shard, kind: str, hold_id: bytes, bob: bytes) -> None:
    """Change a hold in one of the ways there are."""
    if kind == "increment":
        shard.increment(hold_id, 5)
    elif kind == "extend":
        shard.extend(hold_id, SECOND_US)
    elif kind == "void":
        shard.release(hold_id)
    elif kind == "expire":
        shard.release(hold_id, *EXPIRED)
    else:
        shard.capture(hold_id, bob, 20, final=kind == "final")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        *(("increment", (1, 65, 0, 0, 65)), ("extend", (1, 60, 0, 0, 60))),
        *(("capture", (1, 60, 20, 0, 40)), ("final", (2, 60, 20, 40, 0))),
        *(("void", (3, 60, 0, 60, 0)), ("expire", (4, 60, 0, 60, 0))),
    ],
)
def test_each_change_of_a_hold_moves_what_is_held(
    kind: str, expected: tuple[int, int, int, int, int]
) -> None:
    """Captured, released and open together stay what was authorized, before and after the end."""
    shard, books, ann, bob, hold_id = held()
    change(shard, kind, hold_id, bob)
    keep(books, shard)
    hold, account = books.holds[hold_id], books.accounts[ann]
    state = (hold.state, hold.authorized, hold.captured, hold.released, hold.open)
    assert state == expected
    assert (account.held, account.version) == (expected[4], shard.wallets[ann].version)
    assert hold.captured + hold.released + hold.open == hold.authorized


def test_changes_postings_and_holds_of_one_record_interleave() -> None:
    """Made, raised, captured twice beyond its first amount, in one record; versions give order."""
    shard, books, ann, bob = two_wallets()
    hold_id = shard.authorize(ann, 60)
    shard.transfer(ann, bob, 10)
    shard.capture(hold_id, bob, 50)
    shard.increment(hold_id, 15)
    shard.capture(hold_id, bob, 25)
    shard.change(ann, events.WALLET_STATUS_FROZEN)
    keep(books, shard)
    account, hold = books.accounts[ann], books.holds[hold_id]
    assert (account.posted, account.held, account.available) == (15, 0, 15)
    assert (hold.state, hold.captured, hold.authorized) == (events.HOLD_STATE_CAPTURED, 75, 75)


@pytest.mark.parametrize("end", ["final", "void", "expire"])
@pytest.mark.parametrize("then", CHANGES)
def test_an_ended_hold_never_changes_again(end: str, then: str) -> None:
    """Nothing is captured after the end, and nothing released twice."""
    shard, books, ann, bob, hold_id = held()
    change(shard, end, hold_id, bob)
    keep(books, shard)
    change(shard, then, hold_id, bob)
    mismatch = refused(books, shard)
    assert (mismatch.what, mismatch.wallet_id) == ("hold", ann)
    assert "ended" in mismatch.expected


def test_a_hold_is_made_once_and_before_it_changes() -> None:
    """A second authorization of an id is refused, and a change of an unknown one."""
    shard, books, _, _, hold_id = held()

    def again(message: events.Record) -> None:
        message.hold_changes[0].kind = events.HOLD_CHANGE_KIND_AUTHORIZED

    def unknown(message: events.Record) -> None:
        message.hold_changes[0].hold_id = new_id(0)

    shard.increment(hold_id, 1)
    assert refused(books, shard, again).expected == "authorized once"
    shard.batch.CopyFrom(events.Record.FromString(shard.records.pop().payload))
    assert refused(books, shard, unknown).expected == "authorized before it is changed"


def field(name: str, by: int) -> Spoil:
    """Change one number of the last change of a hold."""

    def spoil(message: events.Record) -> None:
        target = message.hold_changes[-1]
        setattr(target, name, getattr(target, name) + by)

    return spoil


FIELDS = {
    "authorize": ("captured_minor", "released_minor", "held_after_minor", "wallet_version"),
    "increment": ("captured_minor", "released_minor", "expire_time_us", "held_after_minor"),
    "extend": ("authorized_minor", "captured_minor", "released_minor", "held_after_minor"),
    "capture": ("authorized_minor", "released_minor", "expire_time_us", "held_after_minor"),
    "final": ("authorized_minor", "released_minor", "expire_time_us", "held_after_minor"),
    "void": ("authorized_minor", "captured_minor", "released_minor", "held_after_minor"),
    "expire": ("authorized_minor", "captured_minor", "released_minor", "held_after_minor"),
}


@pytest.mark.parametrize("by", [1, -1, 2**40])
@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in FIELDS.items() for name in names]
)
def test_each_kind_changes_only_what_it_may(kind: str, name: str, by: int) -> None:
    """Any other number that is not as it was is refused, and each amount held that is off."""
    shard, books, ann, bob, hold_id = held()
    if kind == "authorize":
        shard.authorize(ann, 10)
    else:
        change(shard, kind, hold_id, bob)
    assert refused(books, shard, field(name, by)).wallet_id == ann


@pytest.mark.parametrize(
    ("kind", "name", "by"),
    [
        *(("increment", "authorized_minor", -10), ("increment", "authorized_minor", -5)),
        *(("extend", "expire_time_us", -SECOND_US), ("extend", "expire_time_us", -2 * SECOND_US)),
        *(("capture", "captured_minor", -20), ("capture", "captured_minor", -21)),
    ],
)
def test_what_a_change_is_for_must_grow(kind: str, name: str, by: int) -> None:
    """A hold is never raised by nothing, shortened, or captured backwards."""
    shard, books, ann, bob, hold_id = held()
    change(shard, kind, hold_id, bob)
    assert refused(books, shard, field(name, by)).wallet_id == ann


@pytest.mark.parametrize(
    ("kind", "state"), [("void", 4), ("expire", 3), ("capture", 3), ("void", 1)]
)
def test_a_change_leads_to_its_own_state(kind: str, state: int) -> None:
    """A void leaves a hold voided, an expiry expired, a capture open or captured."""
    shard, books, _, bob, hold_id = held()
    change(shard, kind, hold_id, bob)

    def spoil(message: events.Record) -> None:
        message.hold_changes[0].state = state  # type: ignore[assignment]  # any number goes

    assert refused(books, shard, spoil).what == "state of a hold"


def test_a_change_of_no_known_kind_is_refused() -> None:
    """Whoever wrote it knows something that this ledger does not."""
    shard, books, _, bob, hold_id = held()
    change(shard, "void", hold_id, bob)

    def spoil(message: events.Record) -> None:
        message.hold_changes[0].kind = 9  # type: ignore[assignment]  # any number goes

    assert refused(books, shard, spoil).what == "kind of a hold's change"


def test_a_hold_stays_in_its_wallet_and_currency() -> None:
    """Another wallet of the shard can't take a hold over."""
    shard, books, _, bob, hold_id = held()
    shard.transfer(shard.world(), bob, 500)
    keep(books, shard)
    shard.holds[hold_id].wallet_id = bob
    shard.wallets[bob].held = 60
    shard.increment(hold_id, 1)
    assert refused(books, shard).wallet_id == bob
    shard, books, _, bob, hold_id = held()
    shard.increment(hold_id, 1)

    def dollars(message: events.Record) -> None:
        message.hold_changes[0].currency_code = "USD"

    assert "currency of a hold" in refused(books, shard, dollars).what


def _none_named(m: events.Record) -> None:
    m.hold_changes[0].transaction_id = b""


def _another_named(m: events.Record) -> None:
    m.hold_changes[0].transaction_id = new_id(0)


def _no_capture(m: events.Record) -> None:
    m.transactions[0].type = events.TRANSACTION_TYPE_TRANSFER


def _of_another_hold(m: events.Record) -> None:
    m.transactions[0].parent_id = new_id(0)


def _more_moved(m: events.Record) -> None:
    posting = m.transactions[0].postings[0]
    posting.amount_minor += 1
    posting.source_posted_after -= 1
    posting.destination_posted_after += 1


def _without_postings(m: events.Record) -> None:
    del m.transactions[0].postings[:]


@pytest.mark.parametrize(
    "spoil",
    [
        *(_none_named, _another_named, _no_capture, _of_another_hold, _more_moved),
        _without_postings,
    ],
)
def test_a_capture_moves_what_its_hold_gives(spoil: Spoil) -> None:
    """I8: one transaction of the record, of type CAPTURE, of this hold, of just that amount."""
    shard, books, _, bob, hold_id = held()
    shard.capture(hold_id, bob, 20)
    assert "capture" in refused(books, shard, spoil).what


def test_one_transaction_captures_once() -> None:
    """Two changes of a hold can't share the money of one transaction."""
    shard, books, _, bob, hold_id = held()
    first = shard.capture(hold_id, bob, 20)
    shard.capture(hold_id, bob, 20)

    def share(message: events.Record) -> None:
        message.hold_changes[1].transaction_id = first.transaction_id

    assert refused(books, shard, share).what == "capture"


def test_no_capture_goes_without_a_hold() -> None:
    """A transaction of type CAPTURE that no change of a hold names is refused."""
    shard, books, ann, bob = two_wallets()
    transaction = shard.transfer(ann, bob, 10)
    transaction.type = events.TRANSACTION_TYPE_CAPTURE
    transaction.parent_id = new_id(0)
    assert refused(books, shard).tx_id == transaction.transaction_id


def test_what_is_held_can_not_be_paid() -> None:
    """I3: posted less held plus the credit line is never below zero at a record's end."""
    shard, books, ann, bob, _ = held()
    shard.transfer(ann, bob, 41)
    mismatch = refused(books, shard)
    assert (mismatch.wallet_id, mismatch.what, mismatch.actual) == (ann, "available balance", "-1")


def test_what_is_available_is_judged_at_the_end_of_a_record() -> None:
    """In between it may fall below zero: a final capture frees what a payment then uses."""
    shard, books, ann, bob, hold_id = held()
    shard.transfer(ann, bob, 41)
    shard.release(hold_id)
    keep(books, shard)
    assert books.accounts[ann].available == 59


@pytest.mark.parametrize(
    "status", [events.WALLET_STATUS_FROZEN, events.WALLET_STATUS_DEBITS_FROZEN]
)
def test_holds_of_a_frozen_wallet_end_and_are_neither_made_nor_captured(
    status: events.WalletStatus.ValueType,
) -> None:
    """Voids, expiry and extensions pass; a new hold, a raised one or a capture is a debit."""
    for kind in (*CHANGES, "authorize"):
        shard, books, ann, bob, hold_id = held()
        shard.change(ann, status)
        keep(books, shard)
        if kind == "authorize":
            shard.authorize(ann, 1)
        else:
            change(shard, kind, hold_id, bob)
        if kind in ("void", "expire", "extend"):
            keep(books, shard)
        else:
            assert refused(books, shard).what == "status", kind


def test_a_wallet_closes_without_holds() -> None:
    """Held money would never come back."""
    shard, books, ann, bob = two_wallets()
    shard.limit(ann, 60)
    shard.authorize(ann, 60)
    keep(books, shard)
    shard.transfer(ann, bob, 100)
    shard.change(ann, events.WALLET_STATUS_CLOSED)
    assert refused(books, shard).what == "held when closed"
