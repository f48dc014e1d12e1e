"""Construct the wallet service's parts: the only file that does."""

import grpc.aio

from guilder.wallet.v1 import wallet_audit_service_pb2 as audit_pb
from guilder.wallet.v1 import wallet_audit_service_pb2_grpc as audit_stubs
from guilder.wallet.v1 import wallet_service_pb2 as wallet_pb
from guilder.wallet.v1 import wallet_service_pb2_grpc as wallet_stubs
from wallet.api.audit_servicer import WalletAuditServicer
from wallet.api.history import History
from wallet.api.wallet_servicer import WalletServicer
from wallet.engine.router import Router
from wallet.relay import sinks
from wallet.relay.process import run_relay
from wallet.relay.sinks import CHANNEL_OPTIONS
from wallet.relay.upkeep import Retention
from wallet.settings import Settings
from wallet.store.shard import Shard
from walletkit.rpc.server import serve as serve_rpc
from walletkit.rpc.tls import open_channel

SERVICE_NAMES = (
    wallet_pb.DESCRIPTOR.services_by_name["WalletService"].full_name,
    audit_pb.DESCRIPTOR.services_by_name["WalletAuditService"].full_name,
)


async def serve(settings: Settings) -> None:
    """Serve wallets until a signal says stop. Raise ``SlotMapError`` when the shards don't fit."""
    durable = not settings.allow_weak_durability
    router = Router(
        [Shard(number, url, durable=durable) for number, url in enumerate(settings.shard_urls)],
        window_s=settings.batch_window_ms / 1000,
        queue_limit=settings.queue_limit,
        leg_wait_s=settings.leg_wait_ms / 1000,
    )
    await router.start()
    async with open_channel(settings.ledger_address, settings) as ledger:
        wallets = WalletServicer(router, History(ledger))
        audits = WalletAuditServicer(settings.shard_urls)

        def register(server: grpc.aio.Server) -> None:
            wallet_stubs.add_WalletServiceServicer_to_server(wallets, server)
            audit_stubs.add_WalletAuditServiceServicer_to_server(audits, server)

        await serve_rpc(
            listen=settings.listen,
            auth=settings,
            register=register,
            service_names=SERVICE_NAMES,
            ready=router.ready,
            drain=router.drain,
        )


async def relay(settings: Settings) -> None:
    """Stream the outboxes until a signal says stop. Raise ``StartError``."""
    await run_relay(
        settings.shard_urls,
        (
            sinks.ledger(open_channel(settings.ledger_address, settings, CHANNEL_OPTIONS)),
            sinks.notify(open_channel(settings.notify_address, settings, CHANNEL_OPTIONS)),
        ),
        durable=not settings.allow_weak_durability,
        kept=Retention(
            settings.outbox_retention_hours, settings.key_days, settings.transaction_days
        ),
        replica_urls=settings.replica_urls,
    )
