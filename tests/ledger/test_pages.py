"""Pages of lists while transactions come in: for each scope all that was there at first, once."""

import asyncio
import random

from guilder.events.v1 import record_pb2 as events
from tests.ledger.listing import COMPLETED, DEPOSIT, Query, World, item_of, list_all
from tests.ledger.running import Running
from tests.ledger.shards import Shard
from walletkit.ids import format_id, new_id

MOST_WALLETS = 40
"""So many come to the account: more than 100 would not be listed together."""


async def test_pages_neither_skip_nor_repeat_while_transactions_come_in(running: Running) -> None:
    """For a wallet, an account and each kind of label: all that was there at first, once."""
    shard, other = Shard(0), Shard(1)
    wallets = [shard.create(account_id="ann") for _ in range(3)]
    elsewhere = other.create(account_id="bob")
    root = new_id(0)
    rng = random.Random(3)

    def write(target: Shard, wallet: bytes) -> None:
        for _ in range(rng.randrange(1, 4)):
            transaction = target.transfer(target.world(), wallet, 1)
            transaction.reference, transaction.family_id = b"rent", root
            transaction.opaque = b'{"m":{"k":"v"}}'
        target.commit()

    for _ in range(20):
        write(shard, rng.choice(wallets))
        write(other, elsewhere)
    await running.take(shard, other)
    before = World.known(_pair(shard, other)).keys()

    newest: list[bytes] = []

    async def keep_writing() -> None:
        while True:
            # Wallets that did not exist when the list began take part too.
            if len(newest) < MOST_WALLETS:
                newest.append(shard.create(account_id="ann"))
            for target, wallet in (
                (shard, rng.choice(wallets)),
                (shard, rng.choice(newest)),
                (other, elsewhere),
            ):
                write(target, wallet)
                await running.ingest(target.number, target.records[-1:])

    writing = asyncio.create_task(keep_writing())
    try:
        queries: list[Query] = [
            {"wallet_id": format_id(wallets[0])},
            {"account_id": "ann"},
            {"reference": "rent"},
            {"metadata_key": "k", "metadata_value": "v"},
            {"family_id": format_id(root)},
            {"account_id": "ann", "reference": "rent", "states": [COMPLETED], "types": [DEPOSIT]},
        ]
        for query in queries:
            found = [item_of(one) for one in await list_all(running, 4, **query)]
            assert len(found) == len(set(found))
            there = {item.tx_id for item in found} & before
            known = World.known(_pair(shard, other))
            expected = {id_ for id_ in before if _concerns(known[id_].transaction, query, wallets)}
            assert there == expected
        assert not writing.done()
    finally:
        writing.cancel()


def _pair(home: Shard, away: Shard) -> World:
    """Return two shards as a world, to read what is in them."""
    world = World.__new__(World)
    world.home, world.away = home, away
    return world


def _concerns(transaction: events.Transaction, query: Query, wallets: list[bytes]) -> bool:
    if "wallet_id" in query:
        return transaction.destination == wallets[0]
    return "account_id" not in query or transaction.destination in wallets
