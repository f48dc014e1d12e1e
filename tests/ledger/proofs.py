"""What the tests of the proofs share: two shards with traffic, and calls of each proof."""

from collections.abc import Callable
from typing import NamedTuple

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.wallet.v1 import wallet_audit_service_pb2 as audit
from tests.ledger.running import Running
from tests.ledger.shards import SECOND_US, Shard, send_across

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


async def two_shards(running: Running) -> World:
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


TABLES = (
    *("records", "entries", "accounts", "cursors"),
    *("transit_legs", "open_intents", "transaction_states"),
    *("holds", "hold_changes", "effective_entries", "labels", "assets", "audit_events"),
)


async def remember(running: Running) -> None:
    """Copy every table, so that a planted fault can be taken back."""
    for table in TABLES:
        await running.sql(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")


async def restore(running: Running) -> None:
    """Take a planted fault back."""
    for table in TABLES:
        await running.sql(f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}")
