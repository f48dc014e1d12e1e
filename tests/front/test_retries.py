"""A call that one replica refuses finds its way to another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.front.beside import configuration, running
from tests.front.door import Door, opened
from walletkit.front.clusters import socket_address
from walletkit.stack import Stack
from walletkit.stack.settings import LOOPBACK, free_ports

CALLERS, CALLS = 12, 10


class Refusing:
    """A replica that has begun to stop, and whose health nobody has asked for since."""

    def __init__(self) -> None:
        """Nobody has called."""
        self.calls = 0

    async def refuse(self, _request: bytes, context: Any) -> bytes:  # noqa: ANN401  # Cython's
        """Refuse a call."""
        self.calls += 1
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the process is stopping")
        return b""


@asynccontextmanager
async def refusing() -> AsyncIterator[tuple[Refusing, int]]:
    """Serve every transfer by refusing it; yield it with its port."""
    replica = Refusing()
    there = grpc.aio.server()
    make: Any = grpc.unary_unary_rpc_method_handler
    methods = {"Transfer": make(replica.refuse)}
    handler = grpc.method_handlers_generic_handler("guilder.wallet.v1.WalletService", methods)
    there.add_generic_rpc_handlers((handler,))
    state = health.aio.HealthServicer()
    await state.set("guilder.wallet.v1.WalletService", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(state, there)
    port = there.add_insecure_port(f"{LOOPBACK}:0")
    await there.start()
    try:
        yield replica, port
    finally:
        await there.stop(None)


async def test_a_refused_transfer_is_made_elsewhere(
    suite: Stack, door: Door, tmp_path: Path
) -> None:
    """Who refuses has the fewest calls under way, so the balancer prefers it; yet none is lost."""
    source = await door.wallet("retries-1", 1_000_000)
    destination = await door.wallet("retries-2", 0)
    (port,) = free_ports(1)
    listen = f"{LOOPBACK}:{port}"
    made = configuration(suite, listen=listen)
    (wallet,) = (one for one in made["static_resources"]["clusters"] if one["name"] == "wallet")
    (locality,) = wallet["load_assignment"]["endpoints"]
    async with refusing() as (replica, refuses_at):
        address = socket_address(f"{LOOPBACK}:{refuses_at}")
        locality["lb_endpoints"].append({"endpoint": {"address": address}})
        async with (
            running(made, tmp_path, f"http://{listen}"),
            opened(suite, f"http://{listen}") as there,
        ):
            await asyncio.gather(
                *[move(there, source, destination, f"retried-{n}") for n in range(CALLERS)]
            )
    assert replica.calls >= CALLERS
    reply = await door.send("GET", f"/v1/wallets/{destination}/balance")
    assert int(reply.json["balance"]["postedMinor"]) == CALLERS * CALLS


async def move(door: Door, source: str, destination: str, name: str) -> None:
    """Move a cent some times, each with a key of its own, and never try again."""
    body = {
        "sourceWalletId": source,
        "destinationWalletId": destination,
        "amount": {"currencyCode": "EUR", "amountMinor": "1"},
    }
    for number in range(CALLS):
        key = {"idempotency-key": f"{name}-{number}"}
        reply = await door.send("POST", "/v1/transfers", json=body, headers=key)
        assert reply.status == 200, reply.text
