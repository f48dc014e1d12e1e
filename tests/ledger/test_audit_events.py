"""ListAuditEvents on a real database: taken from the records, listed by any filter, and proven."""

import asyncio
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import audit_events_pb2 as api
from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1 import resources_pb2 as wallets
from ledger.store import audit_events
from tests.ledger.audited import (
    FREEZE,
    UNFREEZE,
    World,
    freeze,
    known_places,
    list_all,
    note,
    page_of,
    places,
)
from tests.ledger.proofs import chain, kinds, remember, restore
from tests.ledger.running import Running, reason_of
from tests.ledger.shards import SECOND_US, START_US, Shard
from tests.ledger.test_reads import at
from walletkit.ids import format_id, new_id

SEED = 11
ROWS = "SELECT * FROM audit_events ORDER BY shard,seq,n"
FILTERS: list[dict[str, Any]] = [
    {},
    {"actor": "ops-1"},
    {"actor": "nobody"},
    {"actions": (FREEZE,)},
    {"actions": (FREEZE, events.AUDIT_ACTION_UNFREEZE_ACCOUNT)},
    {"account_id": "ann0"},
    {"account_id": "bob1", "actor": "ops-2"},
    {"account_id": "ann1", "actions": (UNFREEZE, events.AUDIT_ACTION_FREEZE_ACCOUNT)},
    {"start_us": START_US + 6 * SECOND_US},
    {"end_us": START_US + 9 * SECOND_US, "actor": "ops-2"},
    {"start_us": START_US + 4 * SECOND_US, "end_us": START_US + 8 * SECOND_US},
    {"actor": "ops-2", "actions": (FREEZE,), "account_id": "ann0"},
]


def as_query(filters: dict[str, Any]) -> dict[str, Any]:
    """Write filters as the request has them."""
    query = dict(filters)
    for name in ("start", "end"):
        if f"{name}_us" in query:
            query[f"{name}_time"] = at(query.pop(f"{name}_us"))
    return query


@pytest.fixture
async def world(running: Running) -> World:
    """Two shards with admin actions that the ledger has taken in."""
    made = World(random.Random(SEED))
    await running.take(*made.shards)
    return made


@pytest.mark.parametrize("scanned", [5_000, 7])
async def test_every_filter_gives_what_the_model_says(
    running: Running, world: World, monkeypatch: pytest.MonkeyPatch, scanned: int
) -> None:
    """Newest first, page by page of any size; also where a call looks through few events."""
    monkeypatch.setattr(audit_events, "MAX_SCANNED", scanned)
    wallet_id = format_id(world.wallets[0][1])
    assert len(world.known) > 30
    for filters in [*FILTERS, {"wallet_id": wallet_id}, {"wallet_id": wallet_id, "actor": "ops-1"}]:
        expected = known_places(world.expected(**filters))
        for size in (0, 1, 3, 1_000):
            found = await list_all(running, size, **as_query(filters))
            assert places(found) == expected, filters


async def test_pages_stay_whole_while_events_come_in(running: Running, world: World) -> None:
    """What comes later is before the first page; the others neither skip nor repeat."""
    first = await page_of(running, size=5)
    shard, wallet_id = world.wallets[0]
    shard.create(account_id="new")
    shard.commit(START_US + 3_600 * SECOND_US)
    if shard.wallets[wallet_id].status == events.WALLET_STATUS_FROZEN:
        shard.change(wallet_id, events.WALLET_STATUS_ACTIVE)
    freeze(shard, wallet_id)
    shard.commit(START_US + 3_601 * SECOND_US)
    await running.take(shard)
    found, token = list(first.events), first.next_page_token
    while token:
        page = await page_of(running, token, 5)
        found += page.events
        token = page.next_page_token
    assert places(found) == known_places(world.expected())
    assert (await page_of(running, size=1)).events[0].wallet_id == format_id(wallet_id)


async def test_rebuilt_ledger_has_the_same_log(running: Running, world: World) -> None:
    """The records keep it all: taken in once more, by a ledger made anew, they give equal rows."""
    (before,) = await running.sql(ROWS)
    assert len(before) == len(world.known)
    for shard in world.shards:
        await running.ingest(shard.number, shard.records)
    assert await running.sql(ROWS) == [before]
    tables = [name for (name,) in (await running.sql("SHOW TABLES"))[0]]
    for table in set(tables) - {"alembic_version"}:
        await running.sql(f"DELETE FROM {table}")
    await running.take(*world.shards)
    assert await running.sql(ROWS) == [before]


async def test_changed_log_is_found(running: Running, world: World) -> None:
    """VerifyChain replays the log, too: no row can be changed, removed or added unseen."""
    await remember(running)
    for fault in (
        "UPDATE audit_events SET actor='ops-9' WHERE actor='ops-1' LIMIT 1",
        "UPDATE audit_events SET reason='x' LIMIT 1",
        "UPDATE audit_events SET state_before='{\"status\":2}' WHERE action=1 LIMIT 1",
        "UPDATE audit_events SET time_us=time_us+1 LIMIT 1",
        "DELETE FROM audit_events LIMIT 1",
        """INSERT INTO audit_events SELECT shard,seq,n+100,time_us,action,actor,reason,request_id,
        account_id,currency,wallet_id,tx_id,original_id,state_before,state_after
        FROM audit_events LIMIT 1""",
    ):
        await running.sql(fault)
        found = [kinds(await chain(running, shard.number)) for shard in world.shards]
        assert {"ENTRIES"} in found, fault
        await restore(running)
    for shard in world.shards:
        assert not kinds(await chain(running, shard.number))


async def test_changed_byte_of_a_record_is_found(running: Running, world: World) -> None:
    """Who changes an actor in a record breaks the chain there."""
    shard = world.shards[0]
    record = next(one for one in shard.records if b"ops-1" in one.payload)
    forged = record.payload.replace(b"ops-1", b"ops-9", 1)
    await running.sql(
        f"UPDATE records SET payload=x'{forged.hex()}' WHERE shard=0 AND seq={record.seq}"
    )
    reply = await chain(running)
    assert {"HASH", "ENTRIES"} <= kinds(reply)
    assert record.seq in {difference.seq for difference in reply.differences}


async def test_each_action_tells_before_and_after(running: Running) -> None:
    """Each kind of action in the API's words; account and currency are the journal's."""
    shard = Shard(0)
    ann = shard.create(account_id="ann")
    shard.transfer(shard.world(), ann, 1_000)
    original = shard.transfer(ann, shard.world(), 30)
    shard.commit()
    shard.limit(ann, 70)
    shard.batch.wallet_changes[0].limits = b'{"overdraft":70}'
    limit_wallet = events.AUDIT_ACTION_SET_WALLET_LIMITS
    before = b'{"max_balance":5,"velocity":[{"basis":"CREDITS","max_amount":9,"window":"DAY"}]}'
    note(shard, limit_wallet, 0, reason="why", previous_limits=before)
    shard.batch.account_changes.add(
        account_id="bob", currency_code="EUR", limits=b'{"max_transaction":4}'
    )
    note(shard, events.AUDIT_ACTION_SET_ACCOUNT_LIMITS, 0)
    shard.batch.asset_registrations.add(currency_code="GOLD", exponent=4)
    note(shard, events.AUDIT_ACTION_REGISTER_ASSET, 0)
    back = shard.transfer(shard.world(), ann, 20)
    back.type = events.TRANSACTION_TYPE_REVERSAL
    back.parent_id = back.family_id = original.transaction_id
    back.opaque = b'{"a":"said","r":"broken"}'
    note(shard, events.AUDIT_ACTION_REVERSE_TRANSACTION, 0, previous_reversed_minor=10)
    shard.commit()
    await running.take(shard)
    reversal, asset, account, wallet = await list_all(running)
    assert (wallet.account_id, wallet.wallet_id, wallet.reason) == ("ann", format_id(ann), "why")
    assert (wallet.currency_code, wallet.exponent, wallet.request_id) == ("EUR", 2, "call:1")
    day = wallets.VelocityLimit(
        window=wallets.VELOCITY_WINDOW_DAY,
        basis=wallets.VELOCITY_BASIS_CREDITS,
        max_amount_minor=9,
    )
    assert wallet.before == api.AuditState(
        limits=wallets.WalletLimits(max_balance_minor=5, velocity=[day])
    )
    assert wallet.after == api.AuditState(limits=wallets.WalletLimits(overdraft_limit_minor=70))
    assert (account.account_id, account.wallet_id, account.currency_code) == ("bob", "", "EUR")
    assert account.before == api.AuditState(limits=wallets.WalletLimits())
    assert account.after == api.AuditState(limits=wallets.WalletLimits(max_transaction_minor=4))
    assert (asset.currency_code, asset.exponent, asset.account_id) == ("GOLD", 4, "")
    assert (asset.before, asset.after) == (api.AuditState(), api.AuditState(registered=True))
    assert (reversal.reason, reversal.wallet_id) == ("broken", format_id(ann))
    assert reversal.transaction_id == format_id(back.transaction_id)
    assert reversal.original_transaction_id == format_id(original.transaction_id)
    assert reversal.before == api.AuditState(reversed_minor=10)
    assert reversal.after == api.AuditState(reversed_minor=30)
    assert reversal.position == Position(shard=0, seq=2)
    assert reversal.create_time == at(shard.time_us)
    assert not kinds(await chain(running))


def _nowhere(shard: Shard, _: bytes) -> None:
    note(shard, FREEZE, 0)


def _other_kind(shard: Shard, ann: bytes) -> None:
    shard.update(ann)
    note(shard, FREEZE, 0)


def _no_action(shard: Shard, ann: bytes) -> None:
    freeze(shard, ann).action = events.AUDIT_ACTION_UNSPECIFIED


def _no_reversal(shard: Shard, ann: bytes) -> None:
    shard.transfer(shard.world(), ann, 1)
    note(shard, events.AUDIT_ACTION_REVERSE_TRANSACTION, 0)


def _of_nothing(shard: Shard, ann: bytes) -> None:
    shard.transfer(shard.world(), ann, 1).type = events.TRANSACTION_TYPE_REVERSAL
    note(shard, events.AUDIT_ACTION_REVERSE_TRANSACTION, 0)


def _no_freeze(shard: Shard, _: bytes) -> None:
    shard.freeze_account("ann", events.ACCOUNT_FREEZE_ALL)
    note(shard, events.AUDIT_ACTION_UNFREEZE_ACCOUNT, 0)


@pytest.mark.parametrize(
    "spoil", [_nowhere, _other_kind, _no_action, _no_reversal, _of_nothing, _no_freeze]
)
async def test_event_without_its_change_is_refused(
    running: Running, spoil: Callable[[Shard, bytes], None]
) -> None:
    """A record that tells of an action it does not hold stops the stream, and nothing is kept."""
    shard = Shard(0)
    ann = shard.create()
    shard.commit()
    spoil(shard, ann)
    shard.commit()
    assert await running.refused(0, shard.records) == "JOURNAL_MISMATCH"
    assert await running.sql(ROWS) == [[]]


async def test_unknown_action_is_kept_as_it_is(running: Running) -> None:
    """A newer wallet may know more: who, why and which number are told all the same."""
    shard = Shard(0)
    note(shard, 200, 3, reason="new")  # type: ignore[arg-type]  # not known yet
    shard.commit()
    await running.take(shard)
    (event,) = await list_all(running)
    assert (event.action, event.actor, event.reason) == (200, "ops-1", "new")
    assert (event.before, event.after) == (api.AuditState(), api.AuditState())
    assert not kinds(await chain(running))


async def test_read_your_writes(running: Running) -> None:
    """With the position of a change the list waits for it, and says how far it is."""
    shard = Shard(0)
    ann = shard.create()
    shard.commit()
    freeze(shard, ann)
    shard.commit()
    asked = asyncio.create_task(page_of(running, min_position=Position(shard=0, seq=2)))
    await asyncio.sleep(0.1)
    assert not asked.done()
    await running.take(shard)
    page = await asked
    assert len(page.events) == 1
    assert page.position == Position(shard=0, seq=2)
    assert not (await page_of(running)).HasField("position")


@pytest.mark.parametrize(
    "query",
    [
        {"page_size": 1_001},
        {"page_size": -1},
        {"page_token": "x"},
        {"wallet_id": "x"},
        {"account_id": "a b"},
        {"actor": "x" * 256},
        {"actions": [0]},
        {"actions": [77]},
    ],
    ids=str,
)
async def test_malformed_requests_name_their_field(running: Running, query: dict[str, Any]) -> None:
    """INVALID_FIELD for each."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await running.stub.ListAuditEvents(api.ListAuditEventsRequest(**query), timeout=20)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(refused.value) == "INVALID_FIELD"


async def test_token_is_bound_to_its_query(running: Running, world: World) -> None:
    """The token of one list is none of another's."""
    token = (await page_of(running, size=1)).next_page_token
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await page_of(running, token, actor="ops-1")
    assert reason_of(refused.value) == "INVALID_FIELD"


async def test_events_of_unknown_wallets_are_none(running: Running, world: World) -> None:
    """What the ledger has not heard of is an empty list, not an error."""
    assert await list_all(running, wallet_id=format_id(new_id(0))) == []
    assert await list_all(running, account_id="nobody") == []


def test_code_only_inserts_into_the_log() -> None:
    """No statement of the ledger changes or removes a row of it."""
    root = Path(audit_events.__file__).resolve().parents[1]
    text = "\n".join(path.read_text(encoding="utf-8") for path in root.rglob("*.py"))
    assert "audit_events" in text
    changing = r"(UPDATE|DELETE\s+FROM|TRUNCATE|REPLACE\s+INTO)\s+audit_events"
    assert not re.search(changing, text, re.IGNORECASE)
