"""Answer Envoy's rate limit service. Its words are Envoy's; what they mean is the throttle's."""

from typing import Any

import grpc
import grpc.aio

from edge.access.throttle import MAX_DESCRIPTORS, Throttle
from guilder.edge.proxy import rate_limit_pb2 as pb
from guilder.edge.proxy import rate_limit_pb2_grpc as rpc

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["RateLimitService"].full_name
MESSAGE = b"too many calls: retry after what retry-after says"

Context = grpc.aio.ServicerContext[Any, Any]
_Header = pb.RateLimitResponse.HeaderValue
_Status = pb.RateLimitResponse.DescriptorStatus


class RateLimitServicer(rpc.RateLimitServiceServicer):
    """Parses, asks, renders."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle

    async def ShouldRateLimit(
        self, request: pb.RateLimitRequest, context: Context
    ) -> pb.RateLimitResponse:
        """Count one call, or as many as the request says."""
        if len(request.descriptors) > MAX_DESCRIPTORS:
            text = f"descriptors: must have at most {MAX_DESCRIPTORS}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        verdict = await self._throttle.count(
            [{entry.key: entry.value for entry in one.entries} for one in request.descriptors],
            request.hits_addend or 1,
        )
        code = pb.RateLimitResponse.OK if verdict.passes else pb.RateLimitResponse.OVER_LIMIT
        return pb.RateLimitResponse(
            overall_code=code,
            statuses=[_Status(code=code) for _ in request.descriptors],
            response_headers_to_add=[
                _Header(key=name, value=value) for name, value in verdict.headers
            ],
            raw_body=b"" if verdict.passes else MESSAGE,
        )
