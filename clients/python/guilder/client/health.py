"""Ask the services whether they are ready, by the gRPC health protocol. Client room."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

import grpc
import grpc.aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from guilder.client.errors import UnavailableError

ServiceName = Literal["wallet", "ledger", "notify"]
"""A service of the suite, by its short name."""

ALL_SERVICES: Sequence[ServiceName] = ("wallet", "ledger", "notify")

READY_TIMEOUT_SECONDS = 30.0
"""How long ``wait_ready`` waits where the caller does not say."""

CHECK_TIMEOUT_SECONDS = 1.0
"""Deadline of one question; a service that is ready answers at once."""

POLL_SECONDS = 0.1

CheckMethod = grpc.aio.UnaryUnaryMultiCallable[HealthCheckRequest, HealthCheckResponse]

_FULL_NAMES: Mapping[ServiceName, str] = {
    "wallet": "guilder.wallet.v1.WalletService",
    "ledger": "guilder.ledger.v1.LedgerService",
    "notify": "guilder.notify.v1.NotifyService",
}


class Health:
    """The readiness of the services behind some channels."""

    def __init__(self, channels: Mapping[ServiceName, grpc.aio.Channel]) -> None:
        """Ask over ``channels``, which stay their owner's to close."""
        self._checks: dict[ServiceName, CheckMethod] = {
            name: channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=HealthCheckRequest.SerializeToString,
                response_deserializer=HealthCheckResponse.FromString,
            )
            for name, channel in channels.items()
        }

    async def healthy(
        self,
        services: Sequence[ServiceName] = ALL_SERVICES,
        *,
        timeout_seconds: float = CHECK_TIMEOUT_SECONDS,
    ) -> bool:
        """Tell whether all of these services say that they serve, now."""
        checks = [self._serves(name, timeout_seconds) for name in services]
        return all(await asyncio.gather(*checks))

    async def wait_ready(
        self,
        timeout_seconds: float = READY_TIMEOUT_SECONDS,
        services: Sequence[ServiceName] = ALL_SERVICES,
    ) -> None:
        """Return when all of these services have said that they serve.

        Raise ``UnavailableError`` that names those that have not in time.
        """
        waits = [self._wait(name, timeout_seconds) for name in services]
        ready = await asyncio.gather(*waits)
        missing = [name for name, is_ready in zip(services, ready, strict=True) if not is_ready]
        if missing:
            names = ", ".join(missing)
            message = f"not ready after {timeout_seconds:g} s: {names}"
            code = grpc.StatusCode.UNAVAILABLE
            raise UnavailableError(code, code.name, message, {"services": names})

    async def _wait(self, name: ServiceName, timeout_seconds: float) -> bool:
        """Ask until the service serves or the time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_seconds
        while (left := end - loop.time()) > 0:
            if await self._serves(name, min(CHECK_TIMEOUT_SECONDS, left)):
                return True
            await asyncio.sleep(min(POLL_SECONDS, max(0.0, end - loop.time())))
        return False

    async def _serves(self, name: ServiceName, timeout_seconds: float) -> bool:
        request = HealthCheckRequest(service=_FULL_NAMES[name])
        try:
            reply = await self._checks[name](request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError:
            return False
        return reply.status == HealthCheckResponse.SERVING
