"""Every record reaches every sink, once, in the order of commits, whatever stops or refuses."""

import asyncio

import pytest
import structlog

from tests.wallet.ingest_sink import IngestSink
from tests.wallet.relaying import has, is_fenced, relaying, until
from tests.wallet.shard_sql import append, query, stream_of
from wallet.relay import feed, tail
from walletkit.errors import ServiceError


async def test_records_arrive_in_order_at_every_sink(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """Those from before the relay and those that come while it runs, of both shards."""
    await append(urls[0], 150)
    async with relaying(urls, *sinks):
        await append(urls[1], 40)
        await append(urls[0], 50)
        for sink in sinks:
            await until(has(sink, 0, 200))
            await until(has(sink, 1, 40))
        for shard, url in enumerate(urls):
            expected = await stream_of(url)
            assert [sink.taken(shard) for sink in sinks] == [expected, expected]
    # Many records went into one message.
    assert sinks[0].messages < 100


async def test_a_writer_at_work_is_followed(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """Several writers on one shard, each record visible at its COMMIT: no gap, no reordering."""
    async with relaying(urls[:1], *sinks):
        await asyncio.gather(*[append(urls[0], 60) for _ in range(4)])
        for sink in sinks:
            await until(has(sink, 0, 240))
            assert sink.taken(0) == await stream_of(urls[0])


async def test_a_sink_that_was_away_goes_on_where_it_was(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """What was committed meanwhile follows, more than is kept in memory included."""
    first, second = sinks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tail, "TAIL_ROWS", 10)
        async with relaying(urls[:1], *sinks):
            await append(urls[0], 30)
            await until(has(first, 0, 30))
            await first.stop()
            await append(urls[0], 200)
            await until(has(second, 0, 230))
            assert has(first, 0, 30)()
            await first.start()
            await until(has(first, 0, 230))
            await append(urls[0], 5)
            await until(has(first, 0, 235))
            assert first.taken(0) == await stream_of(urls[0])


async def test_a_relay_that_is_started_again_sends_only_what_is_missing(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """The position lies at the sink, so a relay keeps nothing."""
    sink = sinks[0]
    await append(urls[0], 20)
    async with relaying(urls[:1], sink):
        await until(has(sink, 0, 20))
    messages = sink.messages
    async with relaying(urls[:1], sink):
        await append(urls[0], 1)
        await until(has(sink, 0, 21))
    assert sink.messages == messages + 1


async def test_a_sink_that_hangs_holds_nobody(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """One acknowledges nothing, one is gone: the third gets everything at once."""
    hanging, gone = sinks
    hanging.free.clear()
    await gone.stop()
    healthy = IngestSink(window=7)
    await healthy.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tail, "TAIL_ROWS", 10)
        async with relaying(urls[:1], hanging, gone, healthy):
            await append(urls[0], 120)
            await until(has(healthy, 0, 120))
            assert has(hanging, 0, 0)()
            hanging.free.set()
            await until(has(hanging, 0, 120))
    await healthy.stop()
    # The window of the contract is kept.
    assert healthy.most_unacknowledged <= 7


async def test_a_refusal_is_reported_and_tried_again(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is never skipped, and the other sink goes on."""
    refusing, other = sinks
    refusing.refusal = ServiceError("JOURNAL_MISMATCH", "no")
    monkeypatch.setattr(feed, "REFUSED_RETRY_S", 0.2)
    await append(urls[0], 5)
    with structlog.testing.capture_logs() as lines:
        async with relaying(urls[:1], refusing, other):
            await until(has(other, 0, 5))
            await until(lambda: refusing.openings > 2)
            assert has(refusing, 0, 0)()
            refusing.refusal = None
            await until(has(refusing, 0, 5))
    reasons = {line.get("reason") for line in lines if line["log_level"] == "critical"}
    assert reasons == {"JOURNAL_MISMATCH"}


async def test_purged_records_are_a_gap_and_never_skipped(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """A sink that came back too late is told about, not fed with a hole."""
    await append(urls[0], 5)
    await query(urls[0], "DELETE FROM outbox WHERE seq<=2")
    with structlog.testing.capture_logs() as lines:
        async with relaying(urls[:1], sinks[0]):
            await until(lambda: any("gap" in line["event"] for line in lines))
            assert has(sinks[0], 0, 0)()
    assert not await is_fenced(urls[0])


async def test_two_relays_do_no_harm(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """Both send everything; each record is taken once, and no shard is fenced."""
    async with relaying(urls[:1], *sinks), relaying(urls[:1], *sinks):
        await append(urls[0], 100)
        for sink in sinks:
            await until(has(sink, 0, 100))
            assert sink.taken(0) == await stream_of(urls[0])
    assert not await is_fenced(urls[0])


async def test_a_shard_that_comes_later_is_relayed(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """A database that is down concerns its own shard alone, and only while it is."""
    await append(urls[0], 5)
    await append(urls[1], 5)
    await query(urls[0], "RENAME TABLE head TO mislaid")
    async with relaying(urls, sinks[0]):
        await until(has(sinks[0], 1, 5))
        assert has(sinks[0], 0, 0)()
        await query(urls[0], "RENAME TABLE mislaid TO head")
        await until(has(sinks[0], 0, 5))


async def test_large_records_go_through_in_small_messages(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """A message stays below what gRPC takes, however large the records are."""
    await append(urls[0], 8, size=900_000)
    async with relaying(urls[:1], sinks[0]):
        await until(has(sinks[0], 0, 8))
        await append(urls[0], 3, size=900_000)
        await until(has(sinks[0], 0, 11))
    assert sinks[0].taken(0) == await stream_of(urls[0])
