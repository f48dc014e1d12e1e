"""Reconcile on a real database: the snapshot and the journal are compared at exactly its seq."""

import asyncio

import grpc.aio
import pytest

from guilder.events.v1 import record_pb2 as events
from guilder.wallet.v1 import wallet_audit_service_pb2 as audit
from tests.ledger.proofs import (
    Spoil,
    World,
    kinds,
    reconcile,
)
from tests.ledger.running import Running, reason_of
from tests.ledger.shards import Shard
from walletkit.ids import format_id, new_id


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
        "status": (balance("status", 1), {"WALLET"}),
        "status that there is not": (balance("status", 7), {"WALLET"}),
        "held": (balance("held_minor", 1), {"HOLD"}),
        "overdrawn": (balance("overdraft_limit_minor", -1_000_000), {"NEGATIVE", "BALANCE"}),
        "credit that no record grants": (balance("overdraft_limit_minor", 1), {"BALANCE"}),
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


async def test_a_status_that_no_record_gave_is_found(running: Running, world: World) -> None:
    """Without it a row could be thawed, or a wallet closed, and nothing would tell."""
    ann = world.ann
    await running.sql(f"UPDATE accounts SET status=2 WHERE wallet_id=x'{ann.hex()}'")
    reply = await reconcile(running)
    assert kinds(reply) == {"WALLET"}
    (difference,) = reply.differences
    assert (difference.wallet_id, difference.expected, difference.actual) == (
        *(format_id(ann), "FROZEN", "ACTIVE"),
    )


async def test_a_status_is_compared_as_of_the_snapshot(running: Running, world: World) -> None:
    """Frozen, thawed or closed afterwards: what the first change says was before must be there."""
    home = world.home
    (carl,) = [id_ for id_ in home.wallets if id_ != world.ann]
    home.transfer(home.world(), dora := home.create(), 5)
    home.transfer(dora, home.world(), 5)
    home.commit()
    before = home.snapshot()
    home.change(world.ann, events.WALLET_STATUS_FROZEN)
    home.change(world.ann, events.WALLET_STATUS_ACTIVE)
    home.change(carl, events.WALLET_STATUS_ACTIVE)
    home.commit()
    home.change(carl, events.WALLET_STATUS_FROZEN)
    home.change(dora, events.WALLET_STATUS_CLOSED)
    home.commit()
    await running.take(home)
    running.wallets.snapshots[0] = before
    assert not kinds(await reconcile(running))
    for part in before:
        for balance in part.balances:
            others = {world.ann: 2, carl: 1, dora: 3}
            balance.status = others[balance.wallet_id]  # type: ignore[assignment]  # a number
    reply = await reconcile(running)
    assert {(d.wallet_id, d.expected, d.actual) for d in reply.differences} == {
        (format_id(world.ann), "ACTIVE", "FROZEN"),
        (format_id(carl), "FROZEN", "ACTIVE"),
        (format_id(dora), "ACTIVE", "CLOSED"),
    }


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
