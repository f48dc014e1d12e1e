"""The command lines of exports: read their options, and tell what came of them.

What was made or found goes to standard output, why not to standard error.
"""

import argparse
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

from ledger.export.check import Checked, check
from ledger.export.errors import ExportError
from ledger.export.files import size_and_hash
from ledger.export.manifest import MANIFEST_FILE, Export
from ledger.export.month import Month, parse_month
from walletkit.auth.refusals import StartError
from walletkit.errors import ServiceError

FAILED = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``export``."""
    parser.add_argument(
        "--month", required=True, type=_month, metavar="YYYY-MM", help="of UTC; it must be over"
    )
    parser.add_argument(
        "--into", required=True, type=_folder, metavar="FOLDER", help="where its folder is made"
    )


def add_check_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``check-export``."""
    parser.add_argument(
        "folders",
        nargs="+",
        type=_folder,
        metavar="FOLDER",
        help="an exported month; several are compared with each other too",
    )


def taken_told(work: Callable[[], Coroutine[Any, Any, Export]]) -> int:
    """Export, tell the folder and the hash of its manifest, and return the exit code."""
    try:
        made = uvloop.run(work())
        _, sha256 = size_and_hash(made.folder / MANIFEST_FILE)
    except (ExportError, ServiceError, StartError, OSError) as error:
        sys.stderr.write(f"failed: {error}\n")
        return FAILED
    sys.stdout.write(f"{made.folder}\n{MANIFEST_FILE} SHA-256 {sha256}\n")
    return 0


def check_told(folders: Sequence[Path]) -> int:
    """Check, tell each fault by file and line, and return the exit code."""
    checked = check(folders)
    for fault in checked.faults.kept:
        sys.stdout.write(f"{fault}\n")
    if more := checked.faults.count - len(checked.faults.kept):
        sys.stdout.write(f"and {more} more\n")
    sys.stderr.write(f"{_verdict(checked)}\n")
    return FAILED if checked.faults.count else 0


def _verdict(checked: Checked) -> str:
    months = ", ".join(map(str, checked.months)) or "no month"
    if checked.faults.count:
        return f"wrong: {checked.faults.count} faults in {months}"
    return f"holds: {months}, {checked.records} records, {checked.entries} entries"


def _month(text: str) -> Month:
    try:
        return parse_month(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text[:100]!r} is not a folder that is there")
    return path
