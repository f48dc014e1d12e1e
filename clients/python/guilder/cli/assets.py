"""`guilder assets`: what can be held and counted."""

from typing import Annotated

import typer
from google.protobuf.message import Message

from guilder.cli.declare import Call, Listing, command
from guilder.cli.options import ADMIN

app = typer.Typer(help="See what can be held, and register more.", no_args_is_help=True)


@command(app, name="list")
async def list_(
    call: Call,
    *,
    registered: Annotated[
        bool, typer.Option("--registered", help="Only what ISO 4217 does not know.")
    ] = False,
) -> Listing:
    """List all that can be held: ISO 4217, and what is registered."""
    found = [
        item
        for item in await call.guilder.assets.list_assets()
        if item.registered or not registered
    ]
    return Listing("assets", found, "Assets")


@command(app, *ADMIN)
async def register(
    call: Call,
    code: Annotated[
        str, typer.Argument(metavar="CODE", help="3 to 12 of A-Z and 0-9, a letter first.")
    ],
    exponent: Annotated[
        int, typer.Argument(metavar="DECIMALS", min=0, max=8, help="Digits after the point.")
    ],
) -> Message:
    """Register an asset that ISO 4217 does not know; it never changes."""
    return await call.guilder.assets.register_asset(code, exponent, **call.options)
