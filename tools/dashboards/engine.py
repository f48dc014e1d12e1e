"""Dashboards of what the wallet does inside: batches, shards."""

from tools.dashboards.panels import Board, mean, panel, quantiles, rate

ENGINE = Board(
    "engine",
    "engine",
    (
        panel(
            "Commands in a batch",
            "short",
            mean("wallet_batch_commands", "shard"),
            quantiles("wallet_batch_commands", "shard")[2],
            about="Larger batches under load are the group commit at work; 1,000 is the most.",
        ),
        panel("Commands committed", "ops", rate("wallet_batch_commands_sum", "shard")),
        panel(
            "Commit",
            "s",
            *quantiles("wallet_batch_seconds", "shard", chosen='{stage="commit"}'),
            about="Writes and COMMIT: the database's disk.",
        ),
        panel("Stages of a batch", "s", mean("wallet_batch_seconds", "stage", "shard")),
        panel(
            "Queue",
            "short",
            ("max by (shard) (wallet_queue_depth)", "waiting, shard {{shard}}"),
            ("max by (shard) (wallet_queue_limit)", "limit, shard {{shard}}"),
            about="Of the process that has the longest. Beyond the limit: OVERLOADED.",
        ),
        panel(
            "Refused before a batch", "ops", rate("wallet_queue_refusals_total", "shard", "reason")
        ),
        panel(
            "Batches that failed",
            "ops",
            rate("wallet_batch_faults_total", "shard", "fault"),
            about="They ran again. lock_timeout: somebody else locks rows of balances.",
        ),
        panel("Commands put aside", "ops", rate("wallet_parked_commands_total", "shard")),
    ),
)

SHARDS = Board(
    "shards",
    "shards",
    (
        panel("Taking commands", "short", ("min by (shard) (wallet_shard_up)", "shard {{shard}}")),
        panel("Batches", "ops", rate("wallet_batch_commands_count", "shard")),
        panel(
            "Sessions in use",
            "short",
            ("sum by (shard) (wallet_db_connections_active)", "shard {{shard}}"),
            ("sum by (shard) (wallet_db_connections_max)", "most, shard {{shard}}"),
        ),
        panel(
            "Sessions in use, all parts",
            "percentunit",
            ("guilder:db_connections:ratio", "{{part}} {{shard}}{{pool}}"),
            about="Of the process that has the fewest left; the alert is at 80 %.",
        ),
        panel(
            "Waits for a session",
            "s",
            quantiles("wallet_db_connection_wait_seconds", "shard")[2],
            about="Of the reads that had to.",
        ),
        panel(
            "Oldest credit on its way",
            "s",
            ("max by (shard) (wallet_transit_oldest_seconds)", "from shard {{shard}}"),
            about="Above a second a destination is away; the alert is at a minute.",
        ),
        panel("Credits that landed", "ops", rate("wallet_legs_total", "result")),
        panel("Credits on their way", "short", ("sum (wallet_legs_under_way)", "by all processes")),
        panel(
            "Replicas behind",
            "s",
            (
                "max by (shard, replica) (wallet_replica_lag_seconds)",
                "{{replica}}, shard {{shard}}",
            ),
            ("max by (shard, replica) (wallet_replica_lag_records)", "records, {{replica}}"),
            ("min by (replica) (wallet_replica_up)", "up, {{replica}}"),
            about="Only with WALLET_REPLICA_URLS.",
        ),
        panel(
            "Records in outboxes",
            "short",
            ("max by (shard) (wallet_outbox_records)", "shard {{shard}}"),
        ),
    ),
)
