"""Subscriptions: created once a key, listed by page, deleted, and nothing malformed taken."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from sqlalchemy import inspect
from sqlalchemy.dialects import mysql

from guilder.notify.v1 import notify_service_pb2 as pb
from notify.settings import Settings
from notify.store import bootstrap
from notify.store.tables import metadata
from tests.notify.world import Client, fields_of, reason_of, running
from walletkit.ids import SystemKind, format_id, new_id, system_wallet_id
from walletkit.sql.database import Database
from walletkit.sql.migrate import downgrade

URL = "https://example.com/hook"


def wish(**changes: Any) -> pb.CreateSubscriptionRequest:  # noqa: ANN401  # any field
    """Make a request that is right but for the changes."""
    fields: dict[str, Any] = {"url": URL, "idempotency_key": "key", **changes}
    return pb.CreateSubscriptionRequest(**fields)


async def test_same_key_same_subscription(notify: Client) -> None:
    """A repeated request returns the same subscription and secret; its lists are sets."""
    wallets = [format_id(new_id(0)), format_id(new_id(0))]
    types = ["wallet.created", "transaction.posted"]
    first = await notify.stub.CreateSubscription(wish(wallet_ids=wallets, event_types=types))
    again = await notify.stub.CreateSubscription(
        wish(wallet_ids=wallets[::-1] + wallets, event_types=types[::-1])
    )
    assert not first.replayed
    assert again.replayed
    assert again.subscription == first.subscription
    assert again.secret == first.secret
    assert first.secret.startswith("whsec_")
    assert list(first.subscription.event_types) == sorted(types)
    assert sorted(first.subscription.wallet_ids) == sorted(wallets)


async def test_parallel_calls_with_one_key(notify: Client) -> None:
    """Of many calls at once with one key one creates, and all get its reply."""
    replies = await asyncio.gather(*(notify.stub.CreateSubscription(wish()) for _ in range(10)))
    assert len({reply.subscription.subscription_id for reply in replies}) == 1
    assert len({reply.secret for reply in replies}) == 1
    assert sum(not reply.replayed for reply in replies) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "https://example.com/other"},
        {"event_types": ["wallet.created"]},
        {"wallet_ids": [format_id(new_id(0))]},
    ],
    ids=["url", "type", "wallet"],
)
async def test_key_of_another_request(notify: Client, changes: dict[str, Any]) -> None:
    """A key that created something else is refused."""
    await notify.stub.CreateSubscription(wish())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await notify.stub.CreateSubscription(wish(**changes))
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert reason_of(caught.value)[0] == "IDEMPOTENCY_KEY_REUSED"


async def test_list_by_pages(notify: Client) -> None:
    """Pages follow each other, oldest first, and never show a secret; a deleted one is gone."""
    made = [
        (await notify.stub.CreateSubscription(wish(idempotency_key=f"key {n}"))).subscription
        for n in range(5)
    ]
    gone = made.pop(1)
    await notify.stub.DeleteSubscription(
        pb.DeleteSubscriptionRequest(subscription_id=gone.subscription_id)
    )
    seen, token = [], ""
    for _ in range(3):
        request = pb.ListSubscriptionsRequest(page_size=2, page_token=token)
        reply = await notify.stub.ListSubscriptions(request)
        seen += list(reply.subscriptions)
        token = reply.next_page_token
        if not token:
            break
    assert sorted(seen, key=str) == sorted(made, key=str)
    times = [item.create_time.ToNanoseconds() // 10**6 for item in seen]
    assert times == sorted(times)


async def test_delete_twice(notify: Client) -> None:
    """What is deleted is not found, for a list of its dead letters and a replay neither."""
    created = await notify.stub.CreateSubscription(wish())
    name = created.subscription.subscription_id
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: notify.stub.DeleteSubscription(pb.DeleteSubscriptionRequest(subscription_id=name)),
        lambda: notify.stub.ListDeadLetters(pb.ListDeadLettersRequest(subscription_id=name)),
        lambda: notify.stub.ReplayDeliveries(pb.ReplayDeliveriesRequest(subscription_id=name)),
    ]
    await calls[0]()
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call()
        assert reason_of(caught.value)[0] == "SUBSCRIPTION_NOT_FOUND"


BAD: list[tuple[dict[str, Any], set[str]]] = [
    ({"url": ""}, {"url"}),
    ({"url": "ftp://example.com"}, {"url"}),
    ({"url": "example.com/hook"}, {"url"}),
    ({"url": "https://"}, {"url"}),
    ({"url": "https://example.com:99999"}, {"url"}),
    ({"url": "https://user:secret@example.com"}, {"url"}),
    ({"url": "https://exa mple.com"}, {"url"}),
    ({"url": "https://example.com\\@127.0.0.1"}, {"url"}),
    ({"url": "https://ex\u00e4mple.com"}, {"url"}),
    ({"url": f"https://example.com/{'x' * 2_048}"}, {"url"}),
    ({"event_types": ["transaction.posted", "nonsense"]}, {"event_types[1]"}),
    ({"wallet_ids": ["nonsense"]}, {"wallet_ids[0]"}),
    (
        {"wallet_ids": [format_id(system_wallet_id(SystemKind.WORLD, 0, "EUR"))]},
        {"wallet_ids[0]"},
    ),
    ({"wallet_ids": [format_id(new_id(0))] * 1_001}, {"wallet_ids"}),
    ({"idempotency_key": ""}, {"idempotency_key"}),
    ({"idempotency_key": "x" * 129}, {"idempotency_key"}),
    ({"idempotency_key": "k\u00e9y"}, {"idempotency_key"}),
    ({"url": "", "idempotency_key": ""}, {"url", "idempotency_key"}),
]


async def test_malformed_subscriptions(notify: Client) -> None:
    """Each malformed field is named, all of them at once, and nothing is created."""
    for changes, fields in BAD:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await notify.stub.CreateSubscription(wish(**changes))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert fields_of(caught.value) == fields
    assert not (await notify.stub.ListSubscriptions(pb.ListSubscriptionsRequest())).subscriptions


async def test_malformed_lists_and_ids(notify: Client) -> None:
    """Page sizes, tokens of another query, ids and ranges are checked."""
    created = await notify.stub.CreateSubscription(wish())
    await notify.stub.CreateSubscription(wish(idempotency_key="other"))
    name = created.subscription.subscription_id
    page = await notify.stub.ListSubscriptions(pb.ListSubscriptionsRequest(page_size=1))
    span = pb.ReplayDeliveriesRequest(subscription_id=name)
    span.start_time.FromSeconds(10)
    span.end_time.FromSeconds(10)
    letters = pb.ListDeadLettersRequest
    refused: list[tuple[Any, str]] = [
        (notify.stub.ListSubscriptions(pb.ListSubscriptionsRequest(page_size=-1)), "page_size"),
        (notify.stub.ListSubscriptions(pb.ListSubscriptionsRequest(page_size=1_001)), "page_size"),
        (notify.stub.ListSubscriptions(pb.ListSubscriptionsRequest(page_token="x")), "page_token"),
        (
            notify.stub.ListDeadLetters(
                letters(subscription_id=name, page_token=page.next_page_token)
            ),
            "page_token",
        ),
        (notify.stub.ListDeadLetters(letters(subscription_id="nonsense")), "subscription_id"),
        (notify.stub.ReplayDeliveries(span), "end_time"),
    ]
    for call, field in refused:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert fields_of(caught.value) == {field}


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://localhost:8080/", "http://10.0.0.1/", "http://[::1]/"]
)
async def test_private_target_is_refused(migrated: Settings, url: str) -> None:
    """Unless allowed, a private or loopback target is a malformed url."""
    strict = migrated.model_copy(update={"allow_private_targets": False})
    async with running(strict) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.subscribe(url)
        assert fields_of(caught.value) == {"url"}


async def test_number_is_bounded(migrated: Settings) -> None:
    """Beyond the setting's number no subscription is created until one is deleted."""
    small = migrated.model_copy(update={"max_subscriptions": 1})
    async with running(small) as client:
        created = await client.subscribe(URL, "one")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.subscribe(URL, "two")
        assert reason_of(caught.value) == ("SUBSCRIPTION_LIMIT", {"limit": "1"})
        await client.stub.DeleteSubscription(
            pb.DeleteSubscriptionRequest(subscription_id=created.subscription.subscription_id)
        )
        await client.subscribe(URL, "two")


async def test_migrations_make_the_tables(settings: Settings) -> None:
    """The migrations make what the code declares, may run again, and can be taken back."""
    await bootstrap.bootstrap(settings.database_url)
    await bootstrap.bootstrap(settings.database_url)
    assert await _columns(settings) == {
        table.name: {
            column.name: column.type.compile(mysql.dialect()) for column in table.columns
        }.keys()
        for table in metadata.sorted_tables
    }
    await downgrade(settings.database_url, bootstrap.MIGRATIONS, "base")
    assert await _columns(settings) == {}


async def _columns(settings: Settings) -> dict[str, Any]:
    database = Database(settings.database_url, "notify", durable=True)
    async with database.transaction() as connection:
        found = await connection.run_sync(
            lambda sync: {
                name: {column["name"] for column in inspect(sync).get_columns(name)}
                for name in inspect(sync).get_table_names()
                if name != "alembic_version"
            }
        )
    await database.close()
    return found
