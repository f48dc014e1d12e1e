"""The services behind Envoy: how they are reached, watched and spared. Pure."""

from typing import Any
from urllib.parse import urlsplit

from walletkit.front import authn, edge, names, tls, tracing
from walletkit.front.rpcs import SERVICES
from walletkit.front.settings import FrontSettings

Json = dict[str, Any]

CONNECT_TIMEOUT = "1s"
HEALTH_INTERVAL = "1s"
HEALTH_TIMEOUT = "1s"
UNHEALTHY_AFTER = 2
PING_S = 30
PONG_S = 5
MAX_CONNECTIONS = 100
MAX_REQUESTS = 10_000
"""Calls under way to one service. Each service sheds at a bound of its own; this only guards us."""
RETRY_PERCENT = 20
"""Of the calls under way, how many may be second tries: more would be a storm of our making."""
MIN_RETRIES = 50
"""So many may always be: a process that ends refuses all that come to it at that moment, and each
of them has to find its way to another one."""
EJECT_AFTER = 5
EJECT_S = 5
EJECT_PERCENT = 50


def clusters(settings: FrontSettings) -> list[Json]:
    """List the services, the edge where it has an address, and where keys are read from."""
    services = {cluster: service for service, cluster in SERVICES.items()}
    found = [
        _service(cluster, address, services[cluster]) | tls.towards(settings, address)
        for cluster, address in addresses(settings).items()
    ]
    if settings.trace_address is not None:
        found.append(_collector(settings.trace_address))
    return found + [_keys(name, url) for name, url in authn.key_urls(settings).items()]


def addresses(settings: FrontSettings) -> dict[str, str]:
    """Return where each cluster of services is; the edge is one where it has an address."""
    found = {
        "wallet": settings.wallet_address,
        "ledger": settings.ledger_address,
        "notify": settings.notify_address,
    }
    if settings.edge_address is not None:
        found[edge.CLUSTER] = settings.edge_address
    return found


def socket_address(address: str) -> Json:
    """Write ``host:port`` as Envoy does."""
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def _service(name: str, address: str, health_name: str) -> Json:
    return {
        **_endpoint(name, address),
        "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": _http2(),
        "circuit_breakers": {"thresholds": [_bounds()]},
        "outlier_detection": _ejection(),
        "health_checks": [_health(health_name)],
        # A host that is no longer resolved and does not answer gets nothing more.
        "ignore_health_on_host_removal": True,
    }


def _endpoint(name: str, address: str) -> Json:
    """Resolve a name to all its addresses, and again and again: a headless service's pods."""
    endpoint = {"endpoint": {"address": socket_address(address)}}
    return {
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": CONNECT_TIMEOUT,
        "dns_lookup_family": "V4_PREFERRED",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _bounds() -> Json:
    return {
        "max_connections": MAX_CONNECTIONS,
        "max_pending_requests": MAX_REQUESTS,
        "max_requests": MAX_REQUESTS,
        "retry_budget": {
            "budget_percent": {"value": RETRY_PERCENT},
            "min_retry_concurrency": MIN_RETRIES,
        },
    }


def _ejection() -> Json:
    """Leave out a host that keeps failing at its connections, but never most of them.

    What a service answers does not count: a shard that is down is no fault of the host's.
    """
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": EJECT_AFTER,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "interval": "2s",
        "base_ejection_time": f"{EJECT_S}s",
        "max_ejection_percent": EJECT_PERCENT,
    }


def _health(service: str) -> Json:
    return {
        "timeout": HEALTH_TIMEOUT,
        "interval": HEALTH_INTERVAL,
        # By default a service without traffic is looked at once a minute.
        "no_traffic_interval": HEALTH_INTERVAL,
        "unhealthy_interval": HEALTH_INTERVAL,
        "unhealthy_threshold": UNHEALTHY_AFTER,
        "healthy_threshold": 1,
        "grpc_health_check": {"service_name": service},
    }


def _collector(address: str) -> Json:
    return {**_endpoint(tracing.CLUSTER, address), "typed_extension_protocol_options": _http2()}


def _http2() -> Json:
    """Speak HTTP/2, and notice a connection that is dead."""
    alive = {"interval": f"{PING_S}s", "timeout": f"{PONG_S}s"}
    return {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{names.TYPES}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {"connection_keepalive": alive}},
        }
    }


def _keys(name: str, url: str) -> Json:
    """Reach the host of a key set, over TLS with a certificate that is checked where it says so."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    cluster = _endpoint(name, f"{host}:{parts.port or (443 if secure else 80)}")
    if secure:
        cluster["transport_socket"] = tls.socket(host, tls.PUBLIC_AUTHORITIES)
    return cluster
