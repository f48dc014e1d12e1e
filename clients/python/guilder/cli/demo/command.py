"""The command `guilder demo`: its options and its text."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    ctx: typer.Context,
    *,
    path: Annotated[
        Path,
        typer.Option("--file", exists=True, dir_okay=False, help="The file to import."),
    ] = Path("examples/payroll.csv"),
) -> None:
    """Import a payroll, look at what became of it, pay by hold and refund, and prove the books.

    Run it again: its keys come from the file, so no money moves twice, and the balances keep their
    fingerprint. Ctrl-C at any moment, then again, ends at the same balances too.
    """
    # Loaded where it is needed: every other command would pay for it.
    from guilder.cli.demo.tour import carry_out  # noqa: PLC0415

    carry_out(ctx, path)
