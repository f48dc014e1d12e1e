"""Answer TakeTokens: checks the request, asks the throttle, renders."""

from typing import Any

import grpc.aio

from edge.access.throttle import Throttle
from edge.domain.limits import MAX_TOKENS
from guilder.edge.v1 import limit_service_pb2 as pb
from guilder.edge.v1 import limit_service_pb2_grpc as rpc
from walletkit.errors import invalid_field

MAX_CLIENT_LENGTH = 32_768
"""As long as all headers of a request may be at Envoy."""

Context = grpc.aio.ServicerContext[Any, Any]


class LimitServicer(rpc.LimitServiceServicer):
    """What Envoy asks about limits."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle

    async def TakeTokens(
        self, request: pb.TakeTokensRequest, context: Context
    ) -> pb.TakeTokensResponse:
        """Give tokens of a client's bucket. Raise INVALID_FIELD."""
        client, tokens = request.client, request.tokens
        if not 1 <= len(client) <= MAX_CLIENT_LENGTH:
            rule = f"must have 1 to {MAX_CLIENT_LENGTH} characters"
            raise invalid_field("client", f"{len(client)} characters", rule)
        if not 1 <= tokens <= MAX_TOKENS:
            raise invalid_field("tokens", tokens, f"must be 1 to {MAX_TOKENS}")
        lease = await self._throttle.take(client, request.route, tokens, request.refused)
        return pb.TakeTokensResponse(
            tokens=lease.tokens,
            wait_ms=lease.wait_ms,
            limit=lease.limit,
            remaining=lease.remaining,
            reset_ms=lease.reset_ms,
        )
