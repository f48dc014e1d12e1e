"""Tell Prometheus when a backup was last taken: a file for node_exporter's textfile collector."""

from pathlib import Path

from walletkit.backup.manifest import Manifest

METRIC = "guilder_backup_last_success_timestamp_seconds"
_TEXT = """# HELP {metric} When the last backup that was finished was begun, Unix time.
# TYPE {metric} gauge
{metric}{{database="{database}"}} {seconds:.0f}
"""


def write(path: Path, backup: Manifest) -> None:
    """Replace the file, one for each database, in one step. Raise ``OSError``."""
    partial = path.with_name(path.name + ".partial")
    text = _TEXT.format(
        metric=METRIC, database=backup.database, seconds=backup.begun_at.timestamp()
    )
    partial.write_text(text, encoding="ascii")
    partial.chmod(0o644)
    partial.replace(path)
