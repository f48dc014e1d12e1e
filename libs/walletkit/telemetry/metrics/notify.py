"""What notify tells of records, deliveries and watches."""

from walletkit.telemetry.bounds import DELIVERY_S
from walletkit.telemetry.instruments import Group

GROUP = Group("notify serve")

RECORDS = GROUP.counter("notify_records_total", "records taken in", "shard")
STREAM_RECORDS = GROUP.gauge(
    "notify_stream_records", "records that Redis keeps, as counted every 5 s", "shard"
)
DISPATCH_LAG = GROUP.gauge(
    "notify_dispatch_lag_records",
    "records whose deliveries are not queued yet; 0 while nobody subscribes",
    "shard",
)
QUEUED = GROUP.counter("notify_queued_total", "deliveries queued, those of replays not counted")
DELIVERIES = GROUP.counter(
    "notify_deliveries_total", "tries, by outcome: delivered, retry, give_up", "outcome"
)
TRY_SECONDS = GROUP.histogram(
    "notify_try_seconds", "how long an endpoint took, whatever it answered", bounds=DELIVERY_S
)
DELAY_SECONDS = GROUP.histogram(
    "notify_delivery_delay_seconds",
    "from an event's commit to its endpoint's acceptance, retries included; a replay's as well",
    bounds=DELIVERY_S,
)
DEAD_LETTERS = GROUP.counter(
    "notify_dead_letters_total",
    "dead letters kept: given_up (by a delivery), lost (records were trimmed first)",
    "cause",
)
UNDER_WAY = GROUP.gauge("notify_deliveries_under_way", "tries that wait for an endpoint")
WATCHES = GROUP.gauge("notify_watches", "watches that are open")
LOOP_FAULTS = GROUP.counter("notify_loop_faults_total", "steps of a loop that failed", "loop")
CONNECTIONS = GROUP.gauge("notify_db_connections_active", "sessions that are in use")
CONNECTIONS_MAX = GROUP.gauge("notify_db_connections_max", "sessions that there may be")
