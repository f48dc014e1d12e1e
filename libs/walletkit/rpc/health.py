"""Ask a service for its health, as a whole."""

import grpc.aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

SERVING = "SERVING"
CHECK = "/grpc.health.v1.Health/Check"


async def health_of(channel: grpc.aio.Channel, timeout_s: float) -> str:
    """Return what a service tells: ``SERVING`` or what else. Raise ``AioRpcError``."""
    ask = channel.unary_unary(
        CHECK,
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    reply = await ask(HealthCheckRequest(), timeout=timeout_s)
    return HealthCheckResponse.ServingStatus.Name(reply.status)
