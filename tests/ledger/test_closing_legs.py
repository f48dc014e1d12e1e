"""Close legs: two shards' writers meet in one table, and neither may wait for the other."""

import asyncio

from ledger.domain.record import Leg, Side
from ledger.store.commit import Commit, Kept
from ledger.store.shard_store import ShardStore
from walletkit.ids import new_id
from walletkit.sql.session import LOCK_WAIT_TIMEOUT_S, open_session, run_packet


async def test_closing_legs_of_a_shard_waits_for_no_other_shard(fresh_ledger: str) -> None:
    """Two shards' writers close many legs of a small table at once, and neither needs the other."""
    open_ids = {shard: [new_id(0) for _ in range(300)] for shard in (0, 1)}
    stores = {shard: ShardStore(fresh_ledger, shard, durable=True) for shard in open_ids}
    for shard, ids in open_ids.items():
        await stores[shard].position()
        await stores[shard].lock([])
        sent = [(1, Leg(id_, 0, Side.SENT, n, "EUR", 1, new_id(0))) for n, id_ in enumerate(ids)]
        await stores[shard].save(Commit([_kept(1)], legs=sent))
    held = await open_session(fresh_ledger, autocommit=False)
    await run_packet(held, "SELECT * FROM open_intents WHERE shard=1 AND leg=0 FOR UPDATE")
    closed = [(2, Leg(id_, 0, Side.CLOSED, n)) for n, id_ in enumerate(open_ids[0][:250])]
    await stores[0].lock([])
    async with asyncio.timeout(LOCK_WAIT_TIMEOUT_S / 2):
        await stores[0].save(Commit([_kept(2)], legs=closed))
    ((left,),) = (await run_packet(held, "SELECT COUNT(*) FROM open_intents WHERE shard=0"))[0]
    assert left == 50
    held.close()
    for store in stores.values():
        store.drop()


def _kept(seq: int) -> Kept:
    return Kept(seq, bytes(32), bytes(32), 0, b"")
