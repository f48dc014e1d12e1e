"""The edge service: API keys and signatures become tokens there, and calls are counted. Pure.

Everything that Envoy is told about it is here. Without an address nothing of it is switched on.
"""

from typing import Any

from walletkit.front import names
from walletkit.front.matching import only_with
from walletkit.front.rpcs import Rpc
from walletkit.front.settings import FrontSettings

Json = dict[str, Any]

CLUSTER = "edge"
SIGNATURE_FILTER = "edge_signature"
DOMAIN = "guilder"
AUTHORIZE_TIMEOUT = "1s"
LIMIT_TIMEOUT_S = 0.75
"""Longer than edge itself waits for Redis: so edge's own answer comes, whatever it is set to say,
and what is set here decides only when there is no edge."""


def authorization(settings: FrontSettings) -> list[Json]:
    """Have credentials that are no token turned into one; none passes when the edge is away.

    It is asked only about requests that carry such credentials. A signature is of the body's very
    bytes, so these are shown to it; not for API keys, whose streams would never be whole. Nobody
    knows yet who sends them: so there are fewer of them than of other bodies.
    """
    if settings.edge_address is None:
        return []
    body = {
        "max_request_bytes": min(settings.max_signed_body_bytes, settings.max_body_bytes),
        "allow_partial_message": False,
        "pack_as_bytes": True,
    }
    return [
        only_with((names.API_KEY,), _ask("edge_api_key")),
        only_with((names.SIGNATURE,), _ask(SIGNATURE_FILTER, with_request_body=body)),
    ]


def without_body() -> Json:
    """Ask about a signed stream at once, and say that its body could not be waited for."""
    return {
        SIGNATURE_FILTER: {
            "@type": f"{names.TYPES}.filters.http.ext_authz.v3.ExtAuthzPerRoute",
            "check_settings": {
                "disable_request_body_buffering": True,
                "context_extensions": {"body": "none"},
            },
        }
    }


def rate_limit(settings: FrontSettings) -> list[Json]:
    """Have calls counted, for all replicas together; a setting says what if the edge is away."""
    if settings.edge_address is None:
        return []
    return [
        {
            "name": "edge_rate_limit",
            "typed_config": {
                "@type": f"{names.TYPES}.filters.http.ratelimit.v3.RateLimit",
                "domain": DOMAIN,
                "timeout": f"{LIMIT_TIMEOUT_S}s",
                "failure_mode_deny": settings.rate_limit_on_failure == "deny",
                "status_on_error": {"code": "ServiceUnavailable"},
                "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
                "rate_limited_as_resource_exhausted": True,
                "rate_limit_service": {
                    "transport_api_version": "V3",
                    "grpc_service": _service(f"{LIMIT_TIMEOUT_S}s"),
                },
            },
        }
    ]


def counted_by(rpc: Rpc) -> list[Json]:
    """Say by what a call is counted: by who makes it, and by what sort of call it is."""
    return [
        {
            "actions": [
                {"request_headers": {"header_name": names.SUBJECT, "descriptor_key": "client"}},
                {"generic_key": {"descriptor_key": "route", "descriptor_value": rpc.counted_as}},
            ]
        }
    ]


def _ask(name: str, **fields: object) -> Json:
    return {
        "name": name,
        "typed_config": {
            "@type": f"{names.TYPES}.filters.http.ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "grpc_service": _service(AUTHORIZE_TIMEOUT),
            "failure_mode_allow": False,
            "status_on_error": {"code": "ServiceUnavailable"},
            **fields,
        },
    }


def _service(timeout: str) -> Json:
    return {"envoy_grpc": {"cluster_name": CLUSTER}, "timeout": timeout}
