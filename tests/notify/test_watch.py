"""Watches: resumable, filtered, alive, bounded."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio
import pytest

from guilder.events.v1 import record_pb2 as ev
from guilder.notify.v1 import notify_service_pb2 as pb
from notify.settings import Settings
from tests.notify.watching import Watch
from tests.notify.world import Client, Shard, fields_of, reason_of, running
from walletkit.ids import format_id


def ids(events: Sequence[pb.Event]) -> list[str]:
    """Return the events' ids."""
    return [event.event_id for event in events]


async def test_live_events(notify: Client) -> None:
    """A watch without a cursor gets what comes from now on, in order, with the API's fields."""
    shard = Shard()
    source, destination = shard.wallet(), shard.wallet()
    shard.commit(shard.deposit(source))
    await notify.send(shard)
    watch = await Watch(notify).begin()
    shard.commit(shard.transfer(source, destination))
    shard.commit(changes=[shard.change(destination, ev.WALLET_CHANGE_KIND_FROZEN)])
    await notify.send(shard)
    events = await watch.take(3)
    assert ids(events) == ["evt_0_2_0_d", "evt_0_2_0_c", "evt_0_3_0_w"]
    assert [event.wallet_sequence for event in events] == [2, 1, 2]
    assert events[0].wallet_id == format_id(source)
    assert dict(events[0].data)["amount"] == {"currencyCode": "EUR", "amountMinor": "5"}
    assert events[0].create_time.ToMicroseconds() == shard.time_us - 1_000_000
    assert events[2].type == "wallet.frozen"
    watch.close()


async def test_resumes_behind_every_event(notify: Client) -> None:
    """From the cursor of any event the rest comes: nothing twice, nothing left out, all shards."""
    shards = [Shard(0), Shard(1)]
    for shard in shards:
        wallets = [shard.wallet() for _ in range(4)]
        for _ in range(5):
            shard.commit(
                shard.transfer(wallets[0], wallets[1]), shard.transfer(wallets[2], wallets[3])
            )
        await notify.send(shard)
    whole = await Watch(notify, cursor="0").begin()
    expected, cursors = [], [whole.cursor]
    for _ in range(40):
        expected += ids(await whole.take(1))
        cursors.append(whole.cursor)
    whole.close()
    assert len(set(expected)) == 40
    for at in (0, 1, 2, 3, 7, 20, 21, 39):
        rest = await Watch(notify, cursor=cursors[at]).begin()
        assert sorted(ids(await rest.take(40 - at))) == sorted(expected[at:])
        rest.close()
    # Each shard's own events keep their order.
    assert [i for i in expected if i.startswith("evt_0")] == ids_of(0)


def ids_of(shard: int) -> list[str]:
    """Return the ids of five records with two transfers each, in order."""
    return [f"evt_{shard}_{seq}_{n}_{side}" for seq in range(1, 6) for n in (0, 1) for side in "dc"]


async def test_filters(notify: Client) -> None:
    """Filters by wallet and type; the cursor of the last event skips what did not pass."""
    shard = Shard()
    wallet, other = shard.wallet(), shard.wallet()
    created = shard.change(wallet, ev.WALLET_CHANGE_KIND_CREATED)
    shard.commit(changes=[created])
    shard.commit(shard.deposit(other))
    shard.commit(shard.transfer(other, wallet), shard.deposit(other))
    await notify.send(shard)
    watch = await Watch(notify, cursor="0", wallet_ids=[format_id(wallet)]).begin()
    assert ids(await watch.take(2)) == ["evt_0_1_0_w", "evt_0_3_0_c"]
    watch.close()
    watch = await Watch(notify, cursor="0", event_types=["wallet.created"]).begin()
    (event,) = await watch.take(1)
    assert event.data["accountId"] == "alice"
    watch.close()


async def test_leg_of_another_shard(notify: Client) -> None:
    """A landed leg tells its destination; a return tells the source that the money is back."""
    shard = Shard()
    transit = b"\0\4" + b"\0" * 14
    wallet = shard.wallet()
    leg = ev.LandedLeg(
        transaction_id=shard.wallet(),
        leg=0,
        result=ev.LEG_RESULT_CREDITED,
        postings=[shard.posting(transit, wallet, 9)],
    )
    back = ev.LandedLeg(
        transaction_id=shard.wallet(),
        leg=128,
        result=ev.LEG_RESULT_CREDITED,
        postings=[shard.posting(transit, wallet, 7)],
    )
    ended = ev.ClosedIntent(transaction_id=back.transaction_id, state=ev.TRANSACTION_STATE_RETURNED)
    shard.commit(legs=[leg, back], closed_intents=[ended])
    await notify.send(shard)
    watch = await Watch(notify, cursor="0").begin()
    landed, returned = await watch.take(2)
    assert (landed.type, returned.type) == ("transaction.posted", "transaction.returned")
    assert landed.data["destinationWalletId"] == format_id(wallet)
    assert landed.data["transactionId"] == format_id(leg.transaction_id)
    assert landed.data["legState"] == "TRANSACTION_STATE_COMPLETED"
    assert returned.data["sourceWalletId"] == format_id(wallet)
    assert returned.data["state"] == "TRANSACTION_STATE_RETURNED"
    watch.close()


async def test_heartbeats_move_the_cursor(notify: Client) -> None:
    """A watch whose filter lets nothing pass still tells where it is."""
    shard = Shard()
    shard.commit(shard.deposit(shard.wallet()))
    await notify.send(shard)
    watch = await Watch(notify, cursor="0", event_types=["wallet.closed"]).begin()
    began = watch.cursor
    assert await watch.read() is None
    assert watch.cursor != began
    watch.close()


async def test_trimmed_cursor_expires(migrated: Settings) -> None:
    """A cursor behind which events were trimmed is refused; 0 begins with what is kept."""
    small = migrated.model_copy(update={"kept_records": 3})
    async with running(small) as client:
        shard = Shard()
        shard.commit(shard.deposit(shard.wallet()))
        await client.send(shard)
        watch = await Watch(client, cursor="0").begin()
        await watch.take(1)
        watch.close()
        for _ in range(5):
            shard.commit(shard.deposit(shard.wallet()))
        await client.send(shard)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Watch(client, cursor=watch.cursor).begin()
        assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
        assert reason_of(caught.value) == ("CURSOR_EXPIRED", {"shard": "0", "seq": "1"})
        oldest = await Watch(client, cursor="0").begin()
        assert ids(await oldest.take(3)) == [f"evt_0_{n}_0_c" for n in (4, 5, 6)]
        oldest.close()


async def test_number_is_bounded(migrated: Settings) -> None:
    """Beyond the setting's number a watch is refused; one that ends makes room."""
    small = migrated.model_copy(update={"max_watchers": 1})
    async with running(small) as client:
        first = await Watch(client).begin()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Watch(client).begin()
        assert reason_of(caught.value)[0] == "OVERLOADED"
        first.close()
        for _ in range(100):
            try:
                second = await Watch(client).begin()
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.02)
            else:
                second.close()
                return
        pytest.fail("no room after the first watch ended")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "MTtub25zZW5zZQ"}, "cursor"),
        ({"event_types": ["nonsense"]}, "event_types[0]"),
        ({"wallet_ids": ["nonsense"]}, "wallet_ids[0]"),
    ],
)
async def test_malformed(notify: Client, request_: dict[str, Any], field: str) -> None:
    """A malformed cursor or filter is named."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await Watch(notify, **request_).begin()
    assert fields_of(caught.value) == {field}
