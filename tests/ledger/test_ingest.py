"""Ingest on a real database: every record once, in order, and nothing of one that does not fit."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import grpc.aio
import pytest

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as api
from ledger.ingest.inbox import WINDOW
from ledger.store import partitions
from ledger.store.commit import Commit
from ledger.store.shard_store import ShardStore
from tests.ledger.running import FakeWallets, Running, reason_of, serving
from tests.ledger.shards import Shard, send_across
from walletkit.chain import genesis_hash
from walletkit.ids import new_id
from walletkit.stack import Stack

COUNTS = """SELECT (SELECT COUNT(*) FROM records),(SELECT COUNT(*) FROM entries),
    (SELECT SUM(debit)+SUM(credit) FROM accounts),(SELECT COUNT(*) FROM transit_legs)"""


def busy_shard(number: int = 0, records: int = 30) -> Shard:
    """Return a shard that has moved money between three wallets."""
    shard = Shard(number)
    wallets = [shard.create() for _ in range(3)]
    for wallet in wallets:
        shard.transfer(shard.world(), wallet, 1_000)
    shard.commit()
    for n in range(records - 1):
        for k in range(3):
            shard.transfer(wallets[k], wallets[(k + 1) % 3], 1 + (n + k) % 7)
        shard.commit()
    return shard


async def verified(running: Running, shard: Shard) -> bool:
    """Whether the ledger holds exactly what the shard has written."""
    reply = await running.stub.VerifyChain(api.VerifyChainRequest(shard=shard.number))
    running.wallets.snapshots[shard.number] = shard.snapshot()
    reconciled = await running.stub.Reconcile(api.ReconcileRequest(shard=shard.number))
    assert not reply.differences, reply
    assert not reconciled.differences, reconciled
    return bool(reply.position.seq == len(shard.records))


async def test_records_are_acknowledged_up_to_what_is_durable(running: Running) -> None:
    """The first answer carries where the shard stands, the last one its last record."""
    shard = busy_shard()
    answers = await running.ingest(0, shard.records)
    assert (answers[0].seq, answers[0].hash) == (0, genesis_hash(0))
    assert answers[0].window == WINDOW
    assert (answers[-1].seq, answers[-1].hash) == (30, shard.records[-1].hash)
    assert [answer.seq for answer in answers] == sorted(answer.seq for answer in answers)
    assert await verified(running, shard)


async def test_resent_records_change_nothing(running: Running) -> None:
    """A relay that lost its acknowledgements sends again, and finds all of it here."""
    shard = busy_shard()
    await running.take(shard)
    before = await running.sql(COUNTS)
    answers = await running.ingest(0, shard.records[10:])
    assert answers[-1].seq == 30
    answers = await running.ingest(0, [*shard.records[20:], *shard.records[25:]])
    assert answers[-1].seq == 30
    assert await running.sql(COUNTS) == before


async def test_a_gap_is_refused_and_what_came_before_it_kept(running: Running) -> None:
    """A record that does not follow the last one stops the stream."""
    shard = busy_shard()
    missing = [*shard.records[:5], *shard.records[6:]]
    assert await running.refused(0, missing) == "RECORD_GAP"
    assert (await running.ingest(0, []))[0].seq == 5
    await running.take(shard)
    assert await verified(running, shard)


async def test_another_record_in_the_place_of_one_taken_is_refused(running: Running) -> None:
    """Two histories of one shard never mix."""
    shard, other = busy_shard(), busy_shard()
    await running.take(shard)
    assert await running.refused(0, other.records[:1]) == "RECORD_CONFLICT"
    assert await verified(running, shard)


async def test_two_records_of_one_seq_in_a_batch_are_refused(running: Running) -> None:
    """A stream that contradicts itself stops, with the first of both kept."""
    shard, other = busy_shard(), busy_shard()
    mixed = [shard.records[0], other.records[0]]
    assert await running.refused(0, mixed) == "RECORD_CONFLICT"
    assert (await running.ingest(0, []))[0].hash == shard.records[0].hash


async def test_a_changed_byte_is_refused(running: Running) -> None:
    """The hash no longer follows from the bytes."""
    shard = busy_shard(records=3)
    payload = bytearray(shard.records[1].payload)
    payload[-1] ^= 1
    shard.records[1].payload = bytes(payload)
    assert await running.refused(0, shard.records) == "CHAIN_BROKEN"
    assert (await running.ingest(0, []))[0].seq == 1


async def test_a_record_that_follows_another_one_is_refused(running: Running) -> None:
    """A right hash does not help a record whose predecessor is not here."""
    shard, other = busy_shard(), busy_shard()
    assert await running.refused(0, [shard.records[0], other.records[1]]) == "CHAIN_BROKEN"


def _balance(record: events.Record) -> None:
    record.transactions[0].postings[0].destination_posted_after += 1


def _version(record: events.Record) -> None:
    record.transactions[1].postings[0].source_version += 1


def _currency(record: events.Record) -> None:
    record.transactions[0].postings[0].currency_code = "USD"


def _amount(record: events.Record) -> None:
    record.transactions[0].postings[0].amount_minor = -5


def _shard(record: events.Record) -> None:
    record.shard = 1


def _unknown_wallet(record: events.Record) -> None:
    record.transactions[0].postings[0].source = new_id(7)


def _short_id(record: events.Record) -> None:
    record.transactions[0].transaction_id = b"short"


SPOILS = (_balance, _version, _currency, _amount, _shard, _unknown_wallet, _short_id)


async def test_a_record_that_contradicts_the_journal_is_refused_whole(running: Running) -> None:
    """Its hash is right, its numbers are not: nothing of it is kept, all before it is."""
    shard = busy_shard(records=5)
    good = list(shard.records)
    for spoil in SPOILS:
        shard.records = good[:4]
        record = events.Record.FromString(good[4].payload)
        spoil(record)
        bad = shard.seal(record.SerializeToString())
        reason = await running.refused(0, [*shard.records, bad])
        assert reason == "JOURNAL_MISMATCH", spoil.__name__
        assert (await running.ingest(0, []))[0].seq == 4
        assert await running.sql("SELECT COUNT(*) FROM entries WHERE seq>4") == [[(0,)]]
    shard.records = good
    await running.take(shard)
    assert await verified(running, shard)


async def test_a_debit_of_a_frozen_wallet_is_refused(running: Running) -> None:
    """Only a leg that was on its way still lands; the record with the debit is not kept."""
    shard = Shard(0)
    ann = shard.create()
    shard.transfer(shard.world(), ann, 50)
    shard.change(ann, events.WALLET_STATUS_FROZEN)
    shard.commit()
    shard.land(new_id(1), events.Intent(destination=ann, currency_code="EUR", amount_minor=7))
    shard.commit()
    await running.take(shard)
    shard.transfer(ann, shard.world(), 20)
    shard.commit()
    assert await running.refused(0, shard.records) == "JOURNAL_MISMATCH"
    assert (await running.ingest(0, []))[0].seq == 2


async def test_an_unknown_format_stops_the_stream(running: Running) -> None:
    """A record of a newer format is never skipped."""
    shard = busy_shard(records=2)
    record = events.Record.FromString(shard.records.pop().payload)
    record.version = 2
    newer = shard.seal(record.SerializeToString())
    assert await running.refused(0, [*shard.records, newer]) == "RECORD_VERSION_UNKNOWN"
    assert (await running.ingest(0, []))[0].seq == 1


async def test_a_day_without_partition_is_refused_loudly_and_nothing_else(
    running: Running,
) -> None:
    """The records before it are kept, even from the same commit; afterwards it comes in."""
    shard = busy_shard(records=4)
    shard.transfer(shard.world(), next(iter(shard.wallets)), 1)
    now_us = time.time_ns() // 1_000
    shard.commit(now_us + (partitions.DAYS_AHEAD + 3) * 86_400_000_000)
    assert await running.refused(0, shard.records) == "RECORD_DAY_UNKNOWN"
    assert (await running.ingest(0, []))[0].seq == 4
    await running.sql(
        "ALTER TABLE entries ADD PARTITION (PARTITION later VALUES LESS THAN (65535))"
    )
    await running.take(shard)
    assert await verified(running, shard)


async def test_an_opening_with_records_is_malformed(running: Running) -> None:
    """The relay must learn where the shard stands before it sends."""
    shard = busy_shard(records=1)
    call = running.stub.Ingest(timeout=10)
    await call.write(api.IngestRequest(shard=0, records=shard.records))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(refused.value) == "INVALID_FIELD"


async def test_a_stream_is_of_one_shard(running: Running) -> None:
    """A message of another shard ends it; what came before is kept."""
    shard = busy_shard(records=2)
    call = running.stub.Ingest(timeout=10)
    await call.write(api.IngestRequest(shard=0))
    await call.write(api.IngestRequest(shard=0, records=shard.records[:1]))
    await call.write(api.IngestRequest(shard=1, records=shard.records[1:]))
    answers = [await call.read(), await call.read()]
    assert [answer.seq for answer in answers] == [0, 1]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert (await running.ingest(0, []))[0].seq == 1


async def test_two_relays_and_two_processes_are_harmless(running: Running) -> None:
    """Four streams send the same records at once; each is taken once."""
    shard = busy_shard(records=120)
    async with serving(running.url, FakeWallets()) as second:
        sent = [target.ingest(0, shard.records) for target in (running, second, running, second)]
        answers = await asyncio.gather(*sent)
        assert [answer[-1].seq for answer in answers] == [120] * 4
        counts = await running.sql("SELECT COUNT(*),COUNT(DISTINCT seq) FROM records")
        assert counts == [[(120, 120)]]
        assert await verified(running, shard)


async def test_a_process_continues_where_another_was_ahead_of_it(running: Running) -> None:
    """Balances kept in memory never outlive the position that they belong to."""
    shard = busy_shard(records=60)
    async with serving(running.url, FakeWallets()) as second:
        for start in range(0, 60, 10):
            target = (running, second)[start // 10 % 2]
            answers = await target.ingest(0, shard.records[start : start + 10])
            assert answers[-1].seq == start + 10
    assert await verified(running, shard)


async def test_a_restart_in_the_middle_continues(running: Running) -> None:
    """A new process reads the balances that the old one had in memory."""
    shard = busy_shard(records=20)
    await running.ingest(0, shard.records[:11])
    async with serving(running.url, running.wallets) as restarted:
        answers = await restarted.ingest(0, shard.records)
        assert (answers[0].seq, answers[-1].seq) == (11, 20)
        assert await verified(restarted, shard)


@pytest.mark.parametrize("committed", [True, False])
async def test_a_connection_lost_at_commit_loses_and_doubles_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch, *, committed: bool
) -> None:
    """Whether the lost commit is there or not, the stream goes on from what is."""
    real: Callable[[ShardStore, Commit], Awaitable[None]] = ShardStore.save
    losses = {3, 4, 7}
    calls = 0

    async def save(store: ShardStore, commit: Commit) -> None:
        nonlocal calls
        calls += 1
        if committed or calls not in losses:
            await real(store, commit)
        if calls in losses:
            store.drop()
            raise ConnectionResetError

    monkeypatch.setattr(ShardStore, "save", save)
    shard = busy_shard(records=12)
    for record in shard.records:
        answers = await running.ingest(0, [record])
        assert answers[-1].seq == record.seq
    assert await verified(running, shard)


async def test_a_killed_session_is_opened_again(running: Running) -> None:
    """The database ends the writer's session between two records."""
    shard = busy_shard(records=6)
    for record in shard.records:
        await running.ingest(0, [record])
        sessions = """SELECT id FROM information_schema.processlist
            WHERE db=DATABASE() AND id<>CONNECTION_ID()"""
        for (number,) in (await running.sql(sessions))[0]:
            await running.sql(f"KILL {number}")
    assert await verified(running, shard)


async def test_a_caller_that_goes_away_leaves_no_half_commit(running: Running) -> None:
    """Streams are cut at any moment; the next one finds a whole number of records."""
    shard = busy_shard(records=80)
    for _ in range(10):
        call = running.stub.Ingest(timeout=10)
        await call.write(api.IngestRequest(shard=0))
        first = await call.read()
        for record in shard.records[first.seq : first.seq + 6]:
            await call.write(api.IngestRequest(shard=0, records=[record]))
        await asyncio.sleep(0.003)
        call.cancel()
    await running.take(shard)
    assert await verified(running, shard)


async def test_many_records_share_a_commit(fresh_ledger: str) -> None:
    """Under load the commits are few: what arrives within the interval goes together."""
    shard = busy_shard(records=60)
    async with serving(fresh_ledger, FakeWallets(), interval_ms=200) as running:
        answers = await running.ingest(0, shard.records)
        assert len(answers) < 10
        assert await verified(running, shard)


async def test_what_a_record_says_of_legs_is_kept(running: Running) -> None:
    """Sendings, landings, closings and the new state of a transaction are there to be paired."""
    home, away = Shard(0), Shard(1)
    source, destination = home.create(), away.create()
    home.transfer(home.world(), source, 100)
    home.commit()
    away.commit()
    tx_id = send_across(home, away, source, destination, 40)
    still_open = home.send(source, destination, 10)
    home.commit()
    await running.take(home, away)
    legs, open_, states = await running.sql(
        """SELECT side,shard,seq,amount FROM transit_legs ORDER BY shard,seq;
        SELECT tx_id,amount FROM open_intents; SELECT tx_id,state FROM transaction_states"""
    )
    assert legs == [(1, 0, 2, 40), (3, 0, 3, 0), (1, 0, 4, 10), (2, 1, 2, 40)]
    assert open_ == [(still_open.transaction_id, 10)]
    assert states == [(tx_id, events.TRANSACTION_STATE_COMPLETED)]


async def test_large_records_come_in(running: Running) -> None:
    """A record of a thousand commands with long descriptions fits a commit of its own."""
    shard = Shard()
    wallets = [shard.create() for _ in range(50)]
    for n in range(1_000):
        transaction = shard.transfer(shard.world(), wallets[n % 50], 1 + n)
        transaction.opaque = b"x" * 2_000
    shard.commit()
    shard.transfer(wallets[0], wallets[1], 1)
    shard.commit()
    await running.take(shard)
    assert await verified(running, shard)


async def test_the_ledger_is_ready_while_its_database_answers(running: Running) -> None:
    """Readiness follows the database alone: here no wallet service has a shard."""
    async with asyncio.timeout(10):
        while not running.ledger.ready():  # noqa: ASYNC110  # health polls it just so
            await asyncio.sleep(0.05)


async def test_a_database_killed_in_mid_stream_loses_nothing(
    running: Running, databases: Stack
) -> None:
    """It dies at any instruction and comes back; the stream is refused meanwhile, then goes on."""
    shard = busy_shard(records=200)
    acknowledged = 0

    async def relay() -> None:
        nonlocal acknowledged
        while acknowledged < len(shard.records):
            call = running.stub.Ingest(timeout=30)
            try:
                await call.write(api.IngestRequest(shard=0))
                acknowledged = (await call.read()).seq
                for record in shard.records[acknowledged:]:
                    await call.write(api.IngestRequest(shard=0, records=[record]))
                    acknowledged = (await call.read()).seq
                await call.done_writing()
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)

    relaying = asyncio.create_task(relay())
    while acknowledged < 20:  # noqa: ASYNC110  # the relay tells nobody
        await asyncio.sleep(0.001)
    await asyncio.to_thread(databases.kill, "books")
    before = acknowledged
    await asyncio.to_thread(databases.start, "books")
    found = await running.sql("SELECT seq FROM cursors WHERE shard=0")
    assert found[0][0][0] >= before
    await relaying
    assert await verified(running, shard)
