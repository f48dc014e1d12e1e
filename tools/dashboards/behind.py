"""Dashboards of what follows the shards: streams, ledger, notify; and what all processes use."""

from tools.dashboards.panels import RATE, Board, mean, panel, quantiles, rate

_BACKUP = "guilder_backup_last_success_timestamp_seconds"

STREAMS = Board(
    "streams",
    "streams and lag",
    (
        panel(
            "Lag",
            "s",
            ("max by (shard, sink) (wallet_outbox_lag_seconds)", "{{sink}}, shard {{shard}}"),
            about="How long the relay has known the oldest record that the sink has not.",
        ),
        panel(
            "Lag in records",
            "short",
            ("max by (shard, sink) (wallet_outbox_lag_records)", "{{sink}}, shard {{shard}}"),
        ),
        panel("Records acknowledged", "ops", rate("wallet_relay_records_total", "sink", "shard")),
        panel(
            "Connected",
            "short",
            ("max by (shard, sink) (wallet_relay_connected)", "{{sink}}, shard {{shard}}"),
        ),
        panel("Streams that broke", "ops", rate("wallet_relay_faults_total", "sink", "kind")),
        panel("Streams open at the ledger", "short", ("sum (ledger_streams)", "ledger")),
    ),
)

LEDGER = Board(
    "ledger",
    "ledger and reconciliation",
    (
        panel(
            "Differences found",
            "short",
            ("max by (check, shard) (ledger_differences)", "{{check}}, shard {{shard}}"),
            about="Anything above 0 is a page: docs/runbooks/ReconciliationDifference.md.",
        ),
        panel(
            "Age of the last proof",
            "s",
            (
                "time() - max by (check, shard) (ledger_check_timestamp_seconds)",
                "{{check}}, shard {{shard}}",
            ),
        ),
        panel(
            "Proofs in a day",
            "short",
            ("sum by (check, result) (increase(ledger_checks_total[1d]))", "{{check}} {{result}}"),
        ),
        panel("Credits on their way, as proved", "short", ("max (ledger_transit_open)", "open")),
        panel("Age of the books", "s", ("max by (shard) (ledger_lag_seconds)", "shard {{shard}}")),
        panel("Records taken in", "ops", rate("ledger_records_total", "shard")),
        panel("Entries written", "ops", rate("ledger_entries_total", "shard")),
        panel("Commits", "s", *quantiles("ledger_commit_seconds")),
        panel("Records in a commit", "short", mean("ledger_commit_records", "shard")),
        panel(
            "Refused records and failed commits",
            "ops",
            rate("ledger_refusals_total", "shard", "reason"),
            rate("ledger_commit_faults_total", "shard"),
        ),
    ),
)

NOTIFY = Board(
    "notify",
    "notify",
    (
        panel("Tries", "ops", rate("notify_deliveries_total", "outcome")),
        panel(
            "From event to acceptance",
            "s",
            *quantiles("notify_delivery_delay_seconds"),
            about="Retries included.",
        ),
        panel("Time of an endpoint", "s", *quantiles("notify_try_seconds")),
        panel("Dead letters", "ops", rate("notify_dead_letters_total", "cause")),
        panel("Queued", "ops", rate("notify_queued_total"), rate("notify_records_total", "shard")),
        panel(
            "Records whose deliveries are not queued",
            "short",
            ("max by (shard) (notify_dispatch_lag_records)", "shard {{shard}}"),
        ),
        panel(
            "Records in Redis",
            "short",
            ("max by (shard) (notify_stream_records)", "shard {{shard}}"),
        ),
        panel(
            "At this moment",
            "short",
            ("sum (notify_deliveries_under_way)", "tries"),
            ("sum (notify_watches)", "watches"),
        ),
        panel("Loops that fail", "ops", rate("notify_loop_faults_total", "loop")),
    ),
)

RESOURCES = Board(
    "resources",
    "resources",
    (
        panel(
            "CPU",
            "short",
            (f"sum by (instance) (rate(process_cpu_seconds_total[{RATE}]))", "{{instance}}"),
            about="Cores. A Python process has one; at 0.7 it is time for another.",
        ),
        panel(
            "Memory",
            "bytes",
            ("sum by (instance) (process_resident_memory_bytes)", "{{instance}}"),
        ),
        panel("Open files", "short", ("sum by (instance) (process_open_fds)", "{{instance}}")),
        panel(
            "Garbage collections",
            "ops",
            (f"sum by (instance) (rate(python_gc_collections_total[{RATE}]))", "{{instance}}"),
        ),
        panel(
            "Connections to Redis",
            "short",
            ("sum by (instance) (wallet_redis_connections_active)", "{{instance}}"),
        ),
        panel(
            "Sessions in use, of ledger, notify and edge",
            "short",
            ("sum by (pool) (ledger_db_connections_active)", "ledger {{pool}}"),
            ("sum (notify_db_connections_active)", "notify"),
            ("sum (edge_db_connections_active)", "edge"),
        ),
        panel(
            "Versions",
            "short",
            ("count by (version) (guilder_build_info)", "{{version}}"),
            about="Two at once: an upgrade is under way.",
        ),
        panel("Up", "short", ("sum by (instance) (up)", "{{instance}}")),
        panel(
            "Days until a certificate ends",
            "short",
            (
                "min by (instance) (guilder_certificate_expiry_timestamp_seconds - time()) / 86400",
                "{{instance}}",
            ),
            about="Only where services have one of their own.",
        ),
        panel(
            "Age of the last backup",
            "s",
            (f"time() - max by (database) (last_over_time({_BACKUP}[7d]))", "{{database}}"),
            about="A database that is not here has had none in a week: docs/backup.md.",
        ),
    ),
)
