"""What only some transactions have, on a real database: kept as it should be, and proven."""

import json

import pytest

from guilder.events.v1 import record_pb2 as events
from ledger.domain import label
from tests.ledger.proofs import Kind, chain, kinds, reconcile, remember, restore, transit
from tests.ledger.running import Running
from tests.ledger.shards import START_US, Shard
from walletkit.ids import SystemKind, new_id

DAY_US = 86_400_000_000
EFFECTIVE_US = START_US - 3 * DAY_US


def opaque(**said: object) -> bytes:
    """Return what a caller said, as the record has it."""
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


async def holding(running: Running) -> tuple[Shard, bytes, bytes]:
    """Have a shard with holds in every state, labels, an effective time and an asset taken in."""
    shard = Shard(0)
    ann, bob = shard.create(), shard.create(account_id="bob")
    shard.transfer(shard.world(), ann, 1_000)
    shard.limit(ann, 50)
    shard.batch.asset_registrations.add(currency_code="GOLD", exponent=4)
    shard.commit()
    holds = [shard.authorize(ann, 100) for _ in range(5)]
    shard.commit()
    shard.capture(holds[0], bob, 40)
    shard.capture(holds[1], bob, 30, final=True)
    shard.release(holds[2])
    shard.release(holds[3], events.HOLD_CHANGE_KIND_EXPIRED, events.HOLD_STATE_EXPIRED)
    shard.commit()
    marked = shard.transfer(ann, bob, 7)
    marked.reference = b"invoice 7"
    marked.opaque = opaque(m={"shop": "one", "till": "two"}, d="three")
    marked.effective_time_us = EFFECTIVE_US
    sent = shard.send(ann, new_id(1), 9)
    sent.effective_time_us = EFFECTIVE_US
    shard.transfer(ann, bob, 8)
    shard.freeze_account("bob", events.ACCOUNT_FREEZE_DEBITS)
    shard.commit()
    await running.take(shard)
    running.wallets.snapshots[0] = shard.snapshot()
    return shard, ann, bob


async def test_only_what_has_something_to_find_it_by_gets_labels(running: Running) -> None:
    """One row for the reference, each pair and the family; a plain transaction has none."""
    shard, *_ = await holding(running)
    marked, captures = shard.records[3], events.Record.FromString(shard.records[2].payload)
    (transaction, *_) = events.Record.FromString(marked.payload).transactions
    (rows,) = await running.sql("SELECT label,shard,seq,n,tx_id,time_us FROM labels")
    time_us = START_US + 4_000_000
    expected = {
        (found, 0, 4, 0, transaction.transaction_id, time_us)
        for found in (
            label.reference_label(b"invoice 7"),
            label.metadata_label("shop", "one"),
            label.metadata_label("till", "two"),
        )
    }
    for n, capture in enumerate(captures.transactions):
        family = label.family_label(capture.family_id)
        expected.add((family, 0, 3, n, capture.transaction_id, time_us - 1_000_000))
    assert set(rows) == expected


async def test_both_sides_of_an_effective_transaction_have_its_time(running: Running) -> None:
    """`transit` too, so that the books of any moment sum to zero; others have no row."""
    shard, ann, bob = await holding(running)
    (rows,) = await running.sql(
        "SELECT wallet_id,effective_us,version,delta,time_us,shard,seq FROM effective_entries"
    )
    time_us = START_US + 4_000_000
    on_its_way = shard.system_id(SystemKind.TRANSIT)
    found = {(row[0], row[3]) for row in rows}
    assert found == {(ann, -7), (bob, 7), (ann, -9), (on_its_way, 9)}
    assert {(row[1], *row[4:]) for row in rows} == {(EFFECTIVE_US, time_us, 0, 4)}
    (entries,) = await running.sql("SELECT wallet_id,version,delta FROM entries WHERE seq=4")
    assert {(row[0], row[2], row[3]) for row in rows} < set(entries)


async def test_entries_have_the_type_of_their_transaction(running: Running) -> None:
    """A landed leg has none: its home's record has it."""
    shard, ann, _ = await holding(running)
    leg = events.Intent(leg=99, destination=ann, currency_code="EUR", amount_minor=7)
    shard.land(new_id(1), leg)
    shard.commit()
    await running.take(shard)
    (rows,) = await running.sql("SELECT DISTINCT seq,type FROM entries ORDER BY seq,type")
    assert rows == [(1, 1), (3, 4), (4, 3), (5, 0)]


async def test_holds_and_assets_are_kept_as_they_are_now(running: Running) -> None:
    """One row a hold, whatever became of it, and every change of it."""
    shard, ann, _ = await holding(running)
    (rows,) = await running.sql(
        """SELECT hold_id,wallet_id,state,authorized,captured,released,expire_time_us FROM holds"""
    )
    assert set(rows) == {
        (
            *(hold_id, ann, hold.state, hold.authorized),
            *(hold.captured, hold.released, hold.expire_time_us),
        )
        for hold_id, hold in shard.holds.items()
    }
    ((changes,),) = (await running.sql("SELECT COUNT(*) FROM hold_changes"))[0]
    ((held, limit),) = (
        await running.sql(
            f"SELECT held,overdraft_limit FROM accounts WHERE wallet_id=x'{ann.hex()}'"
        )
    )[0]
    assert (changes, held, limit) == (9, 160, 50)
    assert await running.sql("SELECT * FROM assets") == [[("GOLD", 4)]]


FAULTS = {
    "held": ("UPDATE accounts SET held=held+1 WHERE held>0", {"BALANCE"}),
    "a credit line": ("UPDATE accounts SET overdraft_limit=9 WHERE overdraft_limit>0", {"BALANCE"}),
    "an account's freeze": ("UPDATE accounts SET account_freeze=0", {"BALANCE"}),
    "an open hold's amount": ("UPDATE holds SET authorized=1 WHERE state=1 LIMIT 1", {"HOLD"}),
    "an open hold missing": ("DELETE FROM holds WHERE state=1 LIMIT 1", {"HOLD"}),
    "an ended hold missing": ("DELETE FROM holds WHERE state=3", {"HOLD"}),
    "an ended hold's amount": ("UPDATE holds SET released=1 WHERE state=4", {"HOLD"}),
    "a hold ended that is open": ("UPDATE holds SET state=3 WHERE state=1 LIMIT 1", {"HOLD"}),
    "a hold opened that has ended": ("UPDATE holds SET state=1 WHERE state=3", {"HOLD"}),
    "a change of a hold missing": ("DELETE FROM hold_changes LIMIT 1", {"HOLD"}),
    "a change of a hold": ("UPDATE hold_changes SET captured=1 WHERE state=1 LIMIT 1", {"HOLD"}),
    "a label missing": ("DELETE FROM labels LIMIT 1", {"ENTRIES"}),
    "a label of another": ("UPDATE labels SET n=n+50 LIMIT 1", {"ENTRIES"}),
    "a label's time": ("UPDATE labels SET time_us=time_us+1 LIMIT 1", {"ENTRIES"}),
    "an effective entry missing": ("DELETE FROM effective_entries LIMIT 1", {"ENTRIES"}),
    "an effective time": ("UPDATE effective_entries SET effective_us=1 LIMIT 1", {"ENTRIES"}),
    "an effective amount": (
        *("UPDATE effective_entries SET delta=-2 WHERE delta=-7", {"ENTRIES"}),
    ),
    "an asset missing": ("DELETE FROM assets", {"ENTRIES"}),
    "an asset's exponent": ("UPDATE assets SET exponent=3", {"ENTRIES"}),
    "an entry's type": ("UPDATE entries SET type=6 WHERE type=4 LIMIT 1", {"ENTRIES"}),
}


async def test_each_fault_in_what_is_kept_is_found(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VerifyChain replays all of it, page by page, and names each kind of fault."""
    monkeypatch.setattr("ledger.store.audit_sparse.ROWS_CHUNK", 2)
    await holding(running)
    assert not (await chain(running)).differences
    await remember(running)
    for name, (fault, expected) in FAULTS.items():
        await running.sql(fault)
        assert kinds(await chain(running)) == expected, name
        await restore(running)
    assert not (await chain(running)).differences


async def test_an_ended_hold_that_changes_is_refused_and_nothing_of_it_kept(
    running: Running,
) -> None:
    """However long ago it ended: ingest asks the database for the hold."""
    shard, _, bob = await holding(running)
    ended = [id_ for id_, hold in shard.holds.items() if hold.state == events.HOLD_STATE_VOIDED]
    shard.capture(ended[0], bob, 1)
    shard.commit()
    assert await running.refused(0, shard.records[-1:]) == "JOURNAL_MISMATCH"
    assert await running.sql("SELECT seq FROM cursors") == [[(4,)]]
    assert not (await chain(running)).differences


async def test_an_asset_of_another_exponent_is_refused(running: Running) -> None:
    """Of another shard as well: all amounts of it would mean something else here."""
    await holding(running)
    away = Shard(1)
    away.batch.asset_registrations.add(currency_code="GOLD", exponent=4)
    away.commit()
    away.batch.asset_registrations.add(currency_code="GOLD", exponent=2)
    away.commit()
    assert await running.refused(1, away.records) == "JOURNAL_MISMATCH"
    assert await running.sql("SELECT seq FROM cursors WHERE shard=1") == [[(1,)]]


async def test_a_record_of_an_ended_hold_is_found_by_replay(running: Running) -> None:
    """Who has the database can put it there; VerifyChain then says at which record."""
    shard, _, bob = await holding(running)
    ended = [id_ for id_, hold in shard.holds.items() if hold.state == events.HOLD_STATE_VOIDED]
    shard.capture(ended[0], bob, 1)
    record = shard.commit()
    values = [value.hex() for value in (record.prev_hash, record.hash, record.payload)]
    await running.sql(
        f"""INSERT INTO records VALUES (0,5,x'{values[0]}',x'{values[1]}',{shard.time_us},
        x'{values[2]}'); UPDATE cursors SET seq=5,hash=x'{values[1]}' WHERE shard=0"""
    )
    reply = await chain(running)
    replayed = [d for d in reply.differences if d.kind == Kind.DIFFERENCE_KIND_REPLAY]
    assert (replayed[0].seq, replayed[0].expected) == (5, "authorized before it is changed")


async def test_open_holds_reconcile(running: Running) -> None:
    """Held, credit line and freeze are the journal's, and so is each open hold."""
    await holding(running)
    reply = await reconcile(running)
    assert not reply.differences, reply


async def test_a_transaction_of_many_legs_pairs_and_proves(running: Running) -> None:
    """A hundred legs of one transaction land one by one; it is done with the last."""
    home, away = Shard(0), Shard(1)
    ann, bob = home.create(), away.create()
    home.transfer(home.world(), ann, 10_000)
    home.commit()
    away.commit()
    transaction = home.send(ann, bob, 1)
    tx_id = transaction.transaction_id
    transaction.type = events.TRANSACTION_TYPE_POSTING
    on_its_way = transaction.postings[0].destination
    for leg in range(1, 100):
        home._post(transaction.postings.add(), ann, on_its_way, leg)
        home.intents[tx_id, leg] = transaction.intents.add(
            leg=leg, destination=bob, currency_code="EUR", amount_minor=leg
        )
    intents = list(transaction.intents)
    home.commit()
    for intent in intents[:-1]:
        away.land(tx_id, intent)
    back = away.send_back(tx_id, intents[-1], ann)
    away.commit()
    home.land(tx_id, back)
    for leg in range(99):
        home.close(tx_id, leg, events.TRANSACTION_STATE_UNSPECIFIED)
    home.close(tx_id, 99, events.TRANSACTION_STATE_RETURNED)
    home.commit()
    away.close(tx_id, back.leg, events.TRANSACTION_STATE_UNSPECIFIED)
    away.commit()
    await running.take(home, away)
    running.wallets.snapshots = {0: home.snapshot(), 1: away.snapshot()}
    pairs = await transit(running)
    assert (pairs.paired, pairs.open, kinds(pairs)) == (101, 0, set())
    for shard in (0, 1):
        assert not (await chain(running, shard)).differences
        assert not (await reconcile(running, shard)).differences
