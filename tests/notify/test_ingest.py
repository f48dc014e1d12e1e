"""Ingest: in order, checked, each record once."""

import random

import grpc.aio
import pytest
import zstandard

from guilder.events.v1 import record_pb2 as ev
from guilder.notify.v1 import notify_service_pb2 as pb
from notify.domain.cursor import decode
from notify.settings import Settings
from tests.notify.world import Client, Shard, reason_of, running
from walletkit.chain import genesis_hash

MAGIC = bytes.fromhex("28b52ffd")


async def test_first_answer_is_genesis(notify: Client) -> None:
    """A stream opened for an unknown shard stands at 0 and the shard's genesis hash."""
    answer = await notify.position(3)
    assert (answer.seq, answer.hash) == (0, genesis_hash(3))
    assert answer.window == 256


async def test_records_are_taken_once(notify: Client) -> None:
    """Records sent again are acknowledged and change nothing; the position survives the stream."""
    shard = Shard()
    for _ in range(5):
        shard.commit(shard.deposit(shard.wallet()))
    assert (await notify.relay(0, shard.records)).seq == 5
    answer = await notify.relay(0, shard.records)
    assert (answer.seq, answer.hash) == (5, shard.hash)
    assert (await notify.position(0)).seq == 5


async def test_gap_is_refused(notify: Client) -> None:
    """A record that leaves one out is refused, and all before it are kept."""
    shard = Shard()
    for _ in range(4):
        shard.commit()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await notify.relay(0, [shard.records[0], shard.records[2]])
    assert reason_of(caught.value) == ("RECORD_GAP", {"shard": "0", "seq": "3", "head": "1"})
    assert (await notify.position(0)).seq == 1


@pytest.mark.parametrize("field", ["payload", "hash", "prev_hash"])
async def test_tampered_record_is_refused(notify: Client, field: str) -> None:
    """A changed byte anywhere in a record breaks the chain, and nothing of it is kept."""
    shard = Shard()
    shard.commit()
    record = shard.commit(shard.deposit(shard.wallet()))
    tampered = ev.SequencedRecord()
    tampered.CopyFrom(record)
    value = bytearray(getattr(record, field))
    value[-1] ^= 1
    setattr(tampered, field, bytes(value))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await notify.relay(0, [shard.records[0], tampered])
    assert reason_of(caught.value)[0] == "CHAIN_BROKEN"
    assert (await notify.relay(0, shard.records)).seq == 2


async def test_other_record_at_head_is_refused(notify: Client) -> None:
    """Another record with the seq of the last one is a conflict, not a repetition."""
    shard, other = Shard(), Shard()
    shard.commit(shard.deposit(shard.wallet()))
    other.commit(other.deposit(other.wallet()))
    await notify.relay(0, shard.records)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await notify.relay(0, other.records)
    assert reason_of(caught.value)[0] == "RECORD_CONFLICT"


async def test_unknown_version_is_refused(notify: Client) -> None:
    """A record of a newer format stops the stream, and is never skipped."""
    shard = Shard()
    shard.commit()
    shard.commit(version=2)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await notify.relay(0, shard.records)
    reason, metadata = reason_of(caught.value)
    assert reason == "RECORD_VERSION_UNKNOWN"
    assert metadata["version"] == "2"
    assert (await notify.position(0)).seq == 1


@pytest.mark.parametrize("broken", [b"", b"\0" * 40, zstandard.compress(bytes(9_000_000))])
async def test_broken_frame_is_refused(notify: Client, broken: bytes) -> None:
    """A record that can't be unpacked, or claims too much, stops the stream before it is kept."""
    shard = Shard()
    shard.commit()
    shard.seal(broken if broken.startswith(MAGIC) else MAGIC + broken)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await notify.relay(0, shard.records)
    assert reason_of(caught.value)[0] == "RECORD_VERSION_UNKNOWN"
    assert (await notify.position(0)).seq == 1


async def test_shard_may_not_change(notify: Client) -> None:
    """A message for another shard than the first one's ends the stream."""
    call = notify.stub.Ingest()
    await call.write(pb.IngestRequest(shard=0))
    await call.read()
    await call.write(pb.IngestRequest(shard=1))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_two_relays_of_one_shard(notify: Client) -> None:
    """Two streams that send the same records at once leave each record taken once."""
    shard = Shard()
    for _ in range(30):
        shard.commit(shard.deposit(shard.wallet()))
    calls = [notify.stub.Ingest() for _ in range(2)]
    for call in calls:
        await call.write(pb.IngestRequest(shard=0))
        await call.read()
    for record in shard.records:
        for call in calls:
            await call.write(pb.IngestRequest(shard=0, records=[record]))
    for call in calls:
        await call.done_writing()
        last = None
        while isinstance(answer := await call.read(), pb.IngestResponse):
            last = answer.seq
        assert last == 30
    assert (await notify.position(0)).hash == shard.hash


async def test_kept_records_are_bounded(migrated: Settings) -> None:
    """The oldest records go, by number and by bytes; the last one stays whatever its size."""
    small = migrated.model_copy(update={"kept_records": 10, "kept_bytes": 2**20})
    async with running(small) as client:
        shard = Shard()
        for _ in range(25):
            shard.commit()
        await client.send(shard)
        assert await _kept(client) == 10
        big = shard.transfer(shard.wallet(), shard.wallet())
        big.opaque = random.randbytes(2**20)
        shard.commit(big)
        await client.send(shard)
        assert await _kept(client) == 1


async def _kept(client: Client) -> int:
    """Count records that a watch from the oldest on goes through, by where it begins."""
    head = (await client.position(0)).seq
    call = client.stub.Watch(pb.WatchRequest(cursor="0"))
    first = await call.read()
    call.cancel()
    assert isinstance(first, pb.WatchResponse)
    return head - decode(first.cursor)[0].seq
