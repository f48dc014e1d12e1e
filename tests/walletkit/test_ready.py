"""Health for probes: live from the start, ready when the service says so, in the clear."""

import asyncio
import os
import signal
from pathlib import Path

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2

from walletkit.auth.settings import AuthSettings
from walletkit.rpc import health, ready, server
from walletkit.stack.settings import free_ports

Status = health_pb2.HealthCheckResponse


class Service:
    """A service that is ready when the test says so."""

    ready = False

    async def drain(self) -> None:
        """Have nothing to drain."""


async def asked(address: str, name: str) -> str:
    """Return what health says under a name."""
    async with grpc.aio.insecure_channel(address) as channel:
        check: grpc.aio.UnaryUnaryMultiCallable[
            health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
        ] = channel.unary_unary(
            health.CHECK,
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        request = health_pb2.HealthCheckRequest(service=name)
        reply = await check(request, timeout=10, wait_for_ready=True)
    return Status.ServingStatus.Name(reply.status)


async def test_a_service_is_live_before_it_is_ready() -> None:
    """A database that is away must not have the process replaced: that would bring nothing back."""
    service, (listen, probes) = Service(), (f"127.0.0.1:{port}" for port in free_ports(2))
    serving = asyncio.create_task(
        server.serve(
            listen=listen,
            auth=AuthSettings(auth_mode="trusted", health_address=probes),
            register=lambda _: None,
            service_names=("some.Service",),
            ready=lambda: service.ready,
            drain=service.drain,
        )
    )
    assert await asked(probes, server.LIVE) == "SERVING"
    assert await asked(probes, "") == "NOT_SERVING"
    service.ready = True
    assert await ready.wait_ready(probes) == ""
    assert await asked(listen, "some.Service") == "SERVING"
    os.kill(os.getpid(), signal.SIGTERM)
    await serving


async def test_what_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is what somebody reads in the log of a failed `helm test`."""
    monkeypatch.setattr(ready, "TRIES", 2)
    (port,) = free_ports(1)
    assert await ready.wait_ready(f"127.0.0.1:{port}") == "UNAVAILABLE"
    assert "refused" in await ready.wait_ready(f"http://127.0.0.1:{port}/healthz")
