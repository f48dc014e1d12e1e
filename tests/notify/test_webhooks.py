"""Webhooks: signed, at least once, retried, given up, and never in each other's way."""

import asyncio
import time
from collections.abc import Callable

import grpc
import grpc.aio
import pytest
from aiohttp import web
from google.protobuf import timestamp_pb2

from guilder.events.v1 import record_pb2 as ev
from guilder.notify.v1 import notify_service_pb2 as pb
from notify.settings import Settings
from tests.notify.world import Client, Endpoint, Post, Shard, reason_of, running, until
from walletkit.ids import format_id


async def test_transfer_tells_both_wallets(notify: Client, endpoint: Endpoint) -> None:
    """A transfer within a shard is posted once for each wallet, signed, with the API's fields."""
    created = await notify.subscribe(endpoint.url)
    shard = Shard()
    source, destination = shard.wallet(), shard.wallet()
    transfer = shard.transfer(source, destination, 250)
    shard.commit(transfer)
    await notify.send(shard)
    await until(lambda: len(endpoint.posts) == 2)
    for post in endpoint.posts:
        post.verify(created.secret)
    posts = {post.content["walletId"]: post for post in endpoint.posts}
    content = posts[format_id(source)].content
    assert content["type"] == "transaction.posted"
    assert content["eventId"] == posts[format_id(source)].event_id == "evt_0_1_0_d"
    assert content["timestamp"] == content["createTime"] == "2026-09-21T14:13:21.000000Z"
    assert content["walletSequence"] == "1"
    assert content["data"] == {
        "transactionId": format_id(transfer.transaction_id),
        "type": "TRANSACTION_TYPE_TRANSFER",
        "state": "TRANSACTION_STATE_COMPLETED",
        "sourceWalletId": format_id(source),
        "destinationWalletId": format_id(destination),
        "amount": {"currencyCode": "EUR", "amountMinor": "250"},
        "reference": "invoice 7",
        "description": "lunch",
        "metadata": {"table": "4"},
        "deltaMinor": "-250",
        "postedAfterMinor": "750",
    }
    assert posts[format_id(destination)].content["data"]["deltaMinor"] == "250"


async def test_only_what_was_asked_for(notify: Client, endpoint: Endpoint) -> None:
    """A subscription by wallet and type gets those events only, and none from before it."""
    shard = Shard()
    wallet, other = shard.wallet(), shard.wallet()
    shard.commit(shard.deposit(wallet))
    await notify.send(shard)
    await notify.subscribe(
        endpoint.url, wallets=[wallet], types=["transaction.posted", "wallet.frozen"]
    )
    shard.commit(shard.deposit(other), shard.transfer(wallet, other))
    shard.commit(changes=[shard.change(wallet, ev.WALLET_CHANGE_KIND_FROZEN)])
    shard.commit(changes=[shard.change(wallet, ev.WALLET_CHANGE_KIND_UNFROZEN)])
    shard.commit(shard.deposit(wallet))
    await notify.send(shard)
    await until(lambda: len(endpoint.posts) >= 3)
    assert sorted(endpoint.ids) == ["evt_0_2_1_d", "evt_0_3_0_w", "evt_0_5_0_c"]


async def test_failed_delivery_is_tried_again(notify: Client, endpoint: Endpoint) -> None:
    """Refusals, redirects among them, are tried again with the same id until one succeeds."""
    endpoint.reply(500, 302, 200)
    await notify.subscribe(endpoint.url)
    shard = Shard()
    shard.commit(shard.deposit(shard.wallet()))
    await notify.send(shard)
    await until(lambda: len(endpoint.posts) == 3)
    await asyncio.sleep(0.3)
    assert endpoint.ids == ["evt_0_1_0_c"] * 3


async def test_dead_letter_after_max_attempts(notify: Client, endpoint: Endpoint) -> None:
    """After the setting's attempts a delivery is a dead letter that says why."""
    endpoint.reply(503)
    created = await notify.subscribe(endpoint.url)
    shard = Shard()
    wallet = shard.wallet()
    shard.commit(shard.deposit(wallet))
    await notify.send(shard)
    subscription_id = created.subscription.subscription_id
    letters: list[pb.DeadLetter] = []

    async def given_up() -> bool:
        letters[:] = await notify.dead_letters(subscription_id)
        return bool(letters)

    await until(given_up)
    (letter,) = letters
    assert letter.attempts == len(endpoint.posts) == 4
    assert letter.last_error == "503: because"
    assert letter.event.event_id == "evt_0_1_0_c"
    assert letter.event.wallet_id == format_id(wallet)
    assert letter.event.data["deltaMinor"] == "5"


async def test_gone_is_given_up_at_once(notify: Client, endpoint: Endpoint) -> None:
    """An endpoint that answers 410 is not tried again."""
    endpoint.reply(410)
    created = await notify.subscribe(endpoint.url)
    shard = Shard()
    shard.commit(shard.deposit(shard.wallet()))
    await notify.send(shard)
    await until(lambda: notify.dead_letters(created.subscription.subscription_id))
    (letter,) = await notify.dead_letters(created.subscription.subscription_id)
    assert letter.attempts == len(endpoint.posts) == 1


async def test_hanging_endpoint_holds_up_nobody(
    notify: Client, endpoint: Endpoint, endpoints: Callable[[], Endpoint]
) -> None:
    """While one endpoint hangs, another one gets all its events."""
    hanging = endpoints()
    await hanging.start()

    async def hang(_post: Post) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    hanging.answer = hang
    await notify.subscribe(hanging.url, "one")
    await notify.subscribe(endpoint.url, "two")
    shard = Shard()
    for _ in range(50):
        shard.commit(shard.deposit(shard.wallet()))
    began = time.monotonic()
    await notify.send(shard)
    await until(lambda: len(endpoint.posts) == 50)
    assert time.monotonic() - began < 1.0 + 0.9
    assert len(hanging.posts) <= 16


async def test_full_queue_lags_and_catches_up(migrated: Settings, endpoint: Endpoint) -> None:
    """Behind a full queue events wait in the stream; once the endpoint answers all of them come."""
    small = migrated.model_copy(update={"queue_limit": 4, "retry_attempts": 100})
    endpoint.reply(500)
    async with running(small) as client:
        await client.subscribe(endpoint.url)
        shard = Shard()
        for _ in range(40):
            shard.commit(shard.deposit(shard.wallet()))
        await client.send(shard)
        await until(lambda: len(endpoint.posts) > 10)
        assert len(set(endpoint.ids)) <= 5
        endpoint.reply(200)
        await until(lambda: len(set(endpoint.ids)) == 40)


async def test_lost_events_are_said(migrated: Settings, endpoint: Endpoint) -> None:
    """What was trimmed before a full queue could take it shows as one dead letter."""
    small = migrated.model_copy(update={"queue_limit": 1, "kept_records": 3, "retry_attempts": 100})
    endpoint.reply(500)
    async with running(small) as client:
        created = await client.subscribe(endpoint.url)
        shard = Shard()
        shard.commit(shard.deposit(shard.wallet()))
        await client.send(shard)
        await until(lambda: endpoint.posts)
        for _ in range(10):
            shard.commit(shard.deposit(shard.wallet()))
            await client.send(shard)
            await asyncio.sleep(0.02)
        endpoint.reply(200)
        await until(lambda: client.dead_letters(created.subscription.subscription_id))
        (letter,) = await client.dead_letters(created.subscription.subscription_id)
        assert letter.event.type == "notify.events_lost"
        await until(lambda: endpoint.ids[-1] == "evt_0_11_0_c")


async def test_deleted_subscription_gets_nothing_more(notify: Client, endpoint: Endpoint) -> None:
    """A delete drops what waits for a retry, and what comes later."""
    endpoint.reply(500)
    created = await notify.subscribe(endpoint.url)
    shard = Shard()
    shard.commit(shard.deposit(shard.wallet()))
    await notify.send(shard)
    await until(lambda: endpoint.posts)
    subscription_id = created.subscription.subscription_id
    await notify.stub.DeleteSubscription(
        pb.DeleteSubscriptionRequest(subscription_id=subscription_id)
    )
    await asyncio.sleep(0.05)
    seen = len(endpoint.posts)
    shard.commit(shard.deposit(shard.wallet()))
    await notify.send(shard)
    await asyncio.sleep(0.5)
    assert len(endpoint.posts) == seen


async def test_replay_of_a_time_range(notify: Client, endpoint: Endpoint) -> None:
    """A replay queues the range's events again, those before the subscription included."""
    shard = Shard()
    moments = []
    for _ in range(8):
        shard.commit(shard.deposit(shard.wallet()))
        moments.append(shard.time_us)
    await notify.send(shard)
    created = await notify.subscribe(endpoint.url)
    request = pb.ReplayDeliveriesRequest(
        subscription_id=created.subscription.subscription_id,
        start_time=_timestamp(moments[2]),
        end_time=_timestamp(moments[5]),
    )
    reply = await notify.stub.ReplayDeliveries(request)
    assert reply.queued == 3
    await until(lambda: len(endpoint.posts) == 3)
    assert sorted(endpoint.ids) == ["evt_0_3_0_c", "evt_0_4_0_c", "evt_0_5_0_c"]


async def test_replay_is_bounded(migrated: Settings, endpoint: Endpoint) -> None:
    """A range with more events than one replay may queue is refused, and none of it is queued."""
    small = migrated.model_copy(update={"replay_limit": 2})
    async with running(small) as client:
        shard = Shard()
        for _ in range(3):
            shard.commit(shard.deposit(shard.wallet()))
        await client.send(shard)
        # Events from before the subscription are delivered by a replay alone.
        subscription_id = (await client.subscribe(endpoint.url)).subscription.subscription_id
        everything = pb.ReplayDeliveriesRequest(subscription_id=subscription_id)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.stub.ReplayDeliveries(everything)
        assert reason_of(caught.value) == ("REPLAY_TOO_LARGE", {"limit": "2"})
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        shorter = pb.ReplayDeliveriesRequest(
            subscription_id=subscription_id, start_time=_timestamp(shard.time_us)
        )
        assert (await client.stub.ReplayDeliveries(shorter)).queued == 1
        await until(lambda: endpoint.posts)
        assert [post.event_id for post in endpoint.posts] == ["evt_0_3_0_c"]


async def test_replay_takes_dead_letters_along(migrated: Settings, endpoint: Endpoint) -> None:
    """A dead letter is queued again though its record was trimmed, and then listed no more."""
    small = migrated.model_copy(update={"kept_records": 1})
    endpoint.reply(410)
    async with running(small) as client:
        subscription_id = (await client.subscribe(endpoint.url)).subscription.subscription_id
        shard = Shard()
        shard.commit(shard.deposit(shard.wallet()))
        await client.send(shard)
        await until(lambda: client.dead_letters(subscription_id))
        shard.commit()
        shard.commit()
        await client.send(shard)
        endpoint.reply(200)
        request = pb.ReplayDeliveriesRequest(subscription_id=subscription_id)
        assert (await client.stub.ReplayDeliveries(request)).queued == 1
        await until(lambda: len(endpoint.posts) == 2)
        letters = await client.dead_letters(subscription_id)
        assert "evt_0_1_0_c" not in {letter.event.event_id for letter in letters}


@pytest.mark.parametrize("host", ["localhost", "hook.test"])
async def test_name_that_resolves_to_loopback(
    migrated: Settings, endpoint: Endpoint, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that resolves to loopback is refused when it is connected, whatever it was before."""
    strict = migrated.model_copy(update={"allow_private_targets": False, "retry_attempts": 1})
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def lie(name: str, *args: object, **kwargs: object) -> object:
        return await resolve("127.0.0.1" if name == "hook.test" else name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "getaddrinfo", lie)
    # It is from a time when private targets were allowed, or when its name pointed elsewhere.
    async with running(migrated) as client:
        url = endpoint.url.replace("127.0.0.1", host)
        subscription_id = (await client.subscribe(url)).subscription.subscription_id
    async with running(strict) as client:
        shard = Shard()
        shard.commit(shard.deposit(shard.wallet()))
        await client.send(shard)
        await until(lambda: client.dead_letters(subscription_id))
        (letter,) = await client.dead_letters(subscription_id)
        assert "private address" in letter.last_error
        assert endpoint.posts == []


def _timestamp(time_us: int) -> timestamp_pb2.Timestamp:
    return timestamp_pb2.Timestamp(seconds=time_us // 10**6, nanos=time_us % 10**6 * 1_000)
