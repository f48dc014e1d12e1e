"""Envoy's own metrics for Prometheus: a port that has nothing else of the admin interface. Pure."""

from typing import Any

from walletkit.front import names

Json = dict[str, Any]

CLUSTER = "admin"
PATH = "/metrics"
MAX_CONNECTIONS = 8
TIMEOUT_S = 10
_GET = {"name": ":method", "string_match": {"exact": "GET"}}
_ROUTER = {"@type": f"{names.TYPES}.filters.http.router.v3.Router"}


def listener(address: Json) -> Json:
    """Return the listener at an address; it leads to the cluster ``admin``."""
    route = {
        "match": {"path": PATH, "headers": [_GET]},
        "route": {
            "cluster": CLUSTER,
            "prefix_rewrite": "/stats/prometheus",
            "timeout": f"{TIMEOUT_S}s",
        },
    }
    host = {"name": "prometheus", "domains": ["*"], "routes": [route]}
    manager = {
        "@type": f"{names.TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "metrics",
        "route_config": {"name": "metrics", "virtual_hosts": [host]},
        "http_filters": [{"name": "router", "typed_config": _ROUTER}],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    return {
        "name": "metrics",
        "address": address,
        # Where clients have taken all connections, somebody should see it.
        "ignore_global_conn_limit": True,
        "filter_chains": [chain],
    }


def cluster(admin: Json) -> Json:
    """Return where the admin interface is."""
    endpoint = {"endpoint": {"address": admin}}
    return {
        "name": CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [{"max_connections": MAX_CONNECTIONS}]},
        "load_assignment": {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
