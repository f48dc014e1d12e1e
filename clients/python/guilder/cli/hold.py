"""`guilder hold`: reserve money, capture it or give it back. Three of it stand at the top, too."""

from datetime import datetime
from typing import Annotated

import typer
from google.protobuf.message import Message

from guilder.cli.declare import Call, Listing, command
from guilder.cli.options import (
    HOLD,
    MOVEMENT,
    WALLET_CHANGE,
    AmountArgument,
    HoldArgument,
    HoldStateName,
    LimitOption,
    WalletArgument,
    time_option,
    utc,
)
from guilder.wallet.v1.resources_pb2 import HoldState

app = typer.Typer(help="Reserve money, capture it or give it back.", no_args_is_help=True)
top = typer.Typer()


@command(top, *HOLD)
@command(app, *HOLD)
async def authorize(
    call: Call,
    wallet_id: WalletArgument,
    amount: AmountArgument,
    *,
    to: Annotated[
        str, typer.Option("--to", help="Wallet that captures go to; else each capture chooses.")
    ] = "",
    expire_time: Annotated[
        datetime | None, time_option("--expire-time", "When it ends by itself; else in 7 days.")
    ] = None,
) -> Message:
    """Reserve money of a wallet: available falls, posted does not."""
    wanted = await call.money(amount)
    return await call.guilder.holds.authorize(
        wallet_id,
        wanted,
        destination_wallet_id=to,
        expire_time=utc(expire_time),
        **call.options,
    )


@command(app, *WALLET_CHANGE)
async def increment(call: Call, hold_id: HoldArgument, amount: AmountArgument) -> Message:
    """Reserve more under a hold."""
    wanted = await call.money(amount)
    return await call.guilder.holds.increment_hold(hold_id, wanted, **call.options)


@command(app, *WALLET_CHANGE)
async def extend(
    call: Call,
    hold_id: HoldArgument,
    expire_time: Annotated[
        datetime, time_option("--expire-time", "When it ends by itself from now on.")
    ],
) -> Message:
    """Let a hold end later."""
    until = utc(expire_time)
    assert until is not None
    return await call.guilder.holds.extend_hold(hold_id, until, **call.options)


@command(top, *MOVEMENT)
@command(app, *MOVEMENT)
async def capture(
    call: Call,
    hold_id: HoldArgument,
    *,
    amount: Annotated[
        str | None, typer.Option(help="Such as '12.50 EUR'; all that is open if not given.")
    ] = None,
    final: Annotated[bool, typer.Option("--final", help="Release what is left.")] = False,
    to: Annotated[
        str,
        typer.Option("--to", help="Wallet that is paid, where the hold names none; else outside."),
    ] = "",
) -> Message:
    """Move money that a hold reserves, all or part of it, as often as something is left."""
    wanted = await call.money_or_none(amount)
    return await call.guilder.holds.capture_hold(
        hold_id, wanted, final=final, destination_wallet_id=to, **call.options
    )


@command(top, *WALLET_CHANGE)
@command(app, *WALLET_CHANGE)
async def void(call: Call, hold_id: HoldArgument) -> Message:
    """Release what a hold still reserves."""
    return await call.guilder.holds.void_hold(hold_id, **call.options)


@command(app)
async def show(call: Call, hold_id: HoldArgument) -> Message:
    """Show a hold."""
    return await call.guilder.holds.get_hold(hold_id)


@command(app, name="list")
async def list_(
    call: Call,
    wallet_id: WalletArgument,
    *,
    state: Annotated[HoldStateName | None, typer.Option(help="Only holds in this state.")] = None,
    limit: LimitOption = 50,
) -> Listing:
    """List a wallet's holds, newest first."""
    wanted = HoldState.HOLD_STATE_UNSPECIFIED if state is None else state.number
    found = call.guilder.holds.list_holds(wallet_id, state=wanted, limit=limit)
    return Listing("holds", found, f"Holds of {wallet_id}")
