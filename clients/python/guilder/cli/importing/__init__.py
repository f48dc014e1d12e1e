"""`guilder import`: a file's rows become wallets and movements, each once, run however often."""

from guilder.cli.importing.command import import_file, import_sheet
from guilder.cli.importing.rows import read_sheet

__all__ = ["import_file", "import_sheet", "read_sheet"]
