"""What the wallet's processes tell of money, batches and shards."""

from walletkit.telemetry.bounds import BATCH, COMMIT_S
from walletkit.telemetry.instruments import Group

GROUP = Group("wallet serve")

TRANSACTIONS = GROUP.counter(
    "wallet_transactions_total",
    "movements that were decided; type as in the API; status completed, processing (the rest of it"
    " is on its way to another shard) or declined. Each once, as its home shard has committed it;"
    " not those whose COMMIT was answered by nobody: they show as replays",
    *("type", "status"),
)
VOLUME = GROUP.counter(
    "wallet_volume_minor_total",
    "what was moved, in minor units of each currency, fees and the like included",
    "currency",
)
DECLINES = GROUP.counter(
    "wallet_declines_total",
    "decisions against a command that are kept with its key, by reason of errors.md; commands in"
    " batches and streams included",
    "reason",
)
REPLAYS = GROUP.counter(
    "wallet_idempotent_replays_total",
    "keys that had been used before: what is answered from them, and IDEMPOTENCY_KEY_REUSED",
    "shard",
)
HOLDS = GROUP.counter(
    "wallet_hold_changes_total", "holds made, changed and ended, by what was done", "kind"
)
LEGS = GROUP.counter(
    "wallet_legs_total",
    "credits from other shards that have landed: credited, returned or suspended",
    "result",
)
BATCH_COMMANDS = GROUP.histogram(
    "wallet_batch_commands", "commands that were committed together", "shard", bounds=BATCH
)
BATCH_SECONDS = GROUP.histogram(
    "wallet_batch_seconds",
    "what a batch took, by stage: load (locks and reads), decide, commit (writes and COMMIT)",
    *("shard", "stage"),
    bounds=COMMIT_S,
)
BATCH_FAULTS = GROUP.counter(
    "wallet_batch_faults_total",
    "batches that failed and were run again, split or given up, by fault: deadlock, lock_timeout,"
    " lost_race, lost_connection, stale_epoch, data, other",
    *("shard", "fault"),
)
PARKED = GROUP.counter(
    "wallet_parked_commands_total",
    "commands put aside because another session has locked their wallets",
    "shard",
)
QUEUE_DEPTH = GROUP.gauge("wallet_queue_depth", "commands that wait for their batch", "shard")
QUEUE_LIMIT = GROUP.gauge(
    "wallet_queue_limit", "how many commands of callers may wait: WALLET_QUEUE_LIMIT", "shard"
)
QUEUE_REFUSALS = GROUP.counter(
    "wallet_queue_refusals_total",
    "commands that never came into a batch: OVERLOADED, SHARD_UNAVAILABLE, SHUTTING_DOWN,"
    " DEADLINE_EXCEEDED",
    *("shard", "reason"),
)
SHARD_UP = GROUP.gauge("wallet_shard_up", "1 while the shard takes commands", "shard")
CONNECTIONS = GROUP.gauge(
    "wallet_db_connections_active", "sessions on the shard that are in use", "shard"
)
CONNECTIONS_MAX = GROUP.gauge(
    "wallet_db_connections_max", "sessions on the shard that there may be", "shard"
)
CONNECTION_WAITS = GROUP.histogram(
    "wallet_db_connection_wait_seconds",
    "how long reads waited for a session, of those that had to",
    "shard",
    bounds=COMMIT_S,
)
LEGS_UNDER_WAY = GROUP.gauge(
    "wallet_legs_under_way", "credits that this process is bringing to other shards"
)
TRANSIT_AGE = GROUP.gauge(
    "wallet_transit_oldest_seconds",
    "age of the oldest credit that has left the shard and is not known to have landed; 0: none",
    "shard",
)
