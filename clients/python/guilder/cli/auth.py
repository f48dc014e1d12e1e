"""`guilder auth`: what callers prove who they are with."""

import re
from pathlib import Path
from typing import Annotated

import typer

from guilder.cli import keys
from guilder.cli.declare import Call, Listing, command
from guilder.cli.options import LimitOption
from guilder.cli.session import EXIT_CODES
from walletkit.principal import Role
from walletkit.stack import issuer

MAX_TTL_S = 30 * 86_400

_TTL = re.compile(r"([1-9][0-9]{0,6})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_ROLES = [role.value for role in Role if role is not Role.INTERNAL]

app = typer.Typer(help="Credentials.", no_args_is_help=True)
app.add_typer(keys.app, name="key")


@app.command(epilog=EXIT_CODES)
def token(
    *,
    role: Annotated[
        list[str], typer.Option("--role", help=f"{', '.join(_ROLES)}; may be repeated.")
    ],
    account: Annotated[
        str, typer.Option("--account", help="A customer's account, and no other's.")
    ] = "",
    client: Annotated[
        str, typer.Option("--client", help="Id of who calls: the scope of its idempotency keys.")
    ] = "cli",
    ttl: Annotated[
        str, typer.Option("--ttl", metavar="TIME", help="How long it counts: 90s, 15m, 1h, 7d.")
    ] = "1h",
    run_dir: Annotated[
        Path, typer.Option(envvar="GUILDER_RUN_DIR", help="The local suite's folder.")
    ] = Path(".run"),
) -> None:
    """Sign a token with the local suite's own key: for development only. It is all that is printed.

    Production tokens come from your identity provider (docs/operations.md).
    """
    _check_roles(role, account)
    found = issuer.Issuer(run_dir.expanduser() / issuer.FOLDER)
    if not found.jwks.exists():
        message = f"{found.folder} has no issuer: `make up` makes it"
        raise typer.BadParameter(message, param_hint="'--run-dir'")
    typer.echo(found.sign(client, role, account_id=account, ttl_s=_seconds(ttl)))


@command(app)
async def events(
    call: Call,
    *,
    key: Annotated[str, typer.Option("--key", help="Only what was done to this key.")] = "",
    limit: LimitOption = 50,
) -> Listing:
    """List what was done to API keys, and by whom, newest first."""
    return Listing("events", call.guilder.keys.list_key_events(key, limit=limit), "Key events")


def _check_roles(roles: list[str], account: str) -> None:
    unknown = [name for name in roles if name not in _ROLES]
    if unknown:
        message = f"{unknown[0]!r}: must be one of {', '.join(_ROLES)}"
        raise typer.BadParameter(message, param_hint="'--role'")
    if (Role.CUSTOMER in roles) != bool(account):
        message = "a customer has an account, and nobody else has one"
        raise typer.BadParameter(message, param_hint="'--account'")
    if Role.CUSTOMER in roles and len(roles) > 1:
        raise typer.BadParameter("a customer has no other role", param_hint="'--role'")


def _seconds(text: str) -> int:
    match = _TTL.fullmatch(text)
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 0 < seconds <= MAX_TTL_S:
        message = f"{text!r}: must be a number with s, m, h or d, and at most 30d"
        raise typer.BadParameter(message, param_hint="'--ttl'")
    return seconds
