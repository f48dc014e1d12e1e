"""The outbox forgets what every sink has for good, and nothing else, whatever becomes of sinks."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import structlog

from tests.wallet.ingest_sink import IngestSink
from tests.wallet.relaying import has, is_fenced, relaying, until
from tests.wallet.shard_sql import append, query, stream_of
from wallet.relay import purge, tail
from wallet.relay.feed import Feed
from wallet.relay.lag import Lag
from wallet.relay.outbox import Outbox, Position
from wallet.relay.purge import CHUNK_RECORDS, MAX_CHUNKS, Purge, UnsureError
from wallet.relay.tail import Tail, TailLostError
from walletkit.chain import genesis_hash

HOUR_US = 3_600 * 1_000_000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, and take what a sink has for settled at the next look."""
    monkeypatch.setattr(purge, "PERIOD_S", 0.05)
    monkeypatch.setattr(purge, "SOON_S", 0.01)
    monkeypatch.setattr(purge, "SETTLE_S", 0)


async def kept(url: str) -> list[int]:
    """List what the outbox holds."""
    return [seq for (seq,) in await query(url, "SELECT seq FROM outbox ORDER BY seq")]


async def only_the_last(url: str, last: int) -> None:
    """Wait until all but the last record is gone."""

    async def is_so() -> bool:
        return await kept(url) == [last]

    await until(is_so)


async def feed_by_hand(url: str, sink: IngestSink, count: int) -> None:
    """Let a sink have the first records of shard 0, without a relay."""
    hashes = [hash_ for _, hash_ in (await stream_of(url))[:count]]
    sink.hashes[0] = [genesis_hash(0), *hashes]


@asynccontextmanager
async def purge_of(url: str, *sinks: IngestSink, hours: int = 0) -> AsyncIterator[Purge]:
    """Make what a relay runs for shard 0; its rounds are the test's."""
    clients = [replace(sink.client(), name=f"sink-{n}") for n, sink in enumerate(sinks)]
    outbox = Outbox(url, 0, durable=True)
    try:
        yield Purge(outbox, clients, hours)
    finally:
        outbox.close()
        for client in clients:
            await client.channel.close()


async def test_what_all_sinks_have_goes_and_the_last_record_stays(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """Both shards; what comes afterwards is relayed as ever, by the next relay too."""
    await append(urls[0], 250)
    await append(urls[1], 3)
    async with relaying(urls, *sinks, retention_hours=0):
        await only_the_last(urls[0], 250)
        await only_the_last(urls[1], 3)
        await append(urls[0], 5)
        await only_the_last(urls[0], 255)
    async with relaying(urls, *sinks, retention_hours=0):
        await append(urls[0], 5)
        for sink in sinks:
            await until(has(sink, 0, 260))
            await until(has(sink, 1, 3))
        await only_the_last(urls[0], 260)


async def test_records_stay_for_their_time(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """By the shard's clock: those of three hours ago go, those of an hour ago wait for theirs."""
    now_us = time.time_ns() // 1_000
    await append(urls[0], CHUNK_RECORDS, time_us=now_us - 3 * HOUR_US)
    await append(urls[0], CHUNK_RECORDS, time_us=now_us - HOUR_US)
    for sink in sinks:
        await feed_by_hand(urls[0], sink, 2 * CHUNK_RECORDS)
    async with purge_of(urls[0], *sinks, hours=2) as purging:
        for _ in range(3):
            await purging.round()
        assert await kept(urls[0]) == list(range(CHUNK_RECORDS + 1, 2 * CHUNK_RECORDS + 1))


@pytest.mark.parametrize("trouble", ["down", "hangs"])
async def test_a_sink_that_lacks_records_keeps_them(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink], trouble: str
) -> None:
    """As long as it is away, or acknowledges nothing; when it is back they reach it, and go."""
    first, second = sinks
    if trouble == "hangs":
        second.free.clear()
    else:
        await second.stop()
    await append(urls[0], 150)
    async with relaying(urls[:1], *sinks, retention_hours=0):
        await until(has(first, 0, 150))
        await asyncio.sleep(0.5)
        assert await kept(urls[0]) == list(range(1, 151))
        if trouble == "hangs":
            second.free.set()
        else:
            await second.start()
        await until(has(second, 0, 150))
        await only_the_last(urls[0], 150)
    assert first.taken(0) == second.taken(0)


async def test_a_sink_that_was_just_restored_keeps_what_it_lost(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """It is asked each time, so what it once acknowledged does not count any more."""
    first, second = sinks
    await append(urls[0], 40)
    for sink in sinks:
        await feed_by_hand(urls[0], sink, 40)
    async with purge_of(urls[0], *sinks) as purging:
        await purging.round()
        await feed_by_hand(urls[0], second, 17)
        for _ in range(3):
            await purging.round()
        assert (await kept(urls[0]))[0] == 18
    async with relaying(urls[:1], *sinks, retention_hours=0):
        await until(has(second, 0, 40))
        await only_the_last(urls[0], 40)
    assert first.taken(0) == second.taken(0)


async def test_what_was_acknowledged_just_now_may_be_lost_again(
    urls: tuple[str, ...],
    sinks: tuple[IngestSink, IngestSink],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Redis that crashed is back by a second: those records have not settled."""
    monkeypatch.setattr(purge, "SETTLE_S", 1)
    await append(urls[0], 20)
    for sink in sinks:
        await feed_by_hand(urls[0], sink, 20)
    async with purge_of(urls[0], *sinks) as purging:
        await purging.round()
        assert len(await kept(urls[0])) == 20
        await feed_by_hand(urls[0], sinks[1], 15)
        await purging.round()
        await asyncio.sleep(1.1)
        await purging.round()
        assert (await kept(urls[0]))[0] == 16


@pytest.mark.parametrize("position", ["ahead", "different"])
async def test_a_sink_with_another_history_stops_it(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink], position: str
) -> None:
    """Nothing is deleted before somebody has looked which of them is right."""
    await append(urls[0], 10)
    for sink in sinks:
        await feed_by_hand(urls[0], sink, 10)
    hashes = sinks[1].hashes[0]
    sinks[1].hashes[0] = [*hashes, bytes(32)] if position == "ahead" else [*hashes[:5], bytes(32)]
    async with purge_of(urls[0], *sinks) as purging:
        for _ in range(3):
            with pytest.raises(UnsureError, match=f"sink-1 is {position}"):
                await purging.round()
        assert len(await kept(urls[0])) == 10


async def test_a_sink_behind_the_oldest_record_is_refused_and_told(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """It is fed nothing, the gap does not grow, and the log says from where to where it is."""
    fed, late = sinks
    await append(urls[0], 30)
    await feed_by_hand(urls[0], fed, 30)
    await feed_by_hand(urls[0], late, 9)
    lost = await query(urls[0], "SELECT seq,prev_hash,hash,HEX(payload) FROM outbox WHERE seq<20")
    await query(urls[0], "DELETE FROM outbox WHERE seq<20")
    with structlog.testing.capture_logs() as lines:
        async with relaying(urls[:1], *sinks, retention_hours=0):
            await until(lambda: any("gap" in line["event"] for line in lines))
            await until(lambda: any("not purged" in line["event"] for line in lines))
            await append(urls[0], 5)
            await until(has(fed, 0, 35))
            assert has(late, 0, 9)()
    (gap,) = [line for line in lines if "gap" in line["event"]]
    assert "the sink has 9, the oldest record kept is 20" in gap["error"]
    assert (await kept(urls[0]))[0] == 20
    assert not await is_fenced(urls[0])
    # The way back: what the outbox has lost is put into it again, from wherever it was kept.
    for seq, prev_hash, hash_, payload in lost:
        values = f"{seq},x'{prev_hash.hex()}',x'{hash_.hex()}',x'{payload}'"
        await query(urls[0], f"INSERT INTO outbox(seq,prev_hash,hash,payload) VALUES ({values})")
    async with relaying(urls[:1], *sinks, retention_hours=0):
        await until(has(late, 0, 35))
        await only_the_last(urls[0], 35)
    assert late.taken(0) == fed.taken(0)


async def test_two_relays_purge_without_harm(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """Every record reached every sink, and neither relay has anything to complain of."""
    with structlog.testing.capture_logs() as lines:
        async with (
            relaying(urls[:1], *sinks, retention_hours=0),
            relaying(urls[:1], *sinks, retention_hours=0),
        ):
            for _ in range(4):
                await asyncio.gather(*[append(urls[0], 60) for _ in range(2)])
            for sink in sinks:
                await until(has(sink, 0, 480))
            await only_the_last(urls[0], 480)
    assert sinks[0].taken(0) == sinks[1].taken(0)
    assert not {line["event"] for line in lines if line["log_level"] != "info"}


async def test_what_another_relay_has_purged_is_no_gap(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A feed that is behind asks its sink where it stands, and a tail that slept begins anew."""
    monkeypatch.setattr(tail, "BUSY_POLL_S", 1.0)
    monkeypatch.setattr(tail, "IDLE_POLL_S", 1.0)
    await append(urls[0], 10)
    tailing = Tail(Outbox(urls[0], 0, durable=True))
    outbox = Outbox(urls[0], 0, durable=True)
    sink = sinks[0].client()
    feed = Feed(sink, tailing, outbox, Lag(0, sink.name))
    with structlog.testing.capture_logs() as lines:
        polling = asyncio.create_task(tailing.run())
        generation = await tailing.connected()
        at = Position(2, (await stream_of(urls[0]))[1][1])
        await query(urls[0], "DELETE FROM outbox WHERE seq<6")
        with pytest.raises(TailLostError):
            await feed._next(at, generation, 10)
        await append(urls[0], 5)
        await query(urls[0], "DELETE FROM outbox WHERE seq<13")
        await until(lambda: any("reading anew" in line["event"] for line in lines))
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
    outbox.close()
    assert {line["log_level"] for line in lines} == {"info"}


async def test_a_record_that_is_missing_in_the_middle_is_not_purged(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """It is told for what it is, and the sink gets nothing from behind it."""
    await append(urls[0], 9)
    await query(urls[0], "DELETE FROM outbox WHERE seq=5")
    with structlog.testing.capture_logs() as lines:
        async with relaying(urls[:1], *sinks):
            await until(lambda: any("does not continue" in line["event"] for line in lines))
    assert not sinks[0].taken(0)


async def test_the_outbox_stays_small_under_constant_load(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """However much goes through it, its file stays at a few lots: freed pages are used anew."""
    lots, records, size = 40, 50, 20_000
    async with relaying(urls[:1], *sinks, retention_hours=0):
        for lot in range(1, lots + 1):
            await append(urls[0], records, size=size)
            # In step with the purge: how far a free run gets ahead of it is the machine's affair.
            await only_the_last(urls[0], lot * records)
        for sink in sinks:
            await until(has(sink, 0, lots * records))
    ((taken,),) = await query(
        urls[0],
        "ANALYZE TABLE outbox; SELECT data_length FROM information_schema.tables"
        " WHERE table_schema=DATABASE() AND table_name='outbox'",
    )
    assert taken < lots * records * size / 2


async def test_a_round_is_bounded(
    urls: tuple[str, ...],
    sinks: tuple[IngestSink, IngestSink],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So the sinks are asked again after so many, and the rest follows in the next ones."""
    assert CHUNK_RECORDS * MAX_CHUNKS == 5_000
    monkeypatch.setattr(purge, "MAX_CHUNKS", 3)
    monkeypatch.setattr(purge, "CHUNK_RECORDS", 10)
    await append(urls[0], 75)
    for sink in sinks:
        await feed_by_hand(urls[0], sink, 75)
    async with purge_of(urls[0], *sinks) as purging:
        assert not await purging.round()
        assert await purging.round()
        assert (await kept(urls[0]))[0] == 31
        assert await purging.round()
        assert not await purging.round()
        assert await kept(urls[0]) == [75]
