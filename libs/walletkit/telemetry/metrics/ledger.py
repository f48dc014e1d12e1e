"""What the ledger tells of ingest and proofs."""

from walletkit.telemetry.bounds import BATCH, COMMIT_S
from walletkit.telemetry.instruments import Group

GROUP = Group("ledger serve")

RECORDS = GROUP.counter("ledger_records_total", "records taken in", "shard")
ENTRIES = GROUP.counter("ledger_entries_total", "entries written", "shard")
COMMIT_RECORDS = GROUP.histogram(
    "ledger_commit_records", "records that were committed together", "shard", bounds=BATCH
)
COMMIT_SECONDS = GROUP.histogram(
    "ledger_commit_seconds", "locks, journal, writes and COMMIT", "shard", bounds=COMMIT_S
)
COMMIT_FAULTS = GROUP.counter(
    "ledger_commit_faults_total", "commits that failed and were tried again", "shard"
)
LAG = GROUP.gauge(
    "ledger_lag_seconds",
    "age, by the shard's clock, of the last record when it was committed here. A stream that stands"
    " still shows in wallet_outbox_lag_seconds",
    "shard",
)
POSITION = GROUP.gauge("ledger_position_seq", "the last record committed", "shard")
REFUSALS = GROUP.counter(
    "ledger_refusals_total",
    "records refused, by reason of errors.md: the shard's stream stands still (page)",
    *("shard", "reason"),
)
STREAMS = GROUP.gauge("ledger_streams", "streams of relays that are open")
CHECKS = GROUP.counter(
    "ledger_checks_total",
    "proofs that were run: check reconcile, chain or transit; result equal, different or failed",
    *("check", "result"),
)
DIFFERENCES = GROUP.gauge(
    "ledger_differences",
    "differences that the last proof found (page when above 0); transit has shard all",
    *("check", "shard"),
)
CHECKED = GROUP.gauge(
    "ledger_check_timestamp_seconds", "when the last proof ended, Unix time", "check", "shard"
)
TRANSIT_OPEN = GROUP.gauge(
    "ledger_transit_open", "credits between shards that the last proof found under way"
)
CONNECTIONS = GROUP.gauge(
    "ledger_db_connections_active", "sessions that are in use, of pool reads or proofs", "pool"
)
CONNECTIONS_MAX = GROUP.gauge("ledger_db_connections_max", "sessions that there may be", "pool")
CONNECTION_WAITS = GROUP.histogram(
    "ledger_db_connection_wait_seconds",
    "how long reads waited for a session, of those that had to",
    "pool",
    bounds=COMMIT_S,
)
