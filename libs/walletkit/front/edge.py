"""The edge service: API keys and signatures become tokens there, and calls are counted. Pure.

Everything that Envoy is told about it is here, and in two scripts: ``leases.lua``, which counts,
and ``known_keys.lua``. Without an address nothing of it is switched on.
"""

from pathlib import Path
from typing import Any

from walletkit.front import names
from walletkit.front.matching import only_with
from walletkit.front.rpcs import Rpc
from walletkit.front.settings import FrontSettings

Json = dict[str, Any]

CLUSTER = "edge"
SIGNATURE_FILTER = "edge_signature"
LIMIT_FILTER = "edge_limit"
AUTHORIZE_TIMEOUT = "1s"
_LEASES = Path(__file__).with_name("leases.lua").read_text(encoding="utf-8")
_KNOWN_KEYS = Path(__file__).with_name("known_keys.lua").read_text(encoding="utf-8")
_LUA = f"{names.TYPES}.filters.http.lua.v3"
_TOLD = "%DYNAMIC_METADATA(guilder.limit:told:{})%"
"""Where the filter leaves what an answer says of a limit."""


def known_keys(settings: FrontSettings) -> list[Json]:
    """Have an API key that edge has granted within 2 s become the same token again, unasked."""
    if settings.edge_address is None:
        return []
    return [only_with((names.API_KEY,), _script("known_keys", _KNOWN_KEYS))]


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


def limit(settings: FrontSettings) -> list[Json]:
    """Have calls counted, for all replicas together; a setting says what if the edge is away."""
    if settings.edge_address is None:
        return []
    passes = str(settings.rate_limit_on_failure == "allow").lower()
    script = f"local UNCOUNTED_PASS = {passes}\n{_LEASES}"
    return [_script(LIMIT_FILTER, script)]


def counted_by(rpc: Rpc) -> Json:
    """Say by what a call is counted besides who makes it: by what sort of call it is."""
    context = {"counted_as": rpc.counted_as}
    return {LIMIT_FILTER: {"@type": f"{_LUA}.LuaPerRoute", "filter_context": context}}


def told() -> list[Json]:
    """List the headers that tell callers of their limit; what is not counted gets none."""
    return [
        {
            "header": {"key": f"x-ratelimit-{name}", "value": _TOLD.format(name)},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
        for name in ("limit", "remaining", "reset")
    ]


def _script(name: str, script: str) -> Json:
    kind = {"@type": f"{_LUA}.Lua", "default_source_code": {"inline_string": script}}
    return {"name": name, "typed_config": kind}


def _ask(name: str, **fields: object) -> Json:
    return {
        "name": name,
        "typed_config": {
            "@type": f"{names.TYPES}.filters.http.ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "grpc_service": {
                "envoy_grpc": {"cluster_name": CLUSTER},
                "timeout": AUTHORIZE_TIMEOUT,
            },
            "failure_mode_allow": False,
            "status_on_error": {"code": "ServiceUnavailable"},
            **fields,
        },
    }
