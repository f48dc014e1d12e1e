"""The proofs on a real database: clean where the books are right, and each planted fault found."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import grpc.aio
import pytest

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.wallet.v1 import wallet_audit_service_pb2 as audit
from tests.ledger.conftest import Running, reason_of
from tests.ledger.shards import SECOND_US, Shard, postings_of, send_across
from walletkit.ids import SystemKind, new_id

HOUR_US = 3_600 * SECOND_US
Kind = api.DifferenceKind
Reply = api.VerifyChainResponse | api.VerifyTransitResponse | api.ReconcileResponse
Spoil = Callable[[list[audit.StreamBalancesResponse]], None]


class World(NamedTuple):
    """Two shards with traffic between them, all of it in the ledger."""

    home: Shard
    away: Shard
    ann: bytes
    bob: bytes


@pytest.fixture
async def world(running: Running) -> World:
    """Move money within, between and back from shards; leave one leg open."""
    home, away = Shard(0), Shard(1)
    ann, bob, carl = home.create(), away.create(), home.create()
    home.transfer(home.world(), ann, 10_000)
    home.transfer(ann, carl, 4_000)
    home.commit()
    away.commit()
    for n in range(10):
        home.transfer(carl, ann, 10 + n)
        send_across(home, away, ann, bob, 100 + n)
    back = home.send(ann, bob, 9)
    home.commit()
    intent = away.send_back(back.transaction_id, back.intents[0], ann)
    away.commit()
    home.land(back.transaction_id, intent)
    home.close(back.transaction_id, state=events.TRANSACTION_STATE_RETURNED)
    home.change(carl, events.WALLET_STATUS_FROZEN)
    home.commit()
    away.close(back.transaction_id, 128, events.TRANSACTION_STATE_UNSPECIFIED)
    away.commit()
    home.send(ann, bob, 77)
    home.commit()
    await running.take(home, away)
    running.wallets.snapshots = {0: home.snapshot(), 1: away.snapshot()}
    return World(home, away, ann, bob)


async def chain(running: Running, shard: int = 0) -> api.VerifyChainResponse:
    """Verify a shard's chain."""
    reply: api.VerifyChainResponse = await running.stub.VerifyChain(
        api.VerifyChainRequest(shard=shard)
    )
    return reply


async def transit(running: Running) -> api.VerifyTransitResponse:
    """Verify all legs."""
    reply: api.VerifyTransitResponse = await running.stub.VerifyTransit(api.VerifyTransitRequest())
    return reply


async def reconcile(running: Running, shard: int = 0) -> api.ReconcileResponse:
    """Reconcile a shard."""
    reply: api.ReconcileResponse = await running.stub.Reconcile(api.ReconcileRequest(shard=shard))
    return reply


def kinds(reply: Reply) -> set[str]:
    """Return the kinds of differences that a reply holds."""
    assert reply.difference_count >= len(reply.differences)
    return {
        Kind.Name(difference.kind).removeprefix("DIFFERENCE_KIND_")
        for difference in reply.differences
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
        counterparty,delta,balance_after,time_us FROM entries WHERE shard=0 AND seq=8 LIMIT 1""",
        {"ENTRIES"},
    ),
    "a balance": ("UPDATE accounts SET posted=posted+1 WHERE shard=0 LIMIT 1", {"BALANCE"}),
    "a version": ("UPDATE accounts SET version=version+1 WHERE shard=0 LIMIT 1", {"BALANCE"}),
    "a status": ("UPDATE accounts SET status=3 WHERE shard=0 LIMIT 1", {"BALANCE"}),
    "a total": ("UPDATE accounts SET debit=debit+1 WHERE shard=0 LIMIT 1", {"BALANCE"}),
    "a wallet missing": ("DELETE FROM accounts WHERE shard=0 LIMIT 1", {"WALLET"}),
    "a wallet too many": (
        f"""INSERT INTO accounts SELECT x'{new_id(0).hex()}',shard,currency,account_id,status,
        posted,version,debit,credit,time_us FROM accounts WHERE shard=0 LIMIT 1""",
        {"WALLET"},
    ),
    "an open leg missing": ("DELETE FROM open_intents", {"LEG"}),
    "an open leg's amount": ("UPDATE open_intents SET amount=amount+1", {"LEG"}),
    "a leg's amount": ("UPDATE transit_legs SET amount=amount+1 WHERE shard=0 LIMIT 1", {"LEG"}),
    "a leg missing": ("DELETE FROM transit_legs WHERE shard=0 LIMIT 1", {"LEG"}),
    "a state": ("UPDATE transaction_states SET state=1 LIMIT 1", {"ENTRIES"}),
}
TABLES = (
    *("records", "entries", "accounts", "cursors"),
    *("transit_legs", "open_intents", "transaction_states"),
)


async def remember(running: Running) -> None:
    """Copy every table, so that a planted fault can be taken back."""
    for table in TABLES:
        await running.sql(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")


async def restore(running: Running) -> None:
    """Take a planted fault back."""
    for table in TABLES:
        await running.sql(f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}")


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
    await running.sql("DELETE FROM records WHERE shard=0")
    for record in forged.records:
        time_us = events.Record.FromString(record.payload).time_us
        values = [record.prev_hash, record.hash, record.payload]
        prev_hash, hash_, payload = (f"x'{value.hex()}'" for value in values)
        await running.sql(
            f"INSERT INTO records VALUES (0,{record.seq},{prev_hash},{hash_},{time_us},{payload})"
        )
    reply = await chain(running)
    replayed = [d for d in reply.differences if d.kind == Kind.DIFFERENCE_KIND_REPLAY]
    assert [(d.seq, d.expected, d.actual) for d in replayed] == [(1, "50", "60"), (2, "40", "30")]


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


TRANSIT_FAULTS = {
    "landed twice": (
        """INSERT INTO transit_legs SELECT tx_id,leg,side,shard,seq+1,n,currency,amount,destination,
        result FROM transit_legs WHERE side=2 LIMIT 1""",
        {"LEG"},
    ),
    "landed with less": (
        "UPDATE transit_legs SET amount=amount-1 WHERE side=2 AND leg=0 LIMIT 1",
        {"LEG"},
    ),
    "landed in another currency": (
        "UPDATE transit_legs SET currency='USD' WHERE side=2 AND leg=0 LIMIT 1",
        {"LEG"},
    ),
    "landed elsewhere": (
        f"""UPDATE transit_legs SET destination=x'{new_id(1).hex()}'
        WHERE side=2 AND result=1 LIMIT 1""",
        {"LEG"},
    ),
    "closed by nobody": (
        "DELETE FROM transit_legs WHERE side=1 AND leg=0 LIMIT 1",
        {"LEG", "TRANSIT"},
    ),
    "a return that answers nothing": (
        "UPDATE transit_legs SET result=1 WHERE result=2",
        {"LEG"},
    ),
    "a return that was never sent": (
        "DELETE FROM transit_legs WHERE leg=128 AND side=1",
        {"LEG", "TRANSIT"},
    ),
    "transit holds more": (
        "UPDATE accounts SET posted=posted+5 WHERE wallet_id LIKE CONCAT(x'0004','%') LIMIT 1",
        {"TRANSIT"},
    ),
}


async def test_each_stranded_leg_is_found(running: Running, world: World) -> None:
    """VerifyTransit finds legs that do not pair, and a transit that holds another sum."""
    await remember(running)
    for name, (fault, expected) in TRANSIT_FAULTS.items():
        await running.sql(fault)
        assert kinds(await transit(running)) == expected, name
        await restore(running)
    assert not kinds(await transit(running))


async def test_a_closed_leg_that_never_landed_is_found_once_it_cannot_be_late(
    running: Running, world: World
) -> None:
    """While the destination's stream may still bring it, it is open; later it is a difference."""
    home, away = world.home, world.away
    lost = home.send(world.ann, world.bob, 3)
    home.commit()
    home.close(lost.transaction_id)
    home.commit()
    await running.take(home)
    pairs = await transit(running)
    assert (pairs.open, kinds(pairs)) == (2, set())
    away.commit(home.time_us + HOUR_US)
    await running.take(away)
    pairs = await transit(running)
    assert kinds(pairs) == {"LEG"}
    assert pairs.differences[0].transaction_id
    assert pairs.differences[0].seq == len(home.records)


async def test_a_landing_that_was_never_sent_is_found_once_it_cannot_be_early(
    running: Running, world: World
) -> None:
    """While the home's stream may still bring it, it is early; later it is a difference."""
    home, away = world.home, world.away
    away.land(new_id(0), events.Intent(destination=world.bob, currency_code="EUR", amount_minor=8))
    away.commit(home.time_us)
    await running.take(away)
    pairs = await transit(running)
    assert (pairs.early, kinds(pairs)) == (1, set())
    home.commit(home.time_us + HOUR_US)
    await running.take(home)
    assert kinds(await transit(running)) == {"LEG"}


def snapshot_faults(world: World) -> dict[str, tuple[Spoil, set[str]]]:
    """Return ways to spoil a snapshot of the home shard, and what must be found."""

    def balance(field: str, by: int) -> Spoil:
        def spoil(parts: list[audit.StreamBalancesResponse]) -> None:
            target = parts[1].balances[0]
            setattr(target, field, getattr(target, field) + by)

        return spoil

    def lose(parts: list[audit.StreamBalancesResponse]) -> None:
        del parts[1].balances[0]

    def invent(parts: list[audit.StreamBalancesResponse]) -> None:
        parts[-2].balances.add(wallet_id=new_id(0), currency_code="EUR", version=1)

    def system(parts: list[audit.StreamBalancesResponse]) -> None:
        parts[-1].system_wallets[0].posted_minor = "-1"

    def forget(parts: list[audit.StreamBalancesResponse]) -> None:
        del parts[-1].intents[:]

    def another(parts: list[audit.StreamBalancesResponse]) -> None:
        parts[-1].intents[0].amount_minor += 1

    def fork(parts: list[audit.StreamBalancesResponse]) -> None:
        parts[0].hash = bytes(32)

    return {
        "posted": (balance("posted_minor", 1), {"BALANCE", "SUM"}),
        "version": (balance("version", 1), {"BALANCE"}),
        "held": (balance("held_minor", 1), {"HOLD"}),
        "overdrawn": (balance("overdraft_limit_minor", -1_000_000), {"NEGATIVE"}),
        "wallet lost": (lose, {"WALLET", "SUM"}),
        "wallet invented": (invent, {"WALLET"}),
        "system wallet": (system, {"BALANCE", "SUM"}),
        "intent forgotten": (forget, {"LEG"}),
        "intent of another amount": (another, {"LEG"}),
        "another history": (fork, {"FORK"}),
    }


async def test_each_difference_between_wallet_and_journal_is_found(
    running: Running, world: World
) -> None:
    """Reconcile reports what a shard's snapshot says differently."""
    for name, (spoil, expected) in snapshot_faults(world).items():
        parts = world.home.snapshot()
        spoil(parts)
        running.wallets.snapshots[0] = parts
        assert kinds(await reconcile(running)) == expected, name
    running.wallets.snapshots[0] = world.home.snapshot()
    assert not kinds(await reconcile(running))
    await running.sql(
        "UPDATE accounts SET posted=posted+1 WHERE shard=0 ORDER BY wallet_id DESC LIMIT 1"
    )
    reply = await reconcile(running)
    assert kinds(reply) == {"BALANCE"}
    (difference,) = reply.differences
    assert int(difference.expected) == int(difference.actual) + 1


async def test_a_snapshot_is_compared_at_exactly_its_seq(running: Running, world: World) -> None:
    """Whatever came in after the snapshot was taken is taken off again."""
    home, away = world.home, world.away
    before = home.snapshot()
    dora = home.create()
    home.transfer(home.world(), dora, 5)
    home.transfer(home.world("USD"), home.create("USD"), 5)
    home.change(world.ann, events.WALLET_STATUS_FROZEN)
    home.commit()
    for tx_id, leg in list(home.intents):
        home.close(tx_id, leg)
    opened = home.send(dora, world.bob, 2)
    home.commit()
    away.land(opened.transaction_id, opened.intents[0])
    away.commit()
    home.close(opened.transaction_id)
    home.commit()
    await running.take(home)
    running.wallets.snapshots[0] = before
    reply = await reconcile(running)
    assert not reply.differences, reply
    assert reply.intents == 1


async def test_reconcile_waits_until_the_ledger_has_come_so_far(
    running: Running, world: World
) -> None:
    """The wallet service is ahead; the ledger waits for its stream."""
    home = world.home
    home.transfer(home.world(), world.ann, 5)
    home.commit()
    running.wallets.snapshots[0] = home.snapshot()
    waiting = asyncio.ensure_future(reconcile(running))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await running.take(home)
    assert not (await waiting).differences


async def test_a_snapshot_that_was_cut_proves_nothing(running: Running, world: World) -> None:
    """A stream without its last part is an error, not a difference."""
    running.wallets.snapshots[0] = world.home.snapshot()[:-1]
    with pytest.raises(grpc.aio.AioRpcError) as cut:
        await reconcile(running)
    assert reason_of(cut.value) == "SHARD_UNAVAILABLE"


async def test_an_empty_shard_reconciles(running: Running) -> None:
    """Before the first record everything is empty on both sides."""
    shard = Shard(5)
    running.wallets.snapshots[5] = shard.snapshot()
    reply = await reconcile(running, 5)
    assert (reply.wallets, list(reply.differences)) == (0, [])


async def test_suspended_returns_pair(running: Running, world: World) -> None:
    """A return that can't be credited stays in suspense, and is paired all the same."""
    home, away = world.home, world.away
    sent = home.send(world.ann, world.bob, 6)
    home.commit()
    back = away.send_back(sent.transaction_id, sent.intents[0], world.ann)
    away.commit()
    landed = home.batch.landed_legs.add(
        transaction_id=sent.transaction_id, leg=128, result=events.LEG_RESULT_SUSPENDED
    )
    transit_id, suspense = (
        home.system_id(SystemKind.TRANSIT),
        home.system_id(SystemKind.SUSPENSE),
    )
    home._post(landed.postings.add(), transit_id, suspense, back.amount_minor)
    home.close(sent.transaction_id, state=events.TRANSACTION_STATE_RETURNED)
    home.commit()
    away.close(sent.transaction_id, 128, events.TRANSACTION_STATE_UNSPECIFIED)
    away.commit()
    await running.take(home, away)
    pairs = await transit(running)
    assert (kinds(pairs), pairs.paired) == (set(), 14)
