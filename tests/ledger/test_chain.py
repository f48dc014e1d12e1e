"""VerifyChain on a real database: clean where the books are right, each planted fault found."""

import asyncio

from guilder.events.v1 import record_pb2 as events
from tests.ledger.proofs import (
    Kind,
    World,
    chain,
    kinds,
    reconcile,
    remember,
    restore,
    transit,
)
from tests.ledger.running import Running
from tests.ledger.shards import Shard, postings_of
from walletkit.ids import format_id, new_id

CHAIN_FAULTS = {
    "a changed byte": (
        """UPDATE records SET payload=INSERT(payload,LENGTH(payload)-2,1,x'7f')
        WHERE shard=0 AND seq=5""",
        {"HASH"},
    ),
    "a changed hash": ("UPDATE records SET hash=x'00' WHERE shard=0 AND seq=5", {"HASH"}),
    "another time": ("UPDATE records SET time_us=1 WHERE shard=0 AND seq=5", {"ENTRIES"}),
    "a record missing": ("DELETE FROM records WHERE shard=0 AND seq=5", {"GAP"}),
    "the last one missing": ("DELETE FROM records WHERE shard=0 AND seq=24", {"GAP"}),
    "a record too many": (
        """INSERT INTO records SELECT shard,seq+1,prev_hash,hash,time_us,payload FROM records
        WHERE shard=0 AND seq=24""",
        {"GAP"},
    ),
    "another cursor": ("UPDATE cursors SET hash=x'00' WHERE shard=0", {"HASH"}),
    "an entry's delta": (
        "UPDATE entries SET delta=delta+1 WHERE shard=0 AND seq=8 AND delta<0 LIMIT 1",
        {"ENTRIES"},
    ),
    "an entry's sign": (
        "UPDATE entries SET n=-2 WHERE shard=0 AND n=-1 LIMIT 1",
        {"ENTRIES"},
    ),
    "an entry's balance": (
        "UPDATE entries SET balance_after=balance_after-1 WHERE shard=0 AND seq=8 LIMIT 1",
        {"ENTRIES"},
    ),
    "an entry missing": ("DELETE FROM entries WHERE shard=0 AND seq=8 LIMIT 1", {"ENTRIES"}),
    "an entry too many": (
        """INSERT INTO entries SELECT wallet_id,version+100,day,shard,seq,n,number,tx_id,
        counterparty,delta,balance_after,time_us,type FROM entries
        WHERE shard=0 AND seq=8 LIMIT 1""",
        {"ENTRIES"},
    ),
    "a balance": ("UPDATE accounts SET posted=posted+1 WHERE shard=0 LIMIT 1", {"BALANCE"}),
    "a version": ("UPDATE accounts SET version=version+1 WHERE shard=0 LIMIT 1", {"BALANCE"}),
    "a status": ("UPDATE accounts SET status=3 WHERE shard=0 LIMIT 1", {"BALANCE"}),
    "a total": ("UPDATE accounts SET debit=debit+1 WHERE shard=0 LIMIT 1", {"BALANCE"}),
    "a wallet missing": ("DELETE FROM accounts WHERE shard=0 LIMIT 1", {"WALLET"}),
    "a wallet too many": (
        f"""INSERT INTO accounts SELECT x'{new_id(0).hex()}',shard,currency,account_id,status,
        posted,version,debit,credit,time_us,held,overdraft_limit,account_freeze FROM accounts
        WHERE shard=0 LIMIT 1""",
        {"WALLET"},
    ),
    "an open leg missing": ("DELETE FROM open_intents", {"LEG"}),
    "an open leg's amount": ("UPDATE open_intents SET amount=amount+1", {"LEG"}),
    "a leg's amount": ("UPDATE transit_legs SET amount=amount+1 WHERE shard=0 LIMIT 1", {"LEG"}),
    "a leg missing": ("DELETE FROM transit_legs WHERE shard=0 LIMIT 1", {"LEG"}),
    "a state": ("UPDATE transaction_states SET state=1 LIMIT 1", {"ENTRIES"}),
}


async def test_right_books_have_no_difference(running: Running, world: World) -> None:
    """All three proofs are clean, and say how much they have looked at."""
    for shard in (world.home, world.away):
        reply = await chain(running, shard.number)
        assert not reply.differences, reply
        assert reply.records == reply.position.seq == len(shard.records)
        assert reply.entries == sum(
            2 * len(postings_of(events.Record.FromString(record.payload)))
            for record in shard.records
        )
        reconciled = await reconcile(running, shard.number)
        assert not reconciled.differences, reconciled
        assert reconciled.wallets == len(shard.wallets) + len(shard.system)
        assert reconciled.intents == len(shard.intents)
    pairs = await transit(running)
    assert not pairs.differences, pairs
    # Ten transfers, one leg sent back and its return; one is on its way.
    assert (pairs.paired, pairs.open, pairs.early) == (12, 1, 0)
    assert [(p.shard, p.seq) for p in pairs.positions] == [
        (0, len(world.home.records)),
        (1, len(world.away.records)),
    ]


async def test_each_fault_in_the_books_is_found(running: Running, world: World) -> None:
    """VerifyChain finds what was changed, added or lost in any table, and names its kind."""
    await remember(running)
    for name, (fault, expected) in CHAIN_FAULTS.items():
        await running.sql(fault)
        reply = await chain(running)
        found = kinds(reply)
        assert found & expected, f"{name}: {found}"
        allowed = expected | ({"REPLAY", "WALLET", "BALANCE", "ENTRIES", "LEG", "HASH"})
        narrow = not expected & {"HASH", "GAP"}
        assert found <= (expected if narrow else allowed), f"{name}: {reply}"
        await restore(running)
    assert not kinds(await chain(running))


async def test_one_changed_byte_is_told_by_its_record(running: Running, world: World) -> None:
    """One fault gives a few differences, not one for each record that follows."""
    await running.sql(
        """UPDATE records SET payload=INSERT(payload,LENGTH(payload)-2,1,x'7f')
        WHERE shard=0 AND seq=5"""
    )
    reply = await chain(running)
    assert (reply.differences[0].kind, reply.differences[0].seq) == (Kind.DIFFERENCE_KIND_HASH, 5)
    assert reply.difference_count < 10


async def put_instead(running: Running, forged: Shard) -> None:
    """Put another chain in the place of the shard's, as who has the database could."""
    await running.sql("DELETE FROM records WHERE shard=0")
    for record in forged.records:
        time_us = events.Record.FromString(record.payload).time_us
        values = [record.prev_hash, record.hash, record.payload]
        prev_hash, hash_, payload = (f"x'{value.hex()}'" for value in values)
        await running.sql(
            f"INSERT INTO records VALUES (0,{record.seq},{prev_hash},{hash_},{time_us},{payload})"
        )


async def test_a_forged_record_is_found_by_replay(running: Running, world: World) -> None:
    """Hashes all the way up can be forged with the database; the balances then no longer follow."""
    forged = Shard(0)
    ann = forged.create()
    forged.transfer(forged.world(), ann, 50)
    forged.commit()
    first = events.Record.FromString(forged.records.pop().payload)
    first.transactions[0].postings[0].destination_posted_after = 60
    forged.records.append(forged.seal(first.SerializeToString()))
    forged.transfer(ann, forged.world(), 20)
    forged.commit()
    await put_instead(running, forged)
    reply = await chain(running)
    replayed = [d for d in reply.differences if d.kind == Kind.DIFFERENCE_KIND_REPLAY]
    assert [(d.seq, d.expected, d.actual) for d in replayed] == [(1, "50", "60"), (2, "40", "30")]


async def test_a_debit_of_a_frozen_wallet_is_found_by_replay(
    running: Running, world: World
) -> None:
    """Each balance follows from the one before, yet the wallet could not pay; a leg could land."""
    forged = Shard(0)
    ann = forged.create()
    forged.transfer(forged.world(), ann, 50)
    forged.change(ann, events.WALLET_STATUS_FROZEN)
    forged.commit()
    forged.land(new_id(1), events.Intent(destination=ann, currency_code="EUR", amount_minor=7))
    forged.transfer(ann, forged.world(), 20)
    forged.commit()
    await put_instead(running, forged)
    reply = await chain(running)
    replayed = [d for d in reply.differences if d.kind == Kind.DIFFERENCE_KIND_REPLAY]
    assert [(d.seq, d.wallet_id, d.expected) for d in replayed] == [
        (2, format_id(ann), "no debit of a frozen wallet")
    ]


async def test_chains_verify_while_records_come_in(running: Running) -> None:
    """Proofs beside traffic find nothing, wherever the stream is just then."""
    shard = Shard(0)
    ann = shard.create()
    shard.transfer(shard.world(), ann, 1_000)
    shard.commit()
    await running.take(shard)

    async def write() -> None:
        for _ in range(60):
            for _ in range(5):
                shard.transfer(shard.world(), ann, 1)
            running.wallets.snapshots[0] = shard.snapshot()[:0]
            shard.commit()
            running.wallets.snapshots[0] = shard.snapshot()
            await running.ingest(0, shard.records[-1:])

    running.wallets.snapshots[0] = shard.snapshot()
    writing = asyncio.create_task(write())
    seen = set()
    while not writing.done():
        verified, reconciled = await chain(running), await reconcile(running)
        assert not verified.differences, verified
        assert not reconciled.differences, reconciled
        assert not (await transit(running)).differences
        seen.add(verified.position.seq)
    await writing
    assert len(seen) > 2
