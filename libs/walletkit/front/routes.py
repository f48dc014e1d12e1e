"""Which request goes where, how long it may take, and when it is tried again. Pure.

Each public call has a route for gRPC and one for each of its REST paths; nothing else has one.
"""

from collections.abc import Sequence
from typing import Any

from walletkit.front import edge, names
from walletkit.front.rpcs import Binding, Kind, Rpc
from walletkit.front.settings import Document

Json = dict[str, Any]

UNARY_S = 32
"""A little more than the 30 s that a service gives a call without a deadline, so that the service
is the one that answers, with a reason."""
SLOW_READ_S = 605
"""The same for proofs over a whole journal, which our client gives 600 s."""
UPLOAD_S = 30
"""How long the bytes of a request may take to arrive, beyond the time of its answer."""
STREAM_S = 3_600
"""Longest stream: then its caller resumes it, perhaps at another replica."""
STREAM_IDLE_S = 300
"""Longest silence of a stream in both directions; a watch sends a heartbeat every 10 s."""
RETRIES = 2
HOST_CHOICES = 20
"""How often another host is drawn when it comes to one that has just failed. A host that refuses
has the fewest calls under way, so the balancer prefers it: of two it draws that one three times in
four, and after three draws a third of such calls went back to where they had been refused.
"""
RETRY_BUFFER_BYTES = 64 * 1024
"""A request longer than that is sent once: it is not kept for another try."""

NOT_SENT = "connect-failure,refused-stream,reset-before-request"
"""The request has never reached a service."""
NOT_ANSWERED = f"{NOT_SENT},reset,unavailable,cancelled"
"""It may have, and what it did is not known. A server that stops cancels what no handler has taken
yet; a caller who has gone is not tried for again."""


def routes(
    rpcs: Sequence[Rpc], documents: Sequence[Document], *, counted: bool = False
) -> list[Json]:
    """List all routes. REST templates with fewer variables come first: the first match wins.

    ``counted``: say by what the edge counts calls.
    """
    rest = [(binding, rpc) for rpc in rpcs for binding in rpc.bindings]
    rest.sort(key=lambda one: one[0].specificity)
    return [
        *(_grpc(rpc, counted=counted) for rpc in rpcs),
        *(_rest(binding, rpc, counted=counted) for binding, rpc in rest),
        *(_document(document) for document in documents),
    ]


def preflight(cluster: str) -> Json:
    """Let CORS see a browser's question: it looks only at what has a route to a service.

    It answers for the origins that it knows, before a token is asked for. No other gets
    to the service: the transcoder knows no such call, and for gRPC there is no route.
    """
    return {
        "name": "preflight",
        "match": {
            "prefix": "/",
            "headers": [
                _is(":method", {"exact": "OPTIONS"}),
                {"name": "access-control-request-method", "present_match": True},
                _is("content-type", {"prefix": "application/grpc"})
                | {"invert_match": True, "treat_missing_header_as_empty": True},
            ],
        },
        "route": {"cluster": cluster},
    }


def _grpc(rpc: Rpc, *, counted: bool) -> Json:
    """Match gRPC and gRPC-Web; both post to the call's path."""
    return {
        "name": f"grpc {rpc.path}",
        "match": {
            "path": rpc.path,
            "headers": [_is("content-type", {"prefix": "application/grpc"})],
        },
        "route": _action(rpc),
        "typed_per_filter_config": _off(names.BUFFER, names.COMPRESSOR) | _edge(rpc, counted),
    }


def _rest(binding: Binding, rpc: Rpc, *, counted: bool) -> Json:
    route: Json = {
        "name": f"{binding.method} {binding.template}",
        "match": {
            "safe_regex": {"regex": binding.regex},
            "headers": [_is(":method", {"exact": binding.method})],
        },
        "route": _action(rpc),
        "typed_per_filter_config": _edge(rpc, counted),
        # What is told of money is nobody's to keep.
        "response_headers_to_add": [_set("cache-control", "no-store"), _NOSNIFF],
        "response_headers_to_remove": ["grpc-accept-encoding"],
    }
    if rpc.kind is Kind.STREAM:
        # A compressor would hold lines back until it has enough of them.
        route["typed_per_filter_config"] |= _off(names.COMPRESSOR)
    return route


def _document(document: Document) -> Json:
    return {
        "name": f"document {document.path}",
        "match": {
            "path": document.path,
            "headers": [_is(":method", {"safe_regex": {"regex": "GET|HEAD"}})],
        },
        "direct_response": {
            "status": 200,
            "body": {"filename": str(document.file.resolve())},
        },
        "response_headers_to_add": [_set("content-type", document.content_type), _NOSNIFF],
        # It would take a file for a call that it does not know.
        "typed_per_filter_config": _off(names.TRANSCODER),
    }


def _action(rpc: Rpc) -> Json:
    """Say where a call goes, its times, and what may be tried again."""
    action: Json = {"cluster": rpc.cluster}
    if rpc.kind is Kind.STREAM:
        # No timeout: it counts until the last byte. A stream has a length and a silence instead.
        limit = _seconds(STREAM_S)
        action |= {
            "timeout": "0s",
            "idle_timeout": _seconds(STREAM_IDLE_S),
            "max_stream_duration": {
                "max_stream_duration": limit,
                "grpc_timeout_header_max": limit,
            },
        }
        return action
    timeout = SLOW_READ_S if rpc.kind is Kind.SLOW_READ else UNARY_S
    action |= {
        "timeout": _seconds(timeout),
        "idle_timeout": _seconds(timeout + UPLOAD_S),
        "max_stream_duration": {"max_stream_duration": _seconds(timeout + UPLOAD_S)},
        "retry_policy": _retries(rpc.kind),
    }
    return action


def _retries(kind: Kind) -> Json:
    """Say which failures are tried again.

    A read may be, always. A change may be when it never reached its service; one with a key also
    when it did: its service refuses it without a key, and one key has one outcome.
    """
    safe = kind in {Kind.READ, Kind.KEYED}
    return {
        "retry_on": NOT_ANSWERED if safe else NOT_SENT,
        "num_retries": RETRIES,
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.250s"},
        # Not at the host that has just failed, where there is another.
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": f"{names.TYPES}.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": HOST_CHOICES,
    }


def _off(*filters: str) -> Json:
    """Leave filters out on one route."""
    return {
        name: {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
        for name in filters
    }


def _edge(rpc: Rpc, counted: bool) -> Json:  # noqa: FBT001  # as the routes say it
    """Say what a call is to the edge; a stream's body is never whole, so nobody waits for it."""
    if not counted:
        return {}
    return edge.counted_by(rpc) | (edge.without_body() if rpc.kind is Kind.STREAM else {})


def _is(header: str, match: Json) -> Json:
    return {"name": header, "string_match": match}


def _set(header: str, value: str) -> Json:
    return {
        "header": {"key": header, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


def _seconds(seconds: int) -> str:
    return f"{seconds}s"


_NOSNIFF = _set("x-content-type-options", "nosniff")
