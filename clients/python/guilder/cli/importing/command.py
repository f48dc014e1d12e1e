"""The command `guilder import`: its options and its text."""

from pathlib import Path
from typing import Annotated

import typer

from guilder.cli.options import DryRunOption, JsonOption

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        readable=True,
        help="CSV with a header, or JSONL (by its name) with the same names.",
    ),
]


def import_file(
    ctx: typer.Context,
    *,
    path: FileArgument,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import wallets, deposits, withdrawals and transfers from a file.

    Columns: key, op, label, account, currency, source, destination, amount, reference, expect.
    op is create_wallet (label, account, currency), deposit (destination), withdraw (source) or
    transfer (source, destination), each with amount (12.50) and currency; source and destination
    are labels of wallets that a row above creates, or ids, or aliases. Rows end as if they ran one
    by one.

    A row's key decides it once: run the same file again after Ctrl-C or an error, and it goes on;
    run it again when it is done, and nothing moves. Keys are kept for at least 7 days.

    --dry-run tells what each row would do, or which rule would refuse it, and the balances before
    and after. It judges each row's limits by itself.

    Malformed rows are listed with their lines, and the rest goes on. expect is OK (the default) or
    the reason of a decline that is meant to happen. Exit code 0 when every row is well-formed and
    ends as expected.
    """
    # Loaded where it is needed: every other command would pay for it.
    from guilder.cli.importing.sheet import carry_out  # noqa: PLC0415

    carry_out(ctx, path, dry_run=dry_run, as_json=as_json)
