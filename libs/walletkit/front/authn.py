"""Check tokens: whose keys are trusted, and which paths need none. Pure."""

from typing import Any
from urllib.parse import urlsplit

from walletkit.front import names
from walletkit.front.settings import FrontSettings

Json = dict[str, Any]

KEYS_CLUSTER = "keys"
EDGE_KEYS_CLUSTER = "edge-keys"
KEYS_TIMEOUT_S = 5
KEYS_KEPT_S = 300
"""How long keys of a URL are used before they are read again: so long may a rotation take."""
CLOCK_SKEW_S = 30
PUBLIC = (names.HEALTH, "/openapi.json", "/docs")
"""What answers without credentials, and what lies below ``/docs/``; only when it is read."""
_READ = {"headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}]}


def authentication(settings: FrontSettings) -> Json:
    """Return the filter that lets nobody in without a token of a trusted issuer."""
    providers = {"issuer": _provider(settings.auth_issuer, settings.auth_jwks, settings)}
    if settings.edge_address:
        providers["edge"] = _provider(settings.edge_issuer, settings.edge_jwks, settings)
    required = [{"provider_name": name} for name in providers]
    requires = required[0] if len(required) == 1 else {"requires_any": {"requirements": required}}
    rules: list[Json] = [{"match": {"path": path, **_READ}} for path in PUBLIC]
    rules += [
        {"match": {"prefix": "/docs/", **_READ}},
        {"match": {"prefix": "/"}, "requires": requires},
    ]
    return {
        "name": "authentication",
        "typed_config": {
            "@type": f"{names.TYPES}.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": providers,
            "rules": rules,
        },
    }


def key_urls(settings: FrontSettings) -> dict[str, str]:
    """Return the clusters of key sets that are read from a URL."""
    urls = {KEYS_CLUSTER: settings.auth_jwks, EDGE_KEYS_CLUSTER: settings.edge_jwks}
    return {name: url for name, url in urls.items() if _is_url(url)}


def _provider(issuer: str, jwks: str, settings: FrontSettings) -> Json:
    return {
        "issuer": issuer,
        "audiences": [settings.auth_audience],
        # Only there: not in a query string, which logs and histories keep.
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        # The services check it again, and read roles from it.
        "forward": True,
        "clock_skew_seconds": CLOCK_SKEW_S,
        "require_expiration": True,
        "claim_to_headers": [{"header_name": names.SUBJECT, "claim_name": "sub"}],
        **_keys(jwks, settings),
    }


def _keys(jwks: str, settings: FrontSettings) -> Json:
    if not _is_url(jwks):
        # Read at the start alone, unlike a URL: Envoy does not watch it.
        return {"local_jwks": {"filename": jwks}}
    cluster = KEYS_CLUSTER if jwks == settings.auth_jwks else EDGE_KEYS_CLUSTER
    return {
        "remote_jwks": {
            "http_uri": {"uri": jwks, "cluster": cluster, "timeout": f"{KEYS_TIMEOUT_S}s"},
            "cache_duration": f"{KEYS_KEPT_S}s",
            "async_fetch": {"fast_listener": False},
            "retry_policy": {"num_retries": 2},
        }
    }


def _is_url(jwks: str) -> bool:
    return urlsplit(jwks).scheme in {"http", "https"}
