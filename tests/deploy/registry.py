"""What an alert or a panel can name: the metrics of the code, Envoy's, and a scrape's own."""

import shutil
from pathlib import Path

from walletkit.telemetry.metrics import GROUPS

ROOT = Path(__file__).resolve().parents[2]
_TOOLS = ROOT / ".tools/bin"


def _program(name: str) -> Path:
    here = _TOOLS / name
    return here if here.exists() else Path(shutil.which(name) or here)


PROMTOOL, PROMETHEUS = _program("promtool"), _program("prometheus")

OF_SCRAPES = {"job", "instance", "namespace", "pod", "worker"}
"""Labels that every series may have."""
_ENVOY: dict[str, tuple[str, ...]] = {
    "envoy_http_downstream_rq_xx": (
        *("envoy_http_conn_manager_prefix", "envoy_response_code_class"),
    ),
    "envoy_http_downstream_rq_time_bucket": ("envoy_http_conn_manager_prefix", "le"),
    "envoy_http_downstream_cx_active": ("envoy_http_conn_manager_prefix",),
    "envoy_http_downstream_rq_active": ("envoy_http_conn_manager_prefix",),
    "envoy_cluster_upstream_rq_total": ("envoy_cluster_name",),
    "envoy_cluster_membership_healthy": ("envoy_cluster_name",),
    "envoy_server_days_until_first_cert_expiring": (),
}
_OTHERS: dict[str, tuple[str, ...]] = {
    "up": (),
    "process_cpu_seconds_total": (),
    "process_resident_memory_bytes": (),
    "process_open_fds": (),
    "python_gc_collections_total": ("generation",),
}
"""Of Prometheus itself, and of its client library."""


def _names() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for group in GROUPS:
        for family in group.families:
            if family.kind == "histogram":
                found[f"{family.name}_bucket"] = {*family.labels, "le"}
                found[f"{family.name}_sum"] = found[f"{family.name}_count"] = {*family.labels}
            else:
                found[family.name] = {*family.labels}
    return found | {name: {*labels} for name, labels in (_ENVOY | _OTHERS).items()}


FAMILIES = {family.name for group in GROUPS for family in group.families}
"""As they are declared."""
OF_TARGETS = {"service", "container", "endpoint"}
"""What a ServiceMonitor calls its own labels: those of a metric are then called otherwise."""
LABELS = {name: (labels | OF_SCRAPES) - OF_TARGETS for name, labels in _names().items()}
"""Of each metric, as it is told, its labels."""
METRICS = LABELS.keys()
