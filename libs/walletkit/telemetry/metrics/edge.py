"""What edge tells of credentials and limits."""

from walletkit.telemetry.bounds import LATENCY_S
from walletkit.telemetry.instruments import Group

GROUP = Group("edge serve")

DECISIONS = GROUP.counter(
    "edge_decisions_total",
    "calls that Envoy asked about: passed (no credential of edge's), granted, refused, undecided"
    " (503: Redis or database)",
    "decision",
)
DECISION_SECONDS = GROUP.histogram(
    "edge_decision_seconds", "how long a decision took", bounds=LATENCY_S
)
REFUSALS = GROUP.counter("edge_refusals_total", "credentials refused, by cause", "cause")
KEY_LOOKUPS = GROUP.counter(
    "edge_key_lookups_total",
    "keys looked for: memory (found there), unknown (known there to be nobody's), database (read),"
    " stale (believed though the database does not answer)",
    "source",
)
KEYS_CACHED = GROUP.gauge("edge_keys_cached", "keys in memory")
RATE_DECISIONS = GROUP.counter(
    "edge_rate_decisions_total",
    "calls counted against limits, by kind of the call: passes (given to an Envoy, which may not"
    " use all), limited (429; what an Envoy refuses by itself is told when it asks again),"
    " uncounted (Redis does not answer)",
    *("route", "decision"),
)
LOOP_FAULTS = GROUP.counter("edge_loop_faults_total", "steps of a loop that failed", "loop")
CONNECTIONS = GROUP.gauge("edge_db_connections_active", "sessions that are in use")
CONNECTIONS_MAX = GROUP.gauge("edge_db_connections_max", "sessions that there may be")
