"""The first wall: how many calls one Envoy lets in at all, before anybody is asked. Pure.

Its buckets are for all callers together, since nobody is known yet; those of each client are the
edge's.
"""

from typing import Any

from walletkit.front import names
from walletkit.front.matching import only_with
from walletkit.front.settings import FrontSettings

Json = dict[str, Any]

RETRY_AFTER_S = 1


def of_all(settings: FrontSettings) -> list[Json]:
    """Count every call."""
    if not settings.local_rate:
        return []
    return [_bucket("local_rate", settings.local_rate, settings.local_burst)]


def of_credentials(settings: FrontSettings) -> list[Json]:
    """Count those that the edge has to look at."""
    if not settings.local_credential_rate or settings.edge_address is None:
        return []
    bucket = _bucket(
        "local_credential_rate",
        settings.local_credential_rate,
        settings.local_credential_burst,
    )
    return [only_with((names.API_KEY, names.SIGNATURE), bucket)]


def _bucket(name: str, per_second: int, burst: int) -> Json:
    """Give tokens steadily, for all threads of an Envoy together."""
    retry = {"header": {"key": "retry-after", "value": str(RETRY_AFTER_S)}}
    return {
        "name": name,
        "typed_config": {
            "@type": f"{names.TYPES}.filters.http.local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": name,
            "token_bucket": {
                "max_tokens": burst,
                "tokens_per_fill": per_second,
                "fill_interval": "1s",
            },
            # Both are 0 % by default.
            "filter_enabled": _always(f"front.{name}.enabled"),
            "filter_enforced": _always(f"front.{name}.enforced"),
            "response_headers_to_add": [retry | {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
            "rate_limited_as_resource_exhausted": True,
        },
    }


def _always(key: str) -> Json:
    return {"runtime_key": key, "default_value": {"numerator": 100, "denominator": "HUNDRED"}}
