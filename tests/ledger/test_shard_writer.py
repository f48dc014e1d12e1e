"""What a commit of the ledger costs does not grow with what the process keeps in memory."""

from collections.abc import Iterator

import pytest

from guilder.ledger.v1 import ledger_service_pb2 as api
from ledger.domain.account import Account
from ledger.ingest.shard_writer import ShardWriter
from ledger.store.positions import Positions
from ledger.store.shard_store import ShardStore
from tests.ledger.running import Running
from tests.ledger.shards import Shard


class Unwalked(dict[bytes, Account]):
    """Accounts that can be asked for one by one, and not gone through."""

    def __iter__(self) -> Iterator[bytes]:
        """Fail: there may be hundreds of thousands."""
        raise AssertionError("a commit went through all accounts in memory")

    keys = values = items = __iter__  # type: ignore[assignment]


async def test_a_commit_looks_at_the_wallets_of_its_records_alone(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many the process keeps: to go through these had cost more than the commit."""
    begin = ShardWriter.__init__

    def unwalked(writer: ShardWriter, shard: int, store: ShardStore, positions: Positions) -> None:
        begin(writer, shard, store, positions)
        monkeypatch.setattr(writer, "_accounts", Unwalked())

    monkeypatch.setattr(ShardWriter, "__init__", unwalked)
    shard = Shard(0)
    ann, bob = shard.create(), shard.create()
    shard.transfer(shard.world(), ann, 1_000)
    shard.commit()
    await running.ingest(0, shard.records)
    for amount in range(1, 10):
        shard.transfer(ann, bob, amount)
        shard.commit()
    await running.ingest(0, shard.records[1:])
    reply = await running.stub.VerifyChain(api.VerifyChainRequest(shard=0))
    assert (reply.records, list(reply.differences)) == (10, [])
