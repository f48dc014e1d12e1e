"""Packed records: taken in and proved like others, refused where their frame is broken."""

from collections.abc import Callable

import pytest
import zstandard

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as api
from tests.ledger.listing import list_all
from tests.ledger.running import Running
from tests.ledger.shards import Shard
from tests.ledger.test_ingest import verified
from walletkit.ids import format_id
from walletkit.payload import MAX_RECORD_BYTES, pack

MAGIC = bytes.fromhex("28b52ffd")


class PackingShard(Shard):
    """A shard that packs its records, from some moment on."""

    packs = True

    def seal(self, payload: bytes) -> events.SequencedRecord:
        """Give a record, packed, the next place in the chain."""
        return super().seal(pack(payload) if self.packs else payload)


def commit_transfers(shard: Shard, records: int, first: list[bytes]) -> None:
    """Move money in a circle, three transfers a record."""
    for _ in range(records):
        for k in range(3):
            shard.transfer(first[k], first[(k + 1) % 3], 5)
        shard.commit()


def funded(shard: Shard) -> list[bytes]:
    """Create three wallets and pay something into each."""
    wallets = [shard.create() for _ in range(3)]
    for wallet in wallets:
        shard.transfer(shard.world(), wallet, 1_000)
    shard.commit()
    return wallets


async def test_packed_records_follow_others(running: Running) -> None:
    """A shard whose first records are from before there were frames goes on with packed ones."""
    shard = PackingShard(0)
    shard.packs = False
    wallets = funded(shard)
    commit_transfers(shard, 5, wallets)
    shard.packs = True
    commit_transfers(shard, 20, wallets)
    await running.take(shard)
    packed = f"SELECT COUNT(*) FROM records WHERE LEFT(payload,4)=x'{MAGIC.hex()}'"
    assert await running.sql(packed) == [[(20,)]]
    kept = await running.sql("SELECT payload FROM records ORDER BY seq")
    assert [payload for (payload,) in kept[0]] == [record.payload for record in shard.records]
    assert await verified(running, shard)


async def test_lists_read_packed_records(running: Running) -> None:
    """What a transaction says is read out of its record."""
    shard = PackingShard(0)
    wallets = funded(shard)
    commit_transfers(shard, 1, wallets)
    await running.take(shard)
    listed = await list_all(running, wallet_id=format_id(wallets[0]))
    assert [item.transaction.postings[0].amount_minor for item in listed] == [5, 5, 1_000]


def too_large(_frame: bytes) -> bytes:
    """Make a small frame that claims more than is ever read."""
    return zstandard.compress(bytes(MAX_RECORD_BYTES + 1))


def silent(_frame: bytes) -> bytes:
    """Make a frame that does not tell its size."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1_000))


BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda frame: frame[:-3],
    "garbage inside": lambda frame: frame[:9] + b"\xff" * 16 + frame[25:],
    "more behind it": lambda frame: frame + b"\x08\x01",
    "too large": too_large,
    "silent about its size": silent,
    "no record": lambda _frame: pack(b"\xff" * 500),
}


@pytest.mark.parametrize("name", BREAKS)
async def test_a_broken_frame_is_refused_whole(running: Running, name: str) -> None:
    """Its hash is right, its bytes are not: nothing of it is kept, all before it is."""
    shard = PackingShard(0)
    wallets = funded(shard)
    commit_transfers(shard, 3, wallets)
    good = shard.records.pop()
    shard.packs = False
    bad = shard.seal(BREAKS[name](good.payload))
    assert await running.refused(0, [*shard.records, bad]) == "JOURNAL_MISMATCH"
    assert (await running.ingest(0, []))[0].seq == 3
    shard.records.append(good)
    await running.take(shard)
    assert await verified(running, shard)


async def test_a_newer_version_inside_a_frame_stops_the_stream(running: Running) -> None:
    """A frame hides no version that this program does not know."""
    shard = PackingShard(0)
    shard.commit()
    record = events.Record(version=2, time_us=shard.time_us + 1)
    record.keys.add(outcome=bytes(500))
    newer = shard.seal(record.SerializeToString())
    assert newer.payload.startswith(MAGIC)
    assert await running.refused(0, [*shard.records, newer]) == "RECORD_VERSION_UNKNOWN"


async def test_a_changed_byte_of_a_frame_is_found(running: Running) -> None:
    """The chain is over the packed bytes, so that a proof need not unpack them to find it."""
    shard = PackingShard(0)
    commit_transfers(shard, 8, funded(shard))
    await running.take(shard)
    for at in ("LENGTH(payload)-2", "20", "2"):
        change = f"INSERT(payload,{at},1,x'7f')"
        await running.sql(f"UPDATE records SET payload={change} WHERE shard=0 AND seq=5")
        reply = await running.stub.VerifyChain(api.VerifyChainRequest(shard=0))
        assert reply.differences[0].seq == 5
        assert reply.differences[0].kind == api.DIFFERENCE_KIND_HASH
        payload = shard.records[4].payload.hex()
        await running.sql(f"UPDATE records SET payload=x'{payload}' WHERE shard=0 AND seq=5")
    assert await verified(running, shard)
