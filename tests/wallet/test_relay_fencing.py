"""A sink with another history: the ledger stops the shard, any other sink only itself."""

from collections.abc import MutableMapping, Sequence
from typing import Any

import grpc.aio
import pytest
import structlog
from asyncmy.errors import IntegrityError

from tests.wallet.ingest_sink import IngestSink
from tests.wallet.relaying import has, is_fenced, relaying, until
from tests.wallet.shard_sql import append, query, stream_of
from wallet.relay import feed
from wallet.relay.sinks import ledger, notify
from walletkit.chain import genesis_hash


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a feed look and try again soon."""
    monkeypatch.setattr(feed, "REFUSED_RETRY_S", 0.1)
    monkeypatch.setattr(feed, "RECHECK_PAUSE_S", 0.02)


def criticals(lines: Sequence[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    """Return the lines that page somebody."""
    return [line for line in lines if line["log_level"] == "critical"]


@pytest.mark.parametrize("position", ["ahead", "other", "other at head", "other genesis"])
async def test_a_sink_with_another_history_fences_the_shard(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink], position: str
) -> None:
    """No writer goes on; the other shard and the other sink are not concerned."""
    stray, sane = sinks
    await append(urls[0], 5)
    await append(urls[1], 3)
    hashes = [genesis_hash(0), *[hash_ for _, hash_ in await stream_of(urls[0])]]
    stray.hashes[0] = {
        "ahead": [*hashes, bytes(32)],
        "other": [*hashes[:3], bytes(32)],
        "other at head": [*hashes[:5], bytes(32)],
        "other genesis": [genesis_hash(1)],
    }[position]
    before = len(stray.hashes[0])
    with structlog.testing.capture_logs() as lines:
        async with relaying(urls, stray, sane):
            await until(lambda: is_fenced(urls[0]))
            await until(has(sane, 0, 5))
            await until(has(sane, 1, 3))
            await until(has(stray, 1, 3))
            with pytest.raises(IntegrityError):
                await append(urls[0], 1)
    assert len(stray.hashes[0]) == before
    assert not await is_fenced(urls[1])
    assert await query(urls[0], "SELECT seq,epoch FROM head") == [(5, 2)]
    (line,) = criticals(lines)
    assert (line["shard"], line["sink"], line["head_seq"]) == (0, "sink-0", 5)
    assert line["sink_seq"] == before - 1


async def test_a_fenced_shard_is_not_fenced_again(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """A relay that comes later finds it fenced; the epoch says how often it happened."""
    sinks[0].hashes[0] = [genesis_hash(0), bytes(32)]
    for _ in range(2):
        with structlog.testing.capture_logs() as lines:
            async with relaying(urls[:1], sinks[0]):
                await until(lambda: any("fenced_now" in line for line in lines))
    assert await query(urls[0], "SELECT epoch FROM head") == [(2,)]


async def test_a_shard_that_lost_records_while_relaying_is_fenced(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink]
) -> None:
    """A failover to a database that lacks the last records shows as soon as it is read anew."""
    await append(urls[0], 10)
    history = "SELECT seq,prev_hash,hash FROM outbox WHERE seq=8"
    async with relaying(urls[:1], sinks[0]):
        await until(has(sinks[0], 0, 10))
        ((seq, prev_hash, hash_),) = await query(urls[0], history)
        await query(
            urls[0],
            "DELETE FROM outbox WHERE seq>8;"
            f"UPDATE head SET seq={seq},prev_hash=x'{prev_hash.hex()}',hash=x'{hash_.hex()}'",
        )
        await append(urls[0], 4)
        await until(lambda: is_fenced(urls[0]))


async def test_only_the_ledger_may_fence() -> None:
    """Where notify and its Redis stand never decides whether money moves."""
    for describe, may_fence in ((ledger, True), (notify, False)):
        sink = describe(grpc.aio.insecure_channel("127.0.0.1:1"))
        assert sink.may_fence is may_fence
        await sink.channel.close()


@pytest.mark.parametrize("position", ["ahead", "other"])
async def test_a_sink_that_may_not_fence_is_reported_and_tried_again(
    urls: tuple[str, ...],
    sinks: tuple[IngestSink, IngestSink],
    quick: None,
    position: str,
) -> None:
    """The shard goes on, one line says what differs, and the sink is served once it is right."""
    stray = sinks[0]
    await append(urls[0], 5)
    right = [genesis_hash(0), *[hash_ for _, hash_ in await stream_of(urls[0])]]
    strayed = {"ahead": [*right, *[bytes(32)] * 900], "other": [*right[:3], bytes(32)]}[position]
    stray.hashes[0] = list(strayed)
    with structlog.testing.capture_logs() as lines:
        async with relaying(urls[:1], stray, may_fence=False):
            await until(lambda: stray.openings >= 2)
            # That the shard has moved on is no news.
            await append(urls[0], 3)
            tried = stray.openings
            await until(lambda: stray.openings >= tried + 3)
            assert stray.hashes[0] == strayed
            (line,) = criticals(lines)
            stray.hashes[0] = right[:3]
            await until(has(stray, 0, 8))
    assert stray.taken(0) == await stream_of(urls[0])
    assert await query(urls[0], "SELECT DISTINCT state FROM slots") == [(1,)]
    assert await query(urls[0], "SELECT epoch FROM head") == [(1,)]
    assert (line["sink_seq"], line["head_seq"]) == (len(strayed) - 1, 5)
    assert line["fenced_now"] is False
    assert len(criticals(lines)) == 1


async def test_a_feed_comes_back_after_the_repair(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink], quick: None
) -> None:
    """Whoever puts the sink right and makes the slots active again needs no new relay."""
    stray = sinks[0]
    await append(urls[0], 5)
    right = [genesis_hash(0), *[hash_ for _, hash_ in await stream_of(urls[0])]]
    stray.hashes[0] = [*right, bytes(32)]
    with structlog.testing.capture_logs() as lines:
        async with relaying(urls[:1], stray):
            await until(lambda: is_fenced(urls[0]))
            await until(lambda: stray.openings >= 4)
            # Tried again and again, fenced and reported once.
            assert len(criticals(lines)) == 1
            stray.hashes[0] = right[:4]
            # What was committed before the fence arrives although the shard is still stopped.
            await until(has(stray, 0, 5))
            await query(urls[0], "UPDATE slots SET state=1")
            await append(urls[0], 3, epoch=2)
            await until(has(stray, 0, 8))
    assert stray.taken(0) == await stream_of(urls[0])
    assert not await is_fenced(urls[0])
    assert len(criticals(lines)) == 1


async def test_a_shard_that_is_freed_before_the_repair_is_fenced_again(
    urls: tuple[str, ...], sinks: tuple[IngestSink, IngestSink], quick: None
) -> None:
    """Active slots alone repair nothing: while the ledger is ahead, no writer may go on."""
    await append(urls[0], 5)
    sinks[0].hashes[0] = [genesis_hash(0), *[bytes(32)] * 9]
    with structlog.testing.capture_logs() as lines:
        async with relaying(urls[:1], sinks[0]):
            await until(lambda: is_fenced(urls[0]))
            await query(urls[0], "UPDATE slots SET state=1")
            await until(lambda: is_fenced(urls[0]))
            tried = sinks[0].openings
            await until(lambda: sinks[0].openings >= tried + 2)
    assert await query(urls[0], "SELECT epoch FROM head") == [(3,)]
    assert [line["fenced_now"] for line in criticals(lines)] == [True, True]
