"""The listener: connections, their limits and times, and what is written of each request. Pure."""

from collections.abc import Sequence
from typing import Any

from walletkit.front import edge, names
from walletkit.front.clusters import socket_address
from walletkit.front.filters import http_filters
from walletkit.front.replies import local_replies
from walletkit.front.routes import preflight, routes
from walletkit.front.rpcs import Rpc
from walletkit.front.settings import Document, FrontSettings
from walletkit.front.tracing import tracing

Json = dict[str, Any]

KEEP_ALIVE_S = 90
"""An idle connection is kept longer than any load balancer keeps it (60 s and 65 s are usual):
else one is closed here just while the next request is under way to it, and that fails."""
PING_S = 30
PONG_S = 10
HEADERS_S = 10
"""A client that sends its headers slower than that is cut off (slow-loris)."""
IDLE_S = 60
"""Longest silence in a request where its route says nothing."""
MAX_HEADERS_KIB = 32
MAX_HEADERS = 64
NO_METADATA = r"[^:]*[^:0-9A-Za-z_.\-][^:]*"
"""Names of headers that HTTP allows, and gRPC's metadata does not."""
MAX_STREAMS = 256
"""Calls at once on one HTTP/2 connection."""
STREAM_WINDOW_BYTES = 256 * 1024
CONNECTION_WINDOW_BYTES = 1024 * 1024
BUFFER_BYTES = 1024 * 1024
HANDSHAKE_S = 10
CORS_KEPT_S = 600

ACCESS_LOG = {
    "time": "%START_TIME%",
    "method": "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%",
    # Without the query: it may hold what is nobody's business.
    "path": "%PATH(NQ:ORIG_OR_PATH):256%",
    "route": "%ROUTE_NAME%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    # Of gRPC alone: an error over REST has its HTTP status.
    "grpc_status": "%RESP(GRPC-STATUS)%%TRAILER(GRPC-STATUS)%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "duration_ms": "%DURATION%",
    "upstream_ms": "%RESPONSE_DURATION%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "upstream": "%UPSTREAM_HOST%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "subject": f"%REQ({names.SUBJECT}):128%",
}
"""Never a credential, a query or a body."""


def listener(settings: FrontSettings, rpcs: Sequence[Rpc], documents: Sequence[Document]) -> Json:
    """Return the one listener, for REST, gRPC and gRPC-Web alike."""
    chain: Json = {"filters": [_connection_manager(settings, rpcs, documents)]}
    if settings.tls_cert is not None and settings.tls_key is not None:
        chain["transport_socket"] = _tls(str(settings.tls_cert), str(settings.tls_key))
        chain["transport_socket_connect_timeout"] = f"{HANDSHAKE_S}s"
    return {
        "name": "front",
        "address": socket_address(settings.listen),
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "filter_chains": [chain],
    }


def _tls(certificate: str, key: str) -> Json:
    """Take TLS 1.2 and later; a replaced file is read for the next start of Envoy."""
    pair = {"certificate_chain": {"filename": certificate}, "private_key": {"filename": key}}
    return {
        "name": "tls",
        "typed_config": {
            "@type": f"{names.TYPES}.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificates": [pair],
            },
        },
    }


def _connection_manager(
    settings: FrontSettings, rpcs: Sequence[Rpc], documents: Sequence[Document]
) -> Json:
    return {
        "name": "http",
        "typed_config": {
            "@type": f"{names.TYPES}.filters.network.http_connection_manager.v3"
            ".HttpConnectionManager",
            "stat_prefix": "front",
            "codec_type": "AUTO",
            **_identity(settings),
            **_hardening(),
            "early_header_mutation_extensions": [_strip(settings)],
            "access_log": [_access_log(settings.access_log)],
            "local_reply_config": local_replies(),
            "route_config": _route_config(settings, rpcs, documents),
            "http_filters": http_filters(settings),
            **tracing(settings),
        },
    }


def _identity(settings: FrontSettings) -> Json:
    """Say whom to believe about where a request is from, and under which id it goes on."""
    return {
        "use_remote_address": True,
        "xff_num_trusted_hops": settings.trusted_hops,
        # Nobody is one of us by address alone.
        "internal_address_config": {"cidr_ranges": []},
        "generate_request_id": True,
        # One that is not well-formed is replaced by a filter.
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "server_name": "guilder",
    }


def _hardening() -> Json:
    return {
        "normalize_path": True,
        "merge_slashes": True,
        # Kept as they are: an alias holds a slash, and no service ever sees a path.
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "max_request_headers_kb": MAX_HEADERS_KIB,
        "request_headers_timeout": f"{HEADERS_S}s",
        "stream_idle_timeout": f"{IDLE_S}s",
        "common_http_protocol_options": {
            "idle_timeout": f"{KEEP_ALIVE_S}s",
            "max_headers_count": MAX_HEADERS,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http_protocol_options": {"accept_http_10": False},
        "http2_protocol_options": {
            "max_concurrent_streams": MAX_STREAMS,
            "initial_stream_window_size": STREAM_WINDOW_BYTES,
            "initial_connection_window_size": CONNECTION_WINDOW_BYTES,
            "connection_keepalive": {"interval": f"{PING_S}s", "timeout": f"{PONG_S}s"},
        },
    }


def _strip(settings: FrontSettings) -> Json:
    """Take off what only we may say, and names that gRPC has no letters for, before all else.

    With one of those, which HTTP allows, a service would end the call as INTERNAL.
    """
    matchers: list[Json] = [
        *({"prefix": prefix, "ignore_case": True} for prefix in (names.OURS, "x-envoy-")),
        {"safe_regex": {"regex": NO_METADATA}},
    ]
    if not settings.trace_callers:
        matchers += [{"exact": name, "ignore_case": True} for name in names.TRACE_HEADERS]
    mutations = [{"remove_on_match": {"key_matcher": matcher}} for matcher in matchers]
    return {
        "name": "strip",
        "typed_config": {
            "@type": f"{names.TYPES}.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": mutations,
        },
    }


def _access_log(path: str) -> Json:
    return {
        "name": "access_log",
        "typed_config": {
            "@type": f"{names.TYPES}.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": ACCESS_LOG, "omit_empty_values": True},
        },
    }


def _route_config(
    settings: FrontSettings, rpcs: Sequence[Rpc], documents: Sequence[Document]
) -> Json:
    host: Json = {
        "name": "everybody",
        "domains": ["*"],
        "routes": routes(rpcs, documents, counted=settings.edge_address is not None),
    }
    if settings.edge_address is not None:
        host["response_headers_to_add"] = edge.told()
    if settings.cors_origins:
        host["typed_per_filter_config"] = {names.CORS: _cors(settings.cors_origins)}
        host["routes"].append(preflight(rpcs[0].cluster))
    largest = max((document.file.stat().st_size for document in documents), default=0)
    return {
        "name": "front",
        "max_direct_response_body_size_bytes": max(4096, largest),
        "virtual_hosts": [host],
    }


def _cors(origins: Sequence[str]) -> Json:
    allowed = "authorization, content-type, idempotency-key, x-api-key, x-grpc-web, grpc-timeout"
    return {
        "@type": f"{names.TYPES}.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": origin} for origin in origins],
        "allow_methods": "GET, POST, PATCH, DELETE, OPTIONS",
        "allow_headers": f"{allowed}, x-request-id, x-user-agent, x-no-compression",
        "expose_headers": "grpc-status, grpc-message, grpc-status-details-bin, x-request-id",
        "max_age": str(CORS_KEPT_S),
    }
