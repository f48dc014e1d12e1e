"""Write the dashboards that the chart deploys. `make docs`."""

import json
import sys
from pathlib import Path

from tools.dashboards.behind import LEDGER, NOTIFY, RESOURCES, STREAMS
from tools.dashboards.engine import ENGINE, SHARDS
from tools.dashboards.money import EDGE, LATENCY, MONEY
from tools.dashboards.panels import rendered

FOLDER = Path("deploy/helm/guilder/files/dashboards")
BOARDS = (MONEY, LATENCY, ENGINE, SHARDS, STREAMS, LEDGER, NOTIFY, EDGE, RESOURCES)


def files() -> dict[str, str]:
    """Return each file's name and text."""
    return {f"{board.name}.json": json.dumps(rendered(board), indent=1) + "\n" for board in BOARDS}


def main() -> None:
    """Write all, and take away what is none any more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    written = files()
    for old in FOLDER.glob("*.json"):
        if old.name not in written:
            old.unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    panels = sum(len(board.panels) for board in BOARDS)
    sys.stdout.write(f"{FOLDER}: {len(written)} dashboards, {panels} panels\n")


if __name__ == "__main__":
    main()
