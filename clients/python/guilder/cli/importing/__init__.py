"""`guilder import`: a file's rows become wallets and movements, each once, run however often."""

from guilder.cli.importing.command import import_file

__all__ = ["import_file"]
