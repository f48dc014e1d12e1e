"""What operators and newcomers see of the services from outside."""

import asyncio
import itertools

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from guilder.cli.demo.receiver import Delivery, Receiver
from tests.e2e.traffic import euros, open_client
from walletkit.stack import Stack

SERVICES = {
    "wallet": {"guilder.wallet.v1.WalletService", "guilder.wallet.v1.WalletAuditService"},
    "ledger": {"guilder.ledger.v1.LedgerService"},
    "notify": {"guilder.notify.v1.NotifyService"},
}
WEBHOOK_S = 20.0


@pytest.mark.parametrize("name", SERVICES)
def test_reflection_names_the_services(suite: Stack, name: str) -> None:
    """`grpcurl list` shows them, and describes their methods, without a proto at hand."""
    with grpc.insecure_channel(suite.address(name)) as channel:
        reflection = ProtoReflectionDescriptorDatabase(channel)
        named = set(reflection.get_services())
        assert SERVICES[name] <= named
        assert {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= named
        for service in SERVICES[name]:
            described = reflection.FindFileContainingSymbol(service)
            assert [s.name for s in described.service if s.name == service.rpartition(".")[2]]


@pytest.mark.parametrize("name", SERVICES)
def test_health_knows_each_service(suite: Stack, name: str) -> None:
    """By its full name and as a whole; another name is NOT_FOUND."""
    with grpc.insecure_channel(suite.address(name)) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        for service in ("", *SERVICES[name]):
            reply = check(health_pb2.HealthCheckRequest(service=service), timeout=5)
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as refused:
            check(health_pb2.HealthCheckRequest(service="guilder.none.v1.None"), timeout=5)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_transfer_across_shards_reaches_a_webhook(suite: Stack) -> None:
    """Both sides are told, signed, each of its own change; also after notify was killed."""
    async with open_client(suite) as guilder, Receiver() as receiver:
        wallets = []
        for account in ("webhook-3", "webhook-4", "webhook-8", "webhook-9"):
            made = await guilder.wallet.create_wallet(account, "EUR", idempotency_key="w")
            await guilder.wallet.deposit(made.wallet.wallet_id, euros(100), idempotency_key="d")
            wallets.append(made.wallet.wallet_id)
        subscribed = await guilder.notify.create_subscription(
            receiver.url, event_types=["transaction.posted"], wallet_ids=wallets
        )
        receiver.trust(subscribed.secret)
        sent = set()
        for n, (source, destination) in enumerate(itertools.pairwise(wallets)):
            if n == 1:
                await asyncio.to_thread(suite.kill, "notify")
            reply = await guilder.wallet.transfer(
                source, destination, euros(30), idempotency_key=f"t{n}"
            )
            sent.add(reply.transaction.transaction_id)
        await asyncio.to_thread(suite.start, "notify")

        def enough(deliveries: list[Delivery]) -> bool:
            return sum(d.body["data"].get("transactionId") in sent for d in deliveries) >= 6

        told = await receiver.wait(enough, WEBHOOK_S)
        await guilder.notify.delete_subscription(subscribed.subscription.subscription_id)
    assert all(delivery.verified for delivery in told)
    deltas = sorted(
        (delivery.body["data"]["transactionId"], delivery.body["data"]["deltaMinor"])
        for delivery in told
        if delivery.body["data"].get("transactionId") in sent
    )
    assert deltas == sorted((tx, delta) for tx in sent for delta in ("-30", "30"))
