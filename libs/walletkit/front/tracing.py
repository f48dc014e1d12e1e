"""Traces that begin at the front door, or go through it. Pure.

Envoy decides which calls are followed; what stands behind it goes by that. What a caller says of
its own traces is taken off first (`listener`), unless callers are trusted with it: each span that
is followed costs work here.
"""

from typing import Any

from walletkit.front import names
from walletkit.front.settings import FrontSettings

Json = dict[str, Any]

CLUSTER = "traces"
SERVICE = "envoy"
TIMEOUT = "1s"


def tracing(settings: FrontSettings) -> Json:
    """Return what the connection manager is told about traces: nothing without a collector."""
    if settings.trace_address is None:
        return {}
    ratio = {"value": 100 * settings.trace_ratio}
    provider = {
        "name": "opentelemetry",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
            "grpc_service": {"envoy_grpc": {"cluster_name": CLUSTER}, "timeout": TIMEOUT},
            "service_name": SERVICE,
        },
    }
    return {
        "tracing": {
            "provider": provider,
            "random_sampling": ratio,
            # Not by a header of the caller's.
            "client_sampling": {"value": 0},
            # The call to the service is a span below the one of the caller's.
            "spawn_upstream_span": True,
        },
        # By default the decision is written into the request id, which is the caller's.
        "request_id_extension": {
            "typed_config": {
                "@type": f"{names.TYPES}.request_id.uuid.v3.UuidRequestIdConfig",
                "pack_trace_reason": False,
                "use_request_id_for_trace_sampling": False,
            }
        },
    }
