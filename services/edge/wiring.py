"""Put the parts together: the only file that constructs clients, pools and loops."""

from dataclasses import dataclass

import grpc.aio

from edge.access.gate import Gate
from edge.access.issuer import Issuer, SigningKey
from edge.access.keyring import Keyring
from edge.access.loops import Loops
from edge.access.managing import Managing
from edge.access.sealing import Sealer
from edge.access.throttle import Throttle
from edge.access.uses import Uses
from edge.api import key_servicer
from edge.api.authorization_servicer import AuthorizationServicer
from edge.api.key_servicer import KeyServicer, Parts
from edge.api.limit_servicer import LimitServicer
from edge.counters.buckets import Buckets
from edge.counters.connection import Client, connect
from edge.counters.nonces import Nonces
from edge.settings import Settings, read_limits
from edge.store.key_events import KeyEvents
from edge.store.keys import Keys
from guilder.edge.proxy import authorization_pb2_grpc
from guilder.edge.v1 import key_service_pb2_grpc, limit_service_pb2_grpc
from walletkit.rpc.server import serve as serve_grpc
from walletkit.sql.database import Database

SERVICE_NAMES = (key_servicer.SERVICE_NAME,)
"""What health and reflection know; Envoy needs none of what it asks described."""


@dataclass(frozen=True, slots=True)
class App:
    """One process of edge; its loops run from ``start`` to ``close``."""

    keys: KeyServicer
    authorization: AuthorizationServicer
    limits: LimitServicer
    loops: Loops
    uses: Uses
    database: Database
    redis: Client

    def register(self, server: grpc.aio.Server) -> None:
        """Add the services to a server."""
        key_service_pb2_grpc.add_KeyServiceServicer_to_server(self.keys, server)
        authorization_pb2_grpc.add_AuthorizationServicer_to_server(self.authorization, server)
        limit_service_pb2_grpc.add_LimitServiceServicer_to_server(self.limits, server)

    async def close(self) -> None:
        """Stop the loops, then close all connections; in all well within the server's drain."""
        try:
            await self.loops.stop()
        finally:
            await self.redis.aclose()
            await self.database.close()


def build(settings: Settings) -> App:
    """Construct everything; nothing connects yet. Needs a running event loop.

    Raise ``SettingsError`` when a key file does not hold a key.
    """
    sealer = Sealer.read(settings.sealing_key_file)
    signing_key = SigningKey.read(settings.signing_key_file)
    durable = not settings.allow_weak_durability
    database = Database(settings.database_url, "edge", durable=durable)
    redis = connect(settings.redis_url)
    keys = Keys(database, settings.max_keys)
    keyring, uses = Keyring(keys), Uses(keys)
    gate = Gate(
        keyring=keyring,
        sealer=sealer,
        nonces=Nonces(redis),
        issuer=Issuer(signing_key, settings.issuer, settings.audience),
        uses=uses,
        window_s=settings.signature_window_s,
    )
    throttle = Throttle(
        Buckets(redis),
        read_limits(settings.limits_file),
        allow_uncounted=settings.rate_limit_on_failure == "allow",
    )
    return App(
        keys=KeyServicer(Parts(Managing(keys, keyring, sealer), keys, KeyEvents(database))),
        authorization=AuthorizationServicer(gate),
        limits=LimitServicer(throttle),
        loops=Loops(database, uses),
        uses=uses,
        database=database,
        redis=redis,
    )


async def serve(settings: Settings) -> None:
    """Run the service until a signal says stop. Raise ``SettingsError``."""
    app = build(settings)
    app.loops.start()
    await serve_grpc(
        listen=settings.listen,
        register=app.register,
        service_names=SERVICE_NAMES,
        ready=app.loops.is_ready,
        drain=app.close,
        auth=settings,
    )
