"""Tell Prometheus when a backup was last taken: a file for node_exporter's textfile collector."""

from pathlib import Path

from walletkit.backup.manifest import Manifest
from walletkit.telemetry.metrics.backup import LAST_SUCCESS

_TEXT = """# HELP {name} {meaning}
# TYPE {name} {kind}
{name}{{{label}="{database}"}} {seconds:.0f}
"""


def write(path: Path, backup: Manifest) -> None:
    """Replace the file, one for each database, in one step. Raise ``OSError``."""
    partial = path.with_name(path.name + ".partial")
    (label,) = LAST_SUCCESS.labels
    text = _TEXT.format(
        name=LAST_SUCCESS.name,
        meaning=LAST_SUCCESS.meaning,
        kind=LAST_SUCCESS.kind,
        label=label,
        database=backup.database,
        seconds=backup.begun_at.timestamp(),
    )
    partial.write_text(text, encoding="ascii")
    partial.chmod(0o644)
    partial.replace(path)
