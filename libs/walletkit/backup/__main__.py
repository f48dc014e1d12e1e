"""`python -m walletkit.backup take | restore | admit`: backups of one database.

A database is named by the environment variable that has its URL: a password never stands on a
command line.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from walletkit.backup import metrics_file, restore, shard, take
from walletkit.backup.binlogs import Stop
from walletkit.backup.errors import BackupError
from walletkit.backup.manifest import BinlogPosition
from walletkit.command import USAGE_ERROR
from walletkit.sql.session import parse_url

DEADLINE_S = 6 * 3_600
URL_VARIABLE = "BACKUP_DATABASE_URL"

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
UrlFrom = Annotated[
    str, typer.Option(metavar="VARIABLE", help="Environment variable with the database's URL.")
]
DeadlineOption = Annotated[float, typer.Option("--deadline", min=1, metavar="SECONDS")]


@app.command("take")
def take_command(
    into: Annotated[Path, typer.Option(metavar="FOLDER", help="Where its folder is made.")],
    url_from: UrlFrom = URL_VARIABLE,
    metrics_file_: Annotated[
        Path | None,
        typer.Option("--metrics-file", help="Write when, for node_exporter; one a database."),
    ] = None,
    deadline: DeadlineOption = DEADLINE_S,
) -> None:
    """Dump a database as of one moment; print the folder. Money moves on meanwhile."""
    with _failures_told():
        made = take.take(_url(url_from), into, deadline)
        if metrics_file_ is not None:
            metrics_file.write(metrics_file_, made.manifest)
    typer.echo(str(made.folder))
    typer.echo(
        f"taken: {made.manifest.database} at {made.manifest.binlog}, "
        f"{made.manifest.dump_bytes} bytes"
        + ("" if made.manifest.shard is None else f", {made.manifest.shard}"),
        err=True,
    )


@app.command("restore")
def restore_command(
    backup: Annotated[Path, typer.Option(metavar="FOLDER", help="What take has printed.")],
    url_from: UrlFrom = URL_VARIABLE,
    binlogs: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Binlogs to replay behind the backup.")
    ] = None,
    stop_position: Annotated[
        str | None, typer.Option(metavar="FILE:POSITION", help="Replay what is before it.")
    ] = None,
    stop_datetime: Annotated[
        str | None, typer.Option(metavar="TIME", help="Replay what is before it, as in …T12:00:00Z")
    ] = None,
    deadline: DeadlineOption = DEADLINE_S,
) -> None:
    """Bring a backup back as a database that is empty or missing. A shard stays fenced: admit."""
    with _failures_told():
        stop = Stop(_position(stop_position), _time(stop_datetime))
        done = restore.restore(backup, _url(url_from), deadline, binlog_folder=binlogs, stop=stop)
    typer.echo(
        f"restored: {done.database} from the backup of {done.backup.begun_at:%Y-%m-%dT%H:%M:%SZ}, "
        f"load {done.load_seconds:.1f} s, replay {done.replay_seconds:.1f} s"
    )
    if done.ended.position is None:
        typer.echo(f"ended: at the backup's position, {done.backup.binlog}; nothing was replayed")
    else:
        typer.echo(f"ended: {done.ended.position}, {done.ended.time:%Y-%m-%dT%H:%M:%SZ}")
    if done.head is not None:
        typer.echo(f"head: {done.head}; fenced, until `admit` has compared it with the ledger")


@app.command("admit")
def admit_command(
    url_from: UrlFrom = URL_VARIABLE,
    ledger_url_from: UrlFrom = "LEDGER_DATABASE_URL",
    deadline: DeadlineOption = 60,
) -> None:
    """Let a restored shard serve, if the ledger has no record that it has not."""
    with _failures_told():
        head = shard.admit(_url(url_from), _url(ledger_url_from), deadline)
    typer.echo(f"admitted: {head}")


def _url(variable: str) -> str:
    url = os.environ.get(variable, "")
    try:
        parse_url(url)
    except ValueError as error:
        typer.echo(f"{variable}: {error if url else 'missing'}", err=True)
        raise typer.Exit(USAGE_ERROR) from None
    return url


def _position(text: str | None) -> BinlogPosition | None:
    if text is None:
        return None
    file, _, position = text.rpartition(":")
    try:
        return BinlogPosition(file=file, position=int(position))
    except (ValidationError, ValueError):
        raise _usage("--stop-position", text, "FILE:POSITION, as in binlog.000003:1234") from None


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    wanted = "a time with its zone, to the second, as in 2026-11-28T12:00:00Z"
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise _usage("--stop-datetime", text, wanted) from None
    if told.tzinfo is None or told.microsecond:
        raise _usage("--stop-datetime", text, wanted)
    return told.astimezone(UTC)


def _usage(option: str, given: str, wanted: str) -> typer.Exit:
    typer.echo(f"{option}: {given[:100]!r} is not {wanted}", err=True)
    return typer.Exit(USAGE_ERROR)


@contextmanager
def _failures_told() -> Iterator[None]:
    """Turn a failure into its message on standard error, and exit code 1."""
    try:
        yield
    except (BackupError, OSError) as error:
        typer.echo(f"failed: {error}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app()
