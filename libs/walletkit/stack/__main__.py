"""`python -m walletkit.stack up | down | status`: what `make` runs for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from walletkit.stack import ProcessStatus, Stack, StackError, StackSettings
from walletkit.stack.settings import MEASURED

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
console = Console(highlight=False)
COLOURS = {"ready": "green", "not ready": "yellow", "died": "red", "stopped": "dim"}


@app.command()
def up() -> None:
    """Start what does not run yet, and wait until everything answers."""
    with _failures_told():
        stack = _stack()
        started = stack.up()
        if not started:
            console.print("up: already running")
        shown = [f"{name} {stack.address(name)}" for name in ("wallet", "ledger", "notify", "edge")]
        console.print(f"up: {', '.join(shown)}")
        console.print(f"up: REST {stack.rest_url}, with a token")
        measured = [f"{name} {stack.settings.metrics_port(name)}" for name in MEASURED]
        console.print(f"up: metrics of {', '.join(measured)}, GET /metrics")


@app.command()
def down() -> None:
    """Stop everything, services before databases. Data stay."""
    with _failures_told():
        stopped = _stack().stop()
        console.print("down: done" if stopped else "down: nothing was running")


@app.command()
def status() -> None:
    """Show each process; exit 1 when one is not ready."""
    with _failures_told():
        rows = _stack().status()
    console.print(_table(rows))
    if any(row.state != "ready" for row in rows):
        raise typer.Exit(1)


def _stack() -> Stack:
    return Stack(StackSettings(), report=console.print)


@contextmanager
def _failures_told() -> Iterator[None]:
    """Turn a failure into its message on standard error, and exit code 1."""
    try:
        yield
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(["GUILDER", *map(str, problem["loc"][:1])]).upper()
            typer.echo(f"{name}: {problem['msg']}", err=True)
        raise typer.Exit(1) from error
    except StackError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _table(rows: list[ProcessStatus]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading, justify in (("process", "left"), ("pid", "right"), ("port", "right")):
        table.add_column(heading, justify="right" if justify == "right" else "left")
    for heading in ("state", "uptime", "log"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        uptime = ""
        if row.uptime_seconds is not None:
            uptime = str(timedelta(seconds=int(row.uptime_seconds)))
        state = f"[{COLOURS[row.state]}]{row.state}[/]"
        pid, port = ("" if number is None else str(number) for number in (row.pid, row.port))
        table.add_row(row.name, pid, port, state, uptime, _short(row.log))
    return table


def _short(path: Path) -> str:
    """Show a path below the working folder as it would be typed."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


if __name__ == "__main__":
    app()
