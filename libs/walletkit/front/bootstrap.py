"""The whole configuration of Envoy, put together. Reads the descriptor set and the documents."""

from collections.abc import Sequence
from typing import Any

from walletkit.front import metrics, names, rpcs
from walletkit.front.clusters import addresses, clusters, socket_address
from walletkit.front.listener import listener
from walletkit.front.settings import Document, FrontSettings, documents_of

Json = dict[str, Any]

LOG_FORMAT = {"time": "%Y-%m-%dT%T.%e", "level": "%l", "logger": "%n", "message": "%j"}


def bootstrap(settings: FrontSettings, documents: Sequence[Document] = ()) -> Json:
    """Return the configuration that an Envoy of these settings starts with.

    ``documents`` are for everybody, beside those of ``documents_dir``. Raise ``OSError`` for a file
    that can't be read, ``ValueError`` for one that nobody may have.
    """
    public = rpcs.read(settings.descriptors, addresses(settings))
    served = [*documents_of(settings.documents_dir), *documents]
    listeners, found = [listener(settings, public, served)], clusters(settings)
    admin = _admin(settings.admin)
    if settings.metrics_address is not None:
        listeners.append(metrics.listener(socket_address(settings.metrics_address)))
        found.append(metrics.cluster(admin["address"]))
    return {
        "node": {"id": "front", "cluster": "guilder"},
        "admin": admin,
        "application_log_config": {"log_format": {"json_format": LOG_FORMAT}},
        "overload_manager": _overload(settings.max_connections),
        "static_resources": {
            "listeners": listeners,
            "clusters": found,
        },
    }


def _admin(address: str) -> Json:
    if address.startswith("unix:"):
        return {"address": {"pipe": {"path": address.removeprefix("unix:"), "mode": 0o600}}}
    return {"address": socket_address(address)}


def _overload(max_connections: int) -> Json:
    """Close connections beyond a bound at once: each costs memory before it has said a word."""
    kind = f"{names.TYPES}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    monitor = {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {"@type": kind, "max_active_downstream_connections": max_connections},
    }
    return {"resource_monitors": [monitor]}
