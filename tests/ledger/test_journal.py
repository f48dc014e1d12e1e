"""The journal: how a record becomes entries, and what contradicts it. No I/O."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guilder.events.v1 import record_pb2 as events
from ledger.domain.account import Account, JournalMismatchError, Mismatch
from ledger.domain.journal import journal
from ledger.store.codec import MalformedRecordError, UnknownVersionError, decode
from tests.ledger.books import FROZEN, THAWED, Books, message_of, reread, two_wallets
from tests.ledger.shards import START_US, Shard, postings_of
from walletkit.ids import SystemKind, is_system, new_id
from walletkit.money import MAX_AMOUNT_MINOR

MOVES = (
    *("deposit", "withdraw", "transfer", "create", "freeze", "unfreeze", "send", "land"),
    *("limit", "authorize", "increment", "capture", "final", "void"),
)


def play(shard: Shard, moves: list[tuple[str, int, int, int]]) -> None:
    """Let a shard do what a list of numbers says; what a wallet can't do is left out."""
    for kind, first, second, amount in moves:
        if kind == "create" or len(shard.wallets) < 2:
            shard.create()
            continue
        ids = list(shard.wallets)
        source, destination = ids[first % len(ids)], ids[second % len(ids)]
        frozen = shard.wallets[source].status == events.WALLET_STATUS_FROZEN
        if kind == "land":
            intent = events.Intent(
                leg=0, destination=source, currency_code="EUR", amount_minor=amount
            )
            shard.land(new_id(1), intent)
        elif kind in ("freeze", "unfreeze"):
            if frozen == (kind == "unfreeze"):
                shard.change(source, THAWED if frozen else FROZEN)
        elif kind == "void":
            void(shard, source)
        elif kind == "limit":
            used = shard.wallets[source].overdraft - available(shard, source)
            shard.limit(source, max(amount, used))
        elif not frozen and (kind == "deposit" or available(shard, source) >= amount):
            if kind in ("authorize", "increment", "capture", "final"):
                reserve(shard, kind, source, destination, amount)
            else:
                pay(shard, kind, source, destination, amount)


def available(shard: Shard, wallet_id: bytes) -> int:
    """Return what a wallet can pay with."""
    wallet = shard.wallets[wallet_id]
    return wallet.posted - wallet.held + wallet.overdraft


def open_hold(shard: Shard, wallet_id: bytes) -> bytes | None:
    """Return one of a wallet's open holds."""
    state = events.HOLD_STATE_AUTHORIZED
    return next(
        (
            hold_id
            for hold_id, hold in shard.holds.items()
            if hold.wallet_id == wallet_id and hold.state == state
        ),
        None,
    )


def void(shard: Shard, wallet_id: bytes) -> None:
    """Release a hold, if there is one."""
    if (hold_id := open_hold(shard, wallet_id)) is not None:
        shard.release(hold_id)


def reserve(shard: Shard, kind: str, source: bytes, destination: bytes, amount: int) -> None:
    """Make a hold, or change or capture one that is there."""
    hold_id = open_hold(shard, source)
    if hold_id is None or kind == "authorize":
        shard.authorize(source, amount)
    elif kind == "increment":
        shard.increment(hold_id, amount)
    else:
        there = shard.wallets[destination]
        to = shard.world() if destination == source or there.status == FROZEN else destination
        final = kind == "final"
        shard.capture(hold_id, to, min(amount, shard.holds[hold_id].open), final=final)


def pay(shard: Shard, kind: str, source: bytes, destination: bytes, amount: int) -> None:
    """Move money from or to a wallet that is not frozen."""
    if kind == "deposit":
        shard.transfer(shard.world(), source, amount)
    elif kind == "withdraw":
        shard.transfer(source, shard.world(), amount)
    elif kind == "send":
        shard.send(source, new_id(1), amount)
    elif source != destination and shard.wallets[destination].status != FROZEN:
        shard.transfer(source, destination, amount)


AMOUNTS = st.one_of(
    st.integers(1, 1_000), st.sampled_from([1, MAX_AMOUNT_MINOR - 1, MAX_AMOUNT_MINOR])
)
MOVE = st.tuples(st.sampled_from(MOVES), st.integers(0, 9), st.integers(0, 9), AMOUNTS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(MOVE, max_size=12), min_size=1, max_size=6))
def test_the_journal_agrees_with_the_shard(batches: list[list[tuple[str, int, int, int]]]) -> None:
    """Whatever is moved: balances, versions and sums are those of an independent model."""
    shard, books = Shard(), Books()
    for batch in batches:
        play(shard, batch)
        shard.commit()
        books.add(reread(message_of(shard)))
    for wallet_id, wallet in shard.wallets.items():
        account = books.accounts[wallet_id]
        assert (account.posted, account.version) == (wallet.posted, wallet.version)
        assert (account.held, account.overdraft_limit) == (wallet.held, wallet.overdraft)
        holds = [hold.open for hold in books.holds.values() if hold.wallet_id == wallet_id]
        assert sum(holds) == wallet.held
    for wallet_id, posted in shard.system.items():
        account = books.accounts[wallet_id]
        count = sum(entry[0] == wallet_id for entry in books.entries)
        assert (account.posted, account.version) == (posted, count)
    assert sum(entry[8] for entry in books.entries) == 0
    for account in books.accounts.values():
        assert account.credit - account.debit == account.posted
    assert len({entry[:3] for entry in books.entries}) == len(books.entries)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(MOVE, min_size=6, max_size=20),
    st.integers(0, 1_000),
    st.sampled_from(("posted_after", "version")),
    st.sampled_from((-1, 1, 2**40)),
)
def test_no_wrong_number_passes(
    moves: list[tuple[str, int, int, int]], which: int, field: str, by: int
) -> None:
    """Any customer balance-after or version that is changed anywhere is refused."""
    shard, books = Shard(), Books()
    shard.create()
    shard.create()
    shard.commit()
    books.add(reread(message_of(shard)))
    play(shard, moves)
    shard.commit()
    message = message_of(shard)
    sides = [
        (posting, side)
        for posting in postings_of(message)
        for side in ("source", "destination")
        if not is_system(getattr(posting, side))
    ]
    if not sides:
        return
    posting, side = sides[which % len(sides)]
    name = f"{side}_{field}"
    changed = getattr(posting, name) + by
    if field == "version" and changed < 0:
        return
    setattr(posting, name, changed)
    with pytest.raises(JournalMismatchError):
        books.add(reread(message))


def test_a_posting_makes_two_entries() -> None:
    """The source is debited and the destination credited, each with the other as counterparty."""
    shard, books, ann, bob = two_wallets()
    transaction = shard.transfer(ann, bob, 30)
    shard.commit()
    entries = books.add(reread(message_of(shard)))
    tx_id, day = transaction.transaction_id, shard.time_us // 86_400_000_000
    assert sorted(entries) == sorted(
        [
            (ann, 3, day, 2, 0, 0, tx_id, bob, -30, 70, shard.time_us, 3),
            (bob, 2, day, 2, 0, 0, tx_id, ann, 30, 30, shard.time_us, 3),
        ]
    )


def test_postings_and_changes_of_one_batch_interleave() -> None:
    """A wallet is created, paid, frozen, a leg lands, unfrozen and pays, all in one record."""
    shard, books = Shard(), Books()
    ann, bob = shard.create(), shard.create()
    shard.transfer(shard.world(), ann, 50)
    shard.change(ann, events.WALLET_STATUS_FROZEN)
    leg = events.Intent(leg=0, destination=ann, currency_code="EUR", amount_minor=5)
    shard.land(new_id(1), leg)
    shard.change(ann, events.WALLET_STATUS_ACTIVE)
    shard.transfer(ann, bob, 55)
    shard.change(ann, events.WALLET_STATUS_CLOSED)
    shard.commit()
    entries = books.add(reread(message_of(shard)))
    versions = [(entry[1], entry[9]) for entry in entries if entry[0] == ann]
    assert versions == [(2, 50), (4, 55), (6, 0)]
    account = books.accounts[ann]
    assert (account.status, account.version) == (events.WALLET_STATUS_CLOSED, 7)
    assert (account.debit, account.credit, account.account_id) == (55, 55, "ann")


def test_landed_legs_are_told_from_transactions() -> None:
    """Transactions count up from 0, landed legs down from -1; postings count within each."""
    shard, books, ann, bob = two_wallets()
    tx_id = new_id(1)
    intent = events.Intent(leg=0, destination=bob, currency_code="EUR", amount_minor=9)
    shard.land(tx_id, intent)
    shard.transfer(ann, bob, 1)
    shard.send_back(new_id(1), intent, new_id(1))
    shard.commit()
    entries = books.add(reread(message_of(shard)))
    assert {entry[4:6] for entry in entries} == {(0, 0), (-1, 0), (-2, 0), (-2, 1)}
    suspense = shard.system_id(SystemKind.SUSPENSE)
    assert [entry[8] for entry in entries if entry[0] == suspense] == [9, -9]


def test_time_never_runs_backwards_within_a_wallet() -> None:
    """A record with an earlier time counts at the wallet's last."""
    shard, books, ann, bob = two_wallets()
    shard.transfer(ann, bob, 1)
    shard.commit(START_US - 5)
    books.add(reread(message_of(shard)))
    assert books.accounts[ann].time_us == START_US + 1_000_000


def _twice(m: events.Record) -> None:
    m.transactions.append(m.transactions[0])


def _to_itself(m: events.Record) -> None:
    m.transactions[0].postings[0].destination = m.transactions[0].postings[0].source


def _nothing_moved(m: events.Record) -> None:
    m.transactions[0].postings[0].amount_minor = 0


def _too_much(m: events.Record) -> None:
    m.transactions[0].postings[0].amount_minor = MAX_AMOUNT_MINOR + 1


def _other_currency(m: events.Record) -> None:
    m.transactions[0].postings[0].currency_code = "USD"


def _other_shard(m: events.Record) -> None:
    m.shard = 4


def _created_again(m: events.Record) -> None:
    m.wallet_changes.add(
        kind=events.WALLET_CHANGE_KIND_CREATED,
        wallet_id=m.transactions[0].postings[0].source,
        version=m.transactions[0].postings[0].source_version + 1,
        status=events.WALLET_STATUS_ACTIVE,
    )


def _closed_with_money(m: events.Record) -> None:
    m.wallet_changes.add(
        kind=events.WALLET_CHANGE_KIND_CLOSED,
        wallet_id=m.transactions[0].postings[0].source,
        version=m.transactions[0].postings[0].source_version + 1,
        status=events.WALLET_STATUS_CLOSED,
        previous_status=events.WALLET_STATUS_ACTIVE,
    )


def _overdrawn(m: events.Record) -> None:
    """Take more than there is, with numbers that follow."""
    posting = m.transactions[0].postings[0]
    by = 1_000 - posting.amount_minor
    posting.amount_minor += by
    posting.source_posted_after -= by
    posting.destination_posted_after += by


def _strange_system_wallet(m: events.Record) -> None:
    m.transactions[0].postings[0].destination = b"\0\x63" + bytes(14)


def _system_wallet_elsewhere(m: events.Record) -> None:
    m.transactions[0].postings[0].destination = Shard(3).world()


@pytest.mark.parametrize(
    "spoil",
    [
        *(_twice, _to_itself, _nothing_moved, _too_much, _other_currency, _other_shard),
        *(_created_again, _closed_with_money, _strange_system_wallet, _system_wallet_elsewhere),
        _overdrawn,
    ],
)
def test_what_contradicts_the_journal_is_refused(spoil: Callable[[events.Record], None]) -> None:
    """Each is a mismatch that names what was expected and what was found."""
    shard, books, ann, bob = two_wallets()
    shard.transfer(ann, bob, 1)
    shard.commit()
    message = message_of(shard)
    spoil(message)
    with pytest.raises(JournalMismatchError) as refused:
        books.add(reread(message))
    assert refused.value.mismatch.seq == 2
    assert refused.value.mismatch.expected != refused.value.mismatch.actual


def test_a_closed_wallet_takes_nothing() -> None:
    """Closed is for good, with a balance of zero."""
    shard, books, ann, bob = two_wallets()
    shard.change(bob, events.WALLET_STATUS_CLOSED)
    shard.commit()
    books.add(reread(message_of(shard)))
    shard.transfer(ann, bob, 1)
    shard.commit()
    with pytest.raises(JournalMismatchError):
        books.add(reread(message_of(shard)))


def test_a_replay_goes_on_after_a_mismatch() -> None:
    """One fault is reported once; what the record says is taken from there on."""
    shard, books, ann, bob = two_wallets()
    found: list[Mismatch] = []
    for amount in (1, 2):
        shard.transfer(ann, bob, amount)
    shard.commit()
    message = message_of(shard)
    for transaction in message.transactions:
        transaction.postings[0].source_posted_after += 1_000
    after = journal(reread(message), 2, books.accounts, found.append)
    assert [mismatch.what for mismatch in found] == ["balance-after"]
    assert after.accounts[ann].posted == 1_097


def test_system_wallets_hold_more_than_64_bits() -> None:
    """Their sums are of any size; only a customer's balance ends at 2^63 - 1."""
    shard = Shard()
    ann = shard.create()
    shard.transfer(shard.world(), ann, 5)
    shard.commit()
    huge = -(10**37)
    accounts = {shard.world(): Account(0, "EUR", "", 1, huge, 7, 10**37, 0, START_US, 0, 0, 0)}
    after = journal(reread(message_of(shard)), 9, accounts)
    assert after.accounts[shard.world()].posted == huge - 5
    assert after.accounts[shard.world()].version == 8


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"\xff", MalformedRecordError),
        (b"", UnknownVersionError),
        (events.Record(version=2).SerializeToString(), UnknownVersionError),
        (
            events.Record(
                version=1, wallet_changes=[events.WalletChange(wallet_id=b"short")]
            ).SerializeToString(),
            MalformedRecordError,
        ),
        (
            events.Record(
                version=1, landed_legs=[events.LandedLeg(transaction_id=bytes(16))]
            ).SerializeToString(),
            MalformedRecordError,
        ),
    ],
)
def test_bytes_that_are_no_record_are_refused(payload: bytes, error: type[Exception]) -> None:
    """Unknown versions, short ids, and legs that do not come out of transit."""
    with pytest.raises(error):
        decode(payload)


def test_decoding_keeps_what_the_domain_needs() -> None:
    """Legs, states and changes come through with their places."""
    shard, _, ann, _ = two_wallets()
    sent = shard.send(ann, new_id(1), 10)
    shard.commit()
    shard.close(sent.transaction_id)
    shard.commit()
    opening, closing = reread(message_of(shard, -2)), reread(message_of(shard))
    assert opening.transactions == 1
    assert [(leg.tx_id, leg.leg, leg.side, leg.n, leg.amount) for leg in opening.legs] == [
        (sent.transaction_id, 0, 1, 0, 10)
    ]
    assert closing.states == [(sent.transaction_id, events.TRANSACTION_STATE_COMPLETED)]
