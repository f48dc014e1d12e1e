"""`guilder account`: freeze and bound all wallets of an account together."""

from collections.abc import Sequence

import typer

from guilder.cli.declare import Call, Listing, View, command
from guilder.cli.limits import account_app
from guilder.cli.options import ADMIN, AccountArgument, FreezeScopeOption, LimitOption
from guilder.cli.render import as_dict, console, plain, word
from guilder.cli.wallet import freeze_scope
from guilder.wallet.v1.limits_pb2 import FreezeAccountResponse, UnfreezeAccountResponse
from guilder.wallet.v1.resources_pb2 import FreezeScope

app = typer.Typer(help="Freeze and bound the wallets of an account together.", no_args_is_help=True)
app.add_typer(account_app, name="limits")


@command(app)
async def wallets(call: Call, account: AccountArgument, *, limit: LimitOption = 1_000) -> Listing:
    """List the wallets of an account."""
    found = call.guilder.wallet.list_wallets(account, limit=limit)
    return Listing("wallets", found, f"Wallets of {plain(account)}")


@command(app, *ADMIN)
async def freeze(
    call: Call, account: AccountArgument, *, debits: FreezeScopeOption = False
) -> View:
    """Freeze all wallets of an account, those created later included."""
    reply = await call.guilder.accounts.freeze_account(
        account, scope=freeze_scope(debits=debits), **call.options
    )
    stopped = word(FreezeScope, reply.account_freeze)
    return _view(call, reply, [f"Account {plain(account)} is frozen: {stopped}."])


@command(app, *ADMIN)
async def unfreeze(call: Call, account: AccountArgument) -> View:
    """Undo the freeze of an account; wallets that are frozen by themselves stay so."""
    reply = await call.guilder.accounts.unfreeze_account(account, **call.options)
    return _view(call, reply, [f"Account {plain(account)} is not frozen."])


def _view(
    call: Call, reply: FreezeAccountResponse | UnfreezeAccountResponse, lines: Sequence[str]
) -> View:
    def show() -> None:
        out = console()
        for line in (*lines, f"Wallets that it concerns: {reply.wallets:,}."):
            out.print(line)
        if call.options["validate_only"]:
            out.print("Dry run: nothing was changed.", style="yellow")
        elif reply.replayed:
            out.print("Replayed: an earlier call with this key had done it.", style="yellow")

    return View(as_dict(reply), show)
