"""`python -m tools.restore_drill`: what `make restore-drill` runs. Exit 1: something was lost."""

import argparse
import asyncio
import secrets
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tools.restore_drill.drill import Drill
from tools.restore_drill.report import as_json, show
from walletkit.backup.errors import BackupError
from walletkit.stack import Stack, StackError, StackSettings


def main() -> int:
    """Start a suite, run the drill on it, and tell."""
    parser = argparse.ArgumentParser(prog="python -m tools.restore_drill", description=__doc__)
    parser.add_argument("--json", action="store_true", help="write the report as JSON")
    parser.add_argument("--seconds", type=float, default=5.0, help="traffic between the steps")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9), help="of the traffic")
    options = parser.parse_args()
    told = Console(stderr=True, highlight=False)
    told.print(f"drill: seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="guilder-drill-") as name:
        folder = Path(name)
        try:
            with Stack(StackSettings.for_tests(folder / "suite"), tied=True) as suite:
                suite.up()
                drill = Drill(suite, folder, told.print)
                report = asyncio.run(drill.run(options.seconds, options.seed))
        except (BackupError, StackError) as error:
            told.print(f"drill: FAILED: {error}", style="bold red")
            return 1
    if options.json:
        sys.stdout.write(as_json(report) + "\n")
    else:
        show(report, Console(highlight=False))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
