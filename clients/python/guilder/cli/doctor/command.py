"""The command `guilder doctor`: look at all parts side by side, show, and leave with 0 or 1."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from guilder.cli.doctor.finding import Finding, Status, worst
from guilder.cli.options import JsonOption
from guilder.cli.render import print_json
from guilder.cli.session import ExitCode, Session
from walletkit.sql.session import parse_url


def doctor(
    ctx: typer.Context,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="A warning fails, too.")] = False,
    replica: Annotated[
        list[str] | None,
        typer.Option(
            envvar="GUILDER_REPLICA_URLS",
            metavar="URL",
            help="mysql://user:password@host:port/database of a replica, beside those of"
            " WALLET_REPLICA_URLS; may be repeated. The variable holds several with spaces between"
            " them, and no list of processes shows it.",
        ),
    ] = None,
    run_dir: Annotated[
        Path,
        typer.Option(
            envvar="GUILDER_RUN_DIR",
            help="The local suite's folder: looked at where no service has a variable here.",
        ),
    ] = Path(".run"),
    as_json: JsonOption = False,
) -> None:
    """Look at settings, databases, Redis, services, clocks and certificates; say what to mend.

    Reads the services' environment, changes nothing. Exit code 0: no failure; 1: one, or with
    --strict a warning.
    """
    session = ctx.find_object(Session)
    assert session is not None
    for url in replica or ():
        _check(url)
    findings = asyncio.run(examine(session, run_dir.expanduser().resolve(), replica or []))
    # Imported late, as all of it: other commands start without it.
    from guilder.cli.doctor.show import document, show  # noqa: PLC0415

    if as_json:
        print_json(document(findings))
    else:
        show(findings)
    refused = {Status.FAIL, Status.WARN} if strict else {Status.FAIL}
    if worst(findings) in refused:
        raise typer.Exit(ExitCode.FAILED)


def _check(url: str) -> None:
    try:
        parse_url(url)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--replica'") from None


async def examine(session: Session, run_dir: Path, replicas: list[str]) -> list[Finding]:
    """Look at everything and return what was found, in the order of the parts."""
    # The services' settings and migrations need what no other command does.
    from guilder.cli.doctor import (  # noqa: PLC0415
        certificates,
        configuration,
        databases,
        programs,
        redis_server,
        services,
    )
    from guilder.cli.doctor import replicas as replicas_  # noqa: PLC0415

    found = configuration.read(run_dir)
    looked = await asyncio.gather(
        databases.look_at_all(found),
        replicas_.look_at_all(found, replicas),
        redis_server.look_at_all(found),
        services.look_at_all(session),
    )
    return [
        *programs.look(),
        *found.findings,
        *certificates.look_at_all(found),
        *(finding for findings in looked for finding in findings),
    ]
