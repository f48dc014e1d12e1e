"""What the relay tells of outboxes and sinks."""

from walletkit.telemetry.instruments import Group

GROUP = Group("wallet relay")

CONNECTED = GROUP.gauge(
    "wallet_relay_connected", "1 while the sink takes the shard's records", "shard", "sink"
)
LAG_RECORDS = GROUP.gauge(
    "wallet_outbox_lag_records",
    "records of the shard that the sink has not acknowledged",
    *("shard", "sink"),
)
LAG_SECONDS = GROUP.gauge(
    "wallet_outbox_lag_seconds",
    "for how long the relay has known the oldest of them; 0: none",
    *("shard", "sink"),
)
RECORDS = GROUP.counter(
    "wallet_relay_records_total", "records that the sink has acknowledged", "shard", "sink"
)
FAULTS = GROUP.counter(
    "wallet_relay_faults_total",
    "streams that broke, by kind: passing, refused (by the sink), purged (records that it needs are"
    " gone), history (the sink has another one: page)",
    *("shard", "sink", "kind"),
)
REPLICA_UP = GROUP.gauge(
    "wallet_replica_up",
    "1 while a replica (WALLET_REPLICA_URLS) answers, and is one of a shard of ours",
    "replica",
)
REPLICA_LAG_RECORDS = GROUP.gauge(
    "wallet_replica_lag_records",
    "records of the shard that the replica does not have",
    *("shard", "replica"),
)
REPLICA_LAG_SECONDS = GROUP.gauge(
    "wallet_replica_lag_seconds",
    "for how long the relay has known the oldest of them; 0: none",
    *("shard", "replica"),
)
OUTBOX_RECORDS = GROUP.gauge(
    "wallet_outbox_records", "records that the shard's outbox keeps, as last counted", "shard"
)
