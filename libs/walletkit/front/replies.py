"""What Envoy itself answers: the JSON that a service's errors have too, and never to gRPC. Pure."""

from typing import Any, NamedTuple

from google.rpc import code_pb2

from walletkit.errors import DOMAIN

Json = dict[str, Any]

AUTHORIZATION_FLAG = "UAEX"
"""Set on what the edge has refused."""


class Reply(NamedTuple):
    """What a refusal by Envoy says besides its message."""

    code: int
    """Of google.rpc.Code, as in what services answer."""
    reason: str


REPLIES = {
    400: Reply(code_pb2.INVALID_ARGUMENT, "BAD_REQUEST"),
    401: Reply(code_pb2.UNAUTHENTICATED, "UNAUTHENTICATED"),
    403: Reply(code_pb2.PERMISSION_DENIED, "PERMISSION_DENIED"),
    404: Reply(code_pb2.NOT_FOUND, "NO_SUCH_PATH"),
    408: Reply(code_pb2.DEADLINE_EXCEEDED, "REQUEST_TOO_SLOW"),
    413: Reply(code_pb2.INVALID_ARGUMENT, "BODY_TOO_LARGE"),
    429: Reply(code_pb2.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
    431: Reply(code_pb2.INVALID_ARGUMENT, "HEADERS_TOO_LARGE"),
    503: Reply(code_pb2.UNAVAILABLE, "SERVICE_UNAVAILABLE"),
    504: Reply(code_pb2.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
}
"""By HTTP status. Where services have a reason of that meaning, it is the same."""
TOO_MANY = "too many calls: retry after what retry-after says"
"""The same words whoever counts."""
OTHER = Reply(code_pb2.INTERNAL, "FRONT_FAILED")


def local_replies() -> Json:
    """Say how Envoy's own answers look; the first mapper that fits is used."""
    refused = {"response_flag_filter": {"flags": [AUTHORIZATION_FLAG]}}
    return {
        "mappers": [
            {"filter": _all(_status(403), _GRPC, refused)},
            {"filter": _all(_status(403), refused), **_json(REPLIES[403])},
            # A token for somebody else is no credential, as the services say too.
            {"filter": _all(_status(403), _GRPC), "status_code": 401},
            {"filter": _status(403), "status_code": 401, **_json(REPLIES[401])},
            # By itself Envoy would make UNAVAILABLE of it, where the edge's limit says it.
            {
                "filter": _all(_status(429), _GRPC),
                "headers_to_add": [_grpc_status(REPLIES[429])],
                **_TOO_MANY,
            },
            {"filter": _status(429), **_TOO_MANY, **_json(REPLIES[429])},
            # By itself Envoy would make UNKNOWN of it.
            {"filter": _all(_status(413), _GRPC), "headers_to_add": [_grpc_status(REPLIES[413])]},
            *(
                {"filter": _all(_status(status), _NOT_GRPC), **_json(reply)}
                for status, reply in REPLIES.items()
                if status not in {403, 429}  # dealt with above
            ),
            {"filter": _all(_status(400, "GE"), _NOT_GRPC), **_json(OTHER)},
        ]
    }


_TOO_MANY = {"body": {"inline_string": TOO_MANY}}


def _json(reply: Reply) -> Json:
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reply.reason,
        "domain": DOMAIN,
        "metadata": {"request_id": "%REQ(X-REQUEST-ID)%"},
    }
    body = {"code": reply.code, "message": "%LOCAL_REPLY_BODY%", "details": [info]}
    return {
        "body_format_override": {
            "json_format": body,
            "content_type": "application/json",
            "omit_empty_values": True,
        }
    }


def _grpc_status(reply: Reply) -> Json:
    return {
        "header": {"key": "grpc-status", "value": str(reply.code)},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


def _all(*filters: Json) -> Json:
    return {"and_filter": {"filters": list(filters)}}


def _status(status: int, operator: str = "EQ") -> Json:
    value = {"default_value": status, "runtime_key": "front.no_such_key"}
    return {"status_code_filter": {"comparison": {"op": operator, "value": value}}}


def _header(name: str, **match: object) -> Json:
    return {"header_filter": {"header": {"name": name, **match}}}


_PREFIX = {"prefix": "application/grpc"}
_TRANSCODED = "x-envoy-original-path"
"""Set by the transcoder, which makes a REST call look like gRPC; a client's own is stripped."""
_GRPC = _all(
    _header("content-type", string_match=_PREFIX),
    _header(_TRANSCODED, present_match=False),
)
_NOT_GRPC = {
    "or_filter": {
        "filters": [
            _header(
                "content-type",
                string_match=_PREFIX,
                invert_match=True,
                treat_missing_header_as_empty=True,
            ),
            _header(_TRANSCODED, present_match=True),
        ]
    }
}
