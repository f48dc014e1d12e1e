"""What is known of backups. No process tells it: a backup that ends writes it into a file."""

from walletkit.telemetry.instruments import Group

GROUP = Group("Backups")

LAST_SUCCESS = GROUP.gauge(
    "guilder_backup_last_success_timestamp_seconds",
    "when the last backup that was finished was begun, Unix time; no process tells it:"
    " `python -m walletkit.backup take --metrics-file` writes it, for node_exporter's textfile"
    " collector",
    "database",
)
