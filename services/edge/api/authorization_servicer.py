"""Answer Envoy's external authorization. Its words are Envoy's; what they mean is the gate's."""

from typing import Any

import grpc.aio
from google.rpc import code_pb2, status_pb2

from edge.access.gate import AUTHORIZATION_HEADER, Attempt, Gate, Grant, Refusal
from guilder.edge.proxy import authorization_pb2 as pb
from guilder.edge.proxy import authorization_pb2_grpc as rpc

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["Authorization"].full_name
BODY_EXTENSION = "body"
NO_BODY = "none"
"""What a route's context says where Envoy does not wait for the body, as of a stream."""
RETRY_AFTER_S = "1"

Context = grpc.aio.ServicerContext[Any, Any]
_OK = status_pb2.Status(code=code_pb2.OK)
_UNAUTHORIZED, _UNAVAILABLE = 401, 503


class AuthorizationServicer(rpc.AuthorizationServicer):
    """Parses, asks, renders."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        """Decide about one call."""
        http = request.attributes.request.http
        bodiless = request.attributes.context_extensions.get(BODY_EXTENSION) == NO_BODY
        decided = await self._gate.check(
            Attempt(
                method=http.method,
                path=http.path,
                headers=dict(http.headers),
                body=None if bodiless else http.raw_body,
            )
        )
        return _granted(decided) if isinstance(decided, Grant) else _refused(decided)


def _granted(grant: Grant) -> pb.CheckResponse:
    passed = pb.OkHttpResponse(headers_to_remove=grant.remove)
    answer = pb.CheckResponse(status=_OK, ok_response=passed)
    if grant.token:
        bearer = f"Bearer {grant.token}"
        answer.ok_response.headers.append(_header(AUTHORIZATION_HEADER, bearer))
        if grant.kept_ms:
            # Read by walletkit/front/known_keys.lua.
            answer.dynamic_metadata.update({AUTHORIZATION_HEADER: bearer, "kept_ms": grant.kept_ms})
    return answer


def _refused(refusal: Refusal) -> pb.CheckResponse:
    """Refuse with a sentence; Envoy's configuration makes JSON or a gRPC status of it."""
    denied = pb.DeniedHttpResponse(body=refusal.message)
    if refusal.retry:
        denied.status.code = _UNAVAILABLE
        denied.headers.append(_header("retry-after", RETRY_AFTER_S))
        code = code_pb2.UNAVAILABLE
    else:
        denied.status.code = _UNAUTHORIZED
        denied.headers.append(_header("www-authenticate", 'Bearer realm="guilder"'))
        code = code_pb2.UNAUTHENTICATED
    status = status_pb2.Status(code=code, message=refusal.message)
    return pb.CheckResponse(status=status, denied_response=denied)


def _header(name: str, value: str) -> pb.HeaderValueOption:
    """Set a header, instead of whatever was there."""
    action = pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return pb.HeaderValueOption(header=pb.HeaderValue(key=name, value=value), append_action=action)
