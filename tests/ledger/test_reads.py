"""Lists, balances and trial balance over the API, on a real database."""

import asyncio
import random
import time
from itertools import pairwise

import grpc.aio
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.type.v1.position_pb2 import Position
from tests.ledger.running import Running, info_of, reason_of
from tests.ledger.shards import SECOND_US, START_US, Shard, send_across
from walletkit.ids import format_id, new_id

DAY_US = 86_400 * SECOND_US


def at(time_us: int) -> Timestamp:
    """Return a moment as callers send it."""
    return Timestamp(seconds=time_us // SECOND_US, nanos=time_us % SECOND_US * 1_000)


async def list_all(running: Running, size: int, **query: object) -> list[api.Entry]:
    """Return all entries of a wallet, page by page."""
    entries: list[api.Entry] = []
    token = ""
    while True:
        request = api.ListEntriesRequest(page_size=size, page_token=token, **query)  # type: ignore[arg-type]
        reply = await running.stub.ListEntries(request)
        assert len(reply.entries) <= size
        entries += reply.entries
        token = reply.next_page_token
        if not token:
            return entries


async def test_entries_tell_each_side_of_each_posting(running: Running) -> None:
    """A deposit and a transfer make entries with balances, counterparties and positions."""
    shard = Shard()
    ann, bob = shard.create(), shard.create()
    deposit = shard.transfer(shard.world(), ann, 1_000)
    shard.commit()
    transfer = shard.transfer(ann, bob, 300)
    record = shard.commit()
    await running.take(shard)
    newest, oldest = await list_all(running, 1, wallet_id=format_id(ann))
    assert newest == api.Entry(
        wallet_id=format_id(ann),
        version=3,
        transaction_id=format_id(transfer.transaction_id),
        side=api.ENTRY_SIDE_DEBIT,
        amount_minor=300,
        posted_after_minor="700",
        currency_code="EUR",
        counterparty_wallet_id=format_id(bob),
        position=Position(shard=0, seq=record.seq),
        create_time=at(shard.time_us),
        exponent=2,
    )
    assert oldest.side == api.ENTRY_SIDE_CREDIT
    assert oldest.transaction_id == format_id(deposit.transaction_id)
    assert oldest.counterparty_wallet_id == "sys:0:world:EUR"
    (world,) = await list_all(running, 10, wallet_id="sys:0:world:EUR")
    assert (world.version, world.posted_after_minor) == (1, "-1000")


async def test_pages_have_no_gap_and_no_duplicate_while_entries_come_in(running: Running) -> None:
    """What is written while somebody pages neither shifts nor doubles what the pages hold."""
    shard = Shard()
    ann = shard.create()
    for _ in range(60):
        shard.transfer(shard.world(), ann, 5)
    shard.commit()
    await running.take(shard)
    taken = len(shard.records)

    async def write() -> None:
        for _ in range(40):
            shard.transfer(shard.world(), ann, 5)
            shard.commit()
            await running.ingest(0, shard.records[taken:])

    writing = asyncio.create_task(write())
    for wallet_id in (format_id(ann), "sys:0:world:EUR"):
        for _ in range(3):
            versions = [e.version for e in await list_all(running, 7, wallet_id=wallet_id)]
            newest, oldest = versions[0], versions[-1]
            assert versions == list(range(newest, oldest - 1, -1))
            assert oldest == (2 if wallet_id == format_id(ann) else 1)
    await writing


@pytest.fixture
def history() -> tuple[Shard, bytes]:
    """Write entries of one wallet over many days, hundreds of them within one, and none on most."""
    rng = random.Random(11)
    shard = Shard(time_us=time.time_ns() // 1_000 - 3 * DAY_US)
    wallet = shard.create()
    for day in (0, 0, 1, 5, 9):
        for _ in range(40 if day == 5 else 3):
            for _ in range(rng.randrange(1, 6)):
                shard.transfer(shard.world(), wallet, rng.randrange(1, 100))
            if rng.random() < 0.3:
                shard.change(wallet, events.WALLET_STATUS_FROZEN)
                shard.change(wallet, events.WALLET_STATUS_ACTIVE)
            shard.commit()
        shard.time_us += day * DAY_US
    return shard, wallet


def edges(shard: Shard, wallet: bytes) -> list[tuple[int, int, int]]:
    """Return time, balance and version of a wallet after each record."""
    posted = version = 0
    found = []
    for record in shard.records:
        message = events.Record.FromString(record.payload)
        for transaction in message.transactions:
            posting = transaction.postings[0]
            posted, version = posting.destination_posted_after, posting.destination_version
        found.append((message.time_us, posted, version))
    return found


async def test_a_balance_at_any_past_moment(running: Running, history: tuple[Shard, bytes]) -> None:
    """Right before, at and after each record, and long before and after all of them."""
    shard, wallet = history
    await running.take(shard)
    after = edges(shard, wallet)
    moments = [(0, 0, 0), *((t + 1, p, v) for t, p, v in after)]
    moments += [(t, p, v) for (_, p, v), (t, _, _) in pairwise(after)]
    for time_us, posted, version in moments:
        request = api.GetBalanceRequest(wallet_id=format_id(wallet), at_time=at(time_us))
        reply = await running.stub.GetBalance(request)
        assert int(reply.posted_minor) == posted
        assert reply.version >= version
    now = await running.stub.GetBalance(api.GetBalanceRequest(wallet_id=format_id(wallet)))
    assert (int(now.posted_minor), now.version) == (after[-1][1], shard.wallets[wallet].version)
    assert (now.currency_code, now.exponent) == ("EUR", 2)
    assert now.position == Position(shard=0, seq=len(shard.records))


async def test_entries_between_two_moments(running: Running, history: tuple[Shard, bytes]) -> None:
    """start_time is included, end_time is not, whatever days lie between."""
    shard, wallet = history
    await running.take(shard)
    every = await list_all(running, 50, wallet_id=format_id(wallet))
    times = [time_us for time_us, _, _ in edges(shard, wallet)]
    for start, end in [(0, 3), (2, 30), (5, 5), (20, 41), (40, len(times) - 1)]:
        found = await list_all(
            running,
            9,
            wallet_id=format_id(wallet),
            start_time=at(times[start]),
            end_time=at(times[end]),
        )
        expected = [e for e in every if start + 1 <= e.position.seq <= end]
        assert found == expected


async def test_system_wallets_never_run_backwards(running: Running) -> None:
    """Clocks of two writers may cross; entries keep commit order and rising times."""
    shard = Shard()
    wallet = shard.create()
    for offset_us in (0, 100, 50, 120, 119):
        shard.transfer(shard.world(), wallet, 1)
        shard.commit(START_US + offset_us)
    await running.take(shard)
    for wallet_id in ("sys:0:world:EUR", format_id(wallet)):
        entries = await list_all(running, 2, wallet_id=wallet_id)
        times = [e.create_time.ToMicroseconds() - START_US for e in reversed(entries)]
        assert times == [0, 100, 100, 120, 120]
    request = api.GetBalanceRequest(wallet_id=format_id(wallet), at_time=at(START_US + 101))
    assert (await running.stub.GetBalance(request)).posted_minor == "3"


async def test_transactions_are_those_of_their_homes(running: Running) -> None:
    """Both sides of a transfer across shards list the same transaction, with its state of now."""
    home, away = Shard(0), Shard(1)
    ann, bob, carl = home.create(), away.create(), home.create()
    home.transfer(home.world(), ann, 100)
    home.commit()
    away.commit()
    tx_id = send_across(home, away, ann, bob, 40)
    pending = home.send(ann, bob, 7)
    pending.reference = b"invoice 7"
    home.transfer(ann, carl, 1)
    home.commit()
    back = home.send(ann, bob, 9)
    home.commit()
    intent = away.send_back(back.transaction_id, back.intents[0], ann)
    away.commit()
    home.land(back.transaction_id, intent)
    home.close(back.transaction_id, state=events.TRANSACTION_STATE_RETURNED)
    home.commit()
    await running.take(home, away)

    async def listed(wallet: bytes) -> list[api.JournalTransaction]:
        request = api.ListTransactionsRequest(wallet_id=format_id(wallet))
        return list((await running.stub.ListTransactions(request)).transactions)

    landed = await listed(bob)
    assert [t.transaction.transaction_id for t in landed] == [tx_id]
    assert landed[0].transaction.state == events.TRANSACTION_STATE_COMPLETED
    assert landed[0].transaction.source == ann
    assert landed[0].create_time == at(START_US + 2 * SECOND_US)
    states = [(t.transaction.state, t.entry.amount_minor) for t in await listed(ann)]
    assert states == [
        (events.TRANSACTION_STATE_RETURNED, 9),
        (events.TRANSACTION_STATE_RETURNED, 9),
        (events.TRANSACTION_STATE_COMPLETED, 1),
        (events.TRANSACTION_STATE_PROCESSING, 7),
        (events.TRANSACTION_STATE_COMPLETED, 40),
        (events.TRANSACTION_STATE_COMPLETED, 100),
    ]
    assert (await listed(ann))[3].transaction.reference == b"invoice 7"


async def test_a_landing_whose_home_is_not_here_yet_has_no_transaction(running: Running) -> None:
    """The entry is there; the transaction comes with its home's record."""
    home, away = Shard(0), Shard(1)
    ann, bob = home.create(), away.create()
    home.transfer(home.world(), ann, 100)
    home.commit()
    away.commit()
    send_across(home, away, ann, bob, 40)
    await running.take(away)
    request = api.ListTransactionsRequest(wallet_id=format_id(bob))
    (found,) = (await running.stub.ListTransactions(request)).transactions
    assert found.entry.amount_minor == 40
    assert not found.HasField("transaction")
    await running.take(home)
    (found,) = (await running.stub.ListTransactions(request)).transactions
    assert found.transaction.source == ann


async def test_the_trial_balance_sums_to_zero(running: Running) -> None:
    """Customers and each system wallet have a line per shard and currency."""
    first, second = Shard(0), Shard(1)
    ann, bob, jun = first.create(), second.create(), first.create("JPY")
    first.transfer(first.world(), ann, 1_000)
    first.transfer(first.world("JPY"), jun, 500)
    first.transfer(jun, first.world("JPY"), 100)
    first.commit()
    second.commit()
    send_across(first, second, ann, bob, 250)
    await running.take(first, second)
    reply = await running.stub.GetTrialBalance(api.GetTrialBalanceRequest())
    lines = {
        (line.shard, line.currency_code, line.account): (
            *(line.debit_minor, line.credit_minor, line.net_minor, line.wallets),
        )
        for line in reply.lines
    }
    assert lines == {
        (0, "EUR", "customers"): ("250", "1000", "750", 1),
        (0, "EUR", "transit"): ("0", "250", "250", 1),
        (0, "EUR", "world"): ("1000", "0", "-1000", 1),
        (0, "JPY", "customers"): ("100", "500", "400", 1),
        (0, "JPY", "world"): ("500", "100", "-400", 1),
        (1, "EUR", "customers"): ("0", "250", "250", 1),
        (1, "EUR", "transit"): ("250", "0", "-250", 1),
    }
    assert reply.balanced
    assert list(reply.positions) == [Position(shard=0, seq=3), Position(shard=1, seq=2)]
    one = await running.stub.GetTrialBalance(api.GetTrialBalanceRequest(shard=1))
    assert {line.shard for line in one.lines} == {1}
    await running.sql("UPDATE accounts SET posted=posted+1 LIMIT 1")
    reply = await running.stub.GetTrialBalance(api.GetTrialBalanceRequest())
    assert not reply.balanced


async def test_a_read_waits_for_its_position(running: Running) -> None:
    """min_position gives read-your-writes, even for a wallet that is not here yet."""
    shard = Shard()
    ann = shard.create()
    shard.transfer(shard.world(), ann, 10)
    shard.commit()
    request = api.GetBalanceRequest(wallet_id=format_id(ann), min_position=Position(shard=0, seq=1))
    reading = asyncio.ensure_future(running.stub.GetBalance(request, timeout=10))
    await asyncio.sleep(0.1)
    assert not reading.done()
    await running.take(shard)
    assert (await reading).posted_minor == "10"


async def test_a_position_that_does_not_come_ends_with_the_deadline(running: Running) -> None:
    """The wait is bounded by the caller's time."""
    shard = Shard()
    ann = shard.create()
    shard.commit()
    await running.take(shard)
    request = api.ListEntriesRequest(
        wallet_id=format_id(ann), min_position=Position(shard=0, seq=2)
    )
    with pytest.raises(grpc.aio.AioRpcError) as late:
        await running.stub.ListEntries(request, timeout=0.3)
    assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def malformed(wallet: str) -> list[tuple[str, Message, str]]:
    """Return calls with one malformed field each, and its name."""
    entries, balance = api.ListEntriesRequest, api.GetBalanceRequest
    elsewhere = Position(shard=3, seq=1)
    return [
        ("ListEntries", entries(wallet_id="x"), "wallet_id"),
        ("GetBalance", balance(), "wallet_id"),
        ("GetBalance", balance(wallet_id="sys:0:moon:EUR"), "wallet_id"),
        ("GetBalance", balance(wallet_id=wallet.upper()), "wallet_id"),
        ("ListEntries", entries(wallet_id=wallet, page_size=1_001), "page_size"),
        (
            "ListTransactions",
            api.ListTransactionsRequest(wallet_id=wallet, page_size=-1),
            "page_size",
        ),
        ("ListEntries", entries(wallet_id=wallet, page_token="abc!"), "page_token"),
        ("GetBalance", balance(wallet_id=wallet, at_time=Timestamp(nanos=-1)), "at_time"),
        (
            "GetBalance",
            balance(wallet_id=wallet, min_position=elsewhere),
            "min_position.shard",
        ),
    ]


async def test_malformed_requests_name_their_field(running: Running) -> None:
    """Each is INVALID_ARGUMENT with INVALID_FIELD, and the field in its metadata."""
    shard = Shard()
    ann = shard.create()
    shard.commit()
    await running.take(shard)
    for method, request, field in malformed(format_id(ann)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(running.stub, method)(request, timeout=5)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, request
        info = info_of(refused.value)
        assert (info.reason, info.metadata["field"]) == ("INVALID_FIELD", field)


async def test_a_page_token_fits_only_its_query(running: Running) -> None:
    """A token of another wallet, another time range or another list is refused."""
    shard = Shard()
    ann, bob = shard.create(), shard.create()
    for _ in range(3):
        shard.transfer(shard.world(), ann, 1)
        shard.transfer(shard.world(), bob, 1)
    shard.commit()
    await running.take(shard)
    query = {"wallet_id": format_id(ann), "page_size": 1}
    page = await running.stub.ListEntries(api.ListEntriesRequest(**query))  # type: ignore[arg-type]
    token = page.next_page_token
    others = [
        ("ListEntries", api.ListEntriesRequest(wallet_id=format_id(bob), page_token=token)),
        (
            "ListEntries",
            api.ListEntriesRequest(
                wallet_id=format_id(ann), page_token=token, start_time=at(START_US)
            ),
        ),
        (
            "ListTransactions",
            api.ListTransactionsRequest(wallet_id=format_id(ann), page_token=token),
        ),
    ]
    for method, request in others:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(running.stub, method)(request)
        assert reason_of(refused.value) == "INVALID_FIELD"
    larger = api.ListEntriesRequest(wallet_id=format_id(ann), page_size=50, page_token=token)
    assert len((await running.stub.ListEntries(larger)).entries) == 2


async def test_an_unknown_wallet_is_not_found(running: Running) -> None:
    """Reads of a wallet that no record names say so."""
    unknown = format_id(new_id(1))
    for call, request in (
        (running.stub.ListEntries, api.ListEntriesRequest(wallet_id=unknown)),
        (running.stub.ListTransactions, api.ListTransactionsRequest(wallet_id=unknown)),
        (running.stub.GetBalance, api.GetBalanceRequest(wallet_id="sys:0:world:EUR")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request)
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND
        assert reason_of(refused.value) == "WALLET_NOT_FOUND"


async def test_an_unknown_shard_is_not_found(running: Running) -> None:
    """Nothing has come in of it, and no wallet service serves it."""
    for call, request in (
        (running.stub.GetTrialBalance, api.GetTrialBalanceRequest(shard=9)),
        (running.stub.VerifyChain, api.VerifyChainRequest(shard=9)),
        (running.stub.Reconcile, api.ReconcileRequest(shard=9)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request)
        assert reason_of(refused.value) == "SHARD_NOT_FOUND"
