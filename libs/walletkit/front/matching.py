"""Use a filter for some requests only, by a header of theirs. Pure."""

from collections.abc import Sequence
from typing import Any

from walletkit.front import names

Json = dict[str, Any]

ANYTHING = r"(?s)\C*"
"""Any bytes, UTF-8 or not: what a dot takes besides UTF-8 is up to the library."""


def unless_present(header: str, http_filter: Json) -> Json:
    """Skip a filter for requests that have a header."""
    return _delegate(http_filter, _single(header, ANYTHING))


def unless_well_formed(header: str, regex: str, http_filter: Json) -> Json:
    """Skip a filter for requests whose header is as it should be."""
    return _delegate(http_filter, _single(header, regex))


def only_with(headers: Sequence[str], http_filter: Json) -> Json:
    """Skip a filter for requests that have none of these headers."""
    present = [_single(header, ANYTHING) for header in headers]
    # An or needs two parts at least.
    found = present[0] if len(present) == 1 else {"or_matcher": {"predicate": present}}
    return _delegate(http_filter, {"not_matcher": found})


def _delegate(http_filter: Json, skipped: Json) -> Json:
    """Wrap a filter; its name stays, so that a route can switch it off."""
    skip = {"@type": f"{names.TYPES}.filters.common.matcher.action.v3.SkipFilter"}
    matcher = {
        "predicate": skipped,
        "on_match": {"action": {"name": "skip", "typed_config": skip}},
    }
    return {
        "name": http_filter["name"],
        "typed_config": {
            "@type": f"{names.TYPES}.common.matching.v3.ExtensionWithMatcher",
            "extension_config": http_filter,
            "xds_matcher": {"matcher_list": {"matchers": [matcher]}},
        },
    }


def _single(header: str, regex: str) -> Json:
    kind = "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
    return {
        "single_predicate": {
            "input": {
                "name": "header",
                "typed_config": {"@type": kind, "header_name": header},
            },
            "value_match": {"safe_regex": {"google_re2": {}, "regex": regex}},
        }
    }
