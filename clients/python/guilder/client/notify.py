"""Call notify: subscriptions, dead letters, live events. Client room: over the stubs."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Unpack

import grpc
import grpc.aio

from guilder.client.calls import (
    DEFAULT_POLICY,
    CallPolicy,
    call_unary,
    change,
    read,
    read_stream,
)
from guilder.client.errors import (
    CredentialsExpiredError,
    DeadlineExceededError,
    NotFoundError,
    UnavailableError,
)
from guilder.client.options import ChangeOptions, key_of
from guilder.client.pages import page_size, walk
from guilder.client.times import to_timestamp
from guilder.notify.v1.notify_service_pb2 import (
    CreateSubscriptionRequest,
    CreateSubscriptionResponse,
    DeadLetter,
    DeleteSubscriptionRequest,
    ListDeadLettersRequest,
    ListSubscriptionsRequest,
    ReplayDeliveriesRequest,
    Subscription,
    WatchRequest,
    WatchResponse,
)
from guilder.notify.v1.notify_service_pb2_grpc import NotifyServiceStub

WATCH_IDLE_SECONDS = 60.0
"""A watch that is silent for so long, heartbeats included, counts as broken and is opened again."""


class NotifyClient:
    """Subscriptions and events. Every method raises ``GuilderError`` by reason."""

    def __init__(self, channel: grpc.aio.Channel, policy: CallPolicy = DEFAULT_POLICY) -> None:
        """Speak over ``channel``, which stays its owner's to close."""
        self._stub = NotifyServiceStub(channel)
        self._policy = policy

    async def create_subscription(
        self,
        url: str,
        *,
        event_types: Sequence[str] = (),
        wallet_ids: Sequence[str] = (),
        timeout_seconds: float | None = None,
        **options: Unpack[ChangeOptions],
    ) -> CreateSubscriptionResponse:
        """Subscribe an endpoint; no event type or no wallet means all.

        The reply is the only one that shows the secret. Raise ``SubscriptionLimitError``.
        """
        request = CreateSubscriptionRequest(
            url=url,
            event_types=event_types,
            wallet_ids=wallet_ids,
            idempotency_key=key_of(options),
        )
        return await change(self._stub.CreateSubscription, request, self._policy, timeout_seconds)

    def list_subscriptions(
        self, *, limit: int | None = None, timeout_seconds: float | None = None
    ) -> AsyncIterator[Subscription]:
        """Iterate over the subscriptions, oldest first."""

        async def fetch(token: str) -> tuple[Sequence[Subscription], str]:
            request = ListSubscriptionsRequest(page_size=page_size(limit), page_token=token)
            page = await read(self._stub.ListSubscriptions, request, self._policy, timeout_seconds)
            return page.subscriptions, page.next_page_token

        return walk(fetch, limit)

    async def delete_subscription(
        self, subscription_id: str, *, timeout_seconds: float | None = None
    ) -> None:
        """Delete a subscription. One that is gone at a second attempt was deleted by the first.

        Raise ``SubscriptionNotFoundError``.
        """
        policy = self._policy.within(timeout_seconds)
        request = DeleteSubscriptionRequest(subscription_id=subscription_id)
        try:
            await call_unary(self._stub.DeleteSubscription, request, policy.once())
        except UnavailableError:
            try:
                await call_unary(self._stub.DeleteSubscription, request, policy)
            except NotFoundError:
                return

    def list_dead_letters(
        self,
        subscription_id: str,
        *,
        limit: int | None = None,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[DeadLetter]:
        """Iterate over the deliveries that were given up, newest first.

        Raise ``SubscriptionNotFoundError``.
        """

        async def fetch(token: str) -> tuple[Sequence[DeadLetter], str]:
            request = ListDeadLettersRequest(
                subscription_id=subscription_id, page_size=page_size(limit), page_token=token
            )
            page = await read(self._stub.ListDeadLetters, request, self._policy, timeout_seconds)
            return page.dead_letters, page.next_page_token

        return walk(fetch, limit)

    async def replay_deliveries(
        self,
        subscription_id: str,
        start_time: datetime,
        end_time: datetime,
        *,
        timeout_seconds: float | None = None,
    ) -> int:
        """Queue the events of a time range again; return how many. Without a key, so sent once.

        Raise ``SubscriptionNotFoundError``, ``ReplayTooLargeError``.
        """
        request = ReplayDeliveriesRequest(
            subscription_id=subscription_id,
            start_time=to_timestamp(start_time),
            end_time=to_timestamp(end_time),
        )
        once = self._policy.within(timeout_seconds).once()
        return (await call_unary(self._stub.ReplayDeliveries, request, once)).queued

    async def watch(
        self,
        *,
        event_types: Sequence[str] = (),
        wallet_ids: Sequence[str] = (),
        cursor: str = "",
        idle_seconds: float = WATCH_IDLE_SECONDS,
    ) -> AsyncGenerator[WatchResponse]:
        """Yield events as they happen, for ever; after a break go on right behind the last one.

        ``cursor`` of an earlier event goes on behind it, ``0`` begins with all that is kept.
        Heartbeats are not yielded. A watch ends with its token, and goes on with the token of
        then. Raise ``CredentialsExpiredError`` where that is over, too, or ``CursorExpiredError``.
        """
        request = WatchRequest(event_types=event_types, wallet_ids=wallet_ids, cursor=cursor)
        failures, begun = 0, False
        while True:
            try:
                begun = False
                async with aclosing(self._watch_once(request, idle_seconds)) as responses:
                    async for response in responses:
                        failures, begun = 0, True
                        request.cursor = response.cursor or request.cursor
                        if response.HasField("event"):
                            yield response
            except UnavailableError:
                failures += 1
                if failures >= self._policy.max_attempts:
                    raise
                await asyncio.sleep(self._policy.wait_seconds(failures))
            except CredentialsExpiredError:
                # Of one that was good when the watch began, there may be a newer one by now.
                if not begun:
                    raise

    async def _watch_once(
        self, request: WatchRequest, idle_seconds: float
    ) -> AsyncGenerator[WatchResponse]:
        """Yield what one call brings; its end or silence is an ``UnavailableError``."""
        async with aclosing(read_stream(self._stub.Watch(request))) as responses:
            while True:
                try:
                    async with asyncio.timeout(idle_seconds):
                        response = await anext(responses, None)
                except TimeoutError as error:
                    code = grpc.StatusCode.DEADLINE_EXCEEDED
                    message = f"the watch was silent for {idle_seconds:g} s"
                    raise DeadlineExceededError(code, code.name, message) from error
                if response is None:
                    message = "the watch ended"
                    raise UnavailableError(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", message)
                yield response
