"""What every process tells of itself."""

from walletkit.telemetry.bounds import LAG_S
from walletkit.telemetry.instruments import Group

GROUP = Group("Every process")

BUILD = GROUP.gauge(
    "guilder_build_info", "1; which program this is", "service", "version", "python"
)
LOOP_LAG = GROUP.histogram(
    "guilder_event_loop_lag_seconds",
    "how late the event loop came to a timer of 0.25 s: what every call waits beside its own work",
    bounds=LAG_S,
)
WORKER_UP = GROUP.gauge(
    "guilder_worker_up",
    "1 where a worker answered this scrape; only with WALLET_WORKERS above 1, where all else has"
    " the label worker, too",
    "worker",
)
REDIS_CONNECTIONS = GROUP.gauge(
    "wallet_redis_connections_active",
    "connections to Redis that a call has taken (notify, edge: the wallet has none)",
    "service",
)
CERTIFICATE_EXPIRY = GROUP.gauge(
    "guilder_certificate_expiry_timestamp_seconds",
    "when the first certificate of _TLS_CERT that this process has read ends, Unix time; only with"
    " _TLS_CERT",
)
