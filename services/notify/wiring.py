"""Put the parts together: the only file that constructs clients, pools and loops."""

from dataclasses import dataclass

import grpc.aio

from guilder.notify.v1 import notify_service_pb2_grpc as rpc
from notify.api.notify_servicer import SERVICE_NAME, NotifyServicer, Parts
from notify.channels.courier import Bounds, Courier
from notify.channels.dispatch import Dispatch
from notify.channels.loops import Loops, purge_of
from notify.channels.lost import Losses
from notify.channels.registry import Registry
from notify.channels.replay import Replays
from notify.channels.subscribe import Subscribing
from notify.channels.webhook import Webhooks
from notify.domain.delivery import RetryPolicy
from notify.ingest.stream import IngestStreams
from notify.settings import Settings
from notify.store.dead_letters import DeadLetters
from notify.store.subscriptions import Subscriptions
from notify.streams.connection import Client, connect
from notify.streams.queues import Queues
from notify.streams.records import Records
from notify.streams.tail import Tail
from notify.streams.watch import Watches
from walletkit.rpc.server import serve as serve_grpc
from walletkit.sql.database import Database

_MS_PER_S = 1_000


@dataclass(frozen=True, slots=True)
class App:
    """One process of notify; its loops run from ``start`` to ``close``."""

    servicer: NotifyServicer
    loops: Loops
    webhooks: Webhooks
    database: Database
    redis: Client

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service to a server."""
        rpc.add_NotifyServiceServicer_to_server(self.servicer, server)

    async def close(self) -> None:
        """Stop the loops, then close all connections; in all well within the server's drain."""
        try:
            await self.loops.stop()
        finally:
            await self.webhooks.close()
            await self.redis.aclose()
            await self.database.close()


def build(settings: Settings) -> App:
    """Construct everything; nothing connects yet. Needs a running event loop."""
    durable = not settings.allow_weak_durability
    database = Database(settings.database_url, "notify", durable=durable)
    redis = connect(settings.redis_url)
    records = Records(redis, settings.kept_records, settings.kept_bytes)
    queues, tail = Queues(redis), Tail(records)
    subscriptions = Subscriptions(database, settings.max_subscriptions)
    letters = DeadLetters(database)
    registry = Registry(subscriptions, queues, tail)
    webhooks = Webhooks(
        allow_private=settings.allow_private_targets,
        timeout_s=settings.delivery_timeout_s,
        connections=settings.deliveries_total,
    )
    courier = Courier(queues, registry, webhooks, letters, _policy(settings), _bounds(settings))
    losses = Losses(letters)
    dispatch = Dispatch(records, queues, tail, registry, losses, settings.queue_limit)
    parts = Parts(
        ingest=IngestStreams(records, tail, settings.ingest_window),
        subscribing=Subscribing(subscriptions, records, queues, registry),
        subscriptions=subscriptions,
        dead_letters=letters,
        replays=Replays(records, queues, letters, settings.replay_limit),
        watches=Watches(records, tail, settings.max_watchers, settings.heartbeat_s),
        allow_private=settings.allow_private_targets,
    )
    purge = purge_of(subscriptions, letters, settings.key_days, settings.dead_letter_days)
    loops = Loops(tail=tail, dispatch=dispatch, courier=courier, database=database, purge=purge)
    return App(NotifyServicer(parts), loops, webhooks, database, redis)


async def serve(settings: Settings) -> None:
    """Run the service until a signal says stop."""
    app = build(settings)
    app.loops.start()
    await serve_grpc(
        listen=settings.listen,
        auth=settings,
        register=app.register,
        service_names=(SERVICE_NAME,),
        ready=app.loops.is_ready,
        drain=app.close,
    )


def _policy(settings: Settings) -> RetryPolicy:
    return RetryPolicy(
        base_ms=int(settings.retry_base_s * _MS_PER_S),
        factor=settings.retry_factor,
        cap_ms=int(settings.retry_cap_s * _MS_PER_S),
        max_attempts=settings.retry_attempts,
    )


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        total=settings.deliveries_total,
        per_subscription=settings.deliveries_per_subscription,
        timeout_s=settings.delivery_timeout_s,
    )
