"""The RPCs of NotifyService: one short method each."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import grpc.aio

from guilder.notify.v1 import notify_service_pb2 as pb
from guilder.notify.v1 import notify_service_pb2_grpc as rpc
from notify.api import convert
from notify.channels.replay import Replays
from notify.channels.subscribe import Subscribing
from notify.ingest.stream import IngestStreams
from notify.store.dead_letters import LATEST, DeadLetters
from notify.store.subscriptions import Subscriptions
from notify.streams.watch import Watches
from walletkit.ids import NIL
from walletkit.principal import MOVERS, READERS
from walletkit.rpc import pages
from walletkit.rpc.permission import require

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["NotifyService"].full_name
_SUBSCRIPTIONS = b"subscriptions"

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the RPCs are made of."""

    ingest: IngestStreams
    subscribing: Subscribing
    subscriptions: Subscriptions
    dead_letters: DeadLetters
    replays: Replays
    watches: Watches
    allow_private: bool


class NotifyServicer(rpc.NotifyServiceServicer):
    """Parses, calls, renders. Errors leave as ``ServiceError``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def Ingest(
        self, request_iterator: AsyncIterator[pb.IngestRequest], context: Context
    ) -> AsyncIterator[pb.IngestResponse]:
        """Take in a shard's records."""
        async with aclosing(self._parts.ingest.run(request_iterator)) as responses:
            async for response in responses:
                yield response

    async def CreateSubscription(
        self, request: pb.CreateSubscriptionRequest, context: Context
    ) -> pb.CreateSubscriptionResponse:
        """Subscribe an endpoint."""
        require(MOVERS)
        wish = convert.parse_wish(request, allow_private=self._parts.allow_private)
        created = await self._parts.subscribing.create(wish)
        return pb.CreateSubscriptionResponse(
            subscription=convert.to_subscription(created.subscription),
            secret=created.subscription.secret,
            replayed=created.replayed,
        )

    async def ListSubscriptions(
        self, request: pb.ListSubscriptionsRequest, context: Context
    ) -> pb.ListSubscriptionsResponse:
        """List subscriptions, oldest first."""
        require(READERS)
        size = pages.size_of(request.page_size)
        after = pages.place_of(_SUBSCRIPTIONS, request.page_token, NIL)
        found = await self._parts.subscriptions.page(after, size + 1)
        more = len(found) > size
        return pb.ListSubscriptionsResponse(
            subscriptions=[convert.to_subscription(item) for item in found[:size]],
            next_page_token=(
                pages.token_of(_SUBSCRIPTIONS, found[size - 1].subscription_id) if more else ""
            ),
        )

    async def DeleteSubscription(
        self, request: pb.DeleteSubscriptionRequest, context: Context
    ) -> pb.DeleteSubscriptionResponse:
        """Delete a subscription."""
        require(MOVERS)
        await self._parts.subscribing.delete(convert.parse_subscription_id(request.subscription_id))
        return pb.DeleteSubscriptionResponse()

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, context: Context
    ) -> pb.ListDeadLettersResponse:
        """List dead letters, newest first."""
        require(READERS)
        subscription_id = convert.parse_subscription_id(request.subscription_id)
        size = pages.size_of(request.page_size)
        query = b"dead-letters" + subscription_id
        before = pages.place_of(query, request.page_token, LATEST)
        await self._parts.subscriptions.get(subscription_id)
        found = await self._parts.dead_letters.page(subscription_id, before, size + 1)
        more = len(found) > size
        return pb.ListDeadLettersResponse(
            dead_letters=[
                convert.to_dead_letter(request.subscription_id, letter) for letter in found[:size]
            ],
            next_page_token=pages.token_of(query, found[size - 1].dead_letter_id) if more else "",
        )

    async def ReplayDeliveries(
        self, request: pb.ReplayDeliveriesRequest, context: Context
    ) -> pb.ReplayDeliveriesResponse:
        """Queue the events of a time range again."""
        require(MOVERS)
        subscription_id = convert.parse_subscription_id(request.subscription_id)
        span = convert.parse_span(request)
        item = await self._parts.subscriptions.get(subscription_id)
        return pb.ReplayDeliveriesResponse(queued=await self._parts.replays.replay(item, span))

    async def Watch(
        self, request: pb.WatchRequest, context: Context
    ) -> AsyncIterator[pb.WatchResponse]:
        """Stream events as they happen.

        Not for customers: an event says whose wallet it is of, but not whose account's that is.
        """
        require(READERS)
        wanted = convert.parse_filter(list(request.event_types), list(request.wallet_ids))
        async with aclosing(self._parts.watches.watch(wanted, request.cursor)) as sights:
            async for sight in sights:
                event = None if sight.event is None else convert.to_event(sight.event)
                yield pb.WatchResponse(event=event, cursor=sight.cursor)
