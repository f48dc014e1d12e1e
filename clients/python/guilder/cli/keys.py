"""`guilder auth key`: the API keys of machines."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from guilder.cli.declare import Call, Listing, View, command
from guilder.cli.options import LimitOption, time_option, utc
from guilder.cli.render import as_dict, console, plain
from guilder.cli.show import show_items
from guilder.edge.v1.key_service_pb2 import CreateKeyResponse, KeyKind, RotateKeyResponse

app = typer.Typer(help="Give out API keys, and take them back.", no_args_is_help=True)

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Id of the key.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the log.")]

ONCE = "Shown this once; keep it where secrets are kept:"


class KindName(StrEnum):
    """How a key is used, as people type it."""

    BEARER = "bearer"
    SIGNING = "signing"

    @property
    def number(self) -> KeyKind.ValueType:
        """The API's value."""
        return KeyKind.Value(f"KEY_KIND_{self.name}")


@command(app)
async def create(
    call: Call,
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="Who will call with it.")],
    *,
    role: Annotated[
        list[str],
        typer.Option("--role", help="customer, service, operator, auditor, admin; may repeat."),
    ],
    account: Annotated[str, typer.Option("--account", help="A customer's account.")] = "",
    kind: Annotated[
        KindName, typer.Option("--kind", help="Sent with each call, or signs each call.")
    ] = KindName.BEARER,
    expire_time: Annotated[
        datetime | None, time_option("--expires", "From when on it is refused.")
    ] = None,
    reason: ReasonOption = "",
) -> View:
    """Make a key. Each run makes one: it is not tried again by itself."""
    reply = await call.guilder.keys.create_key(
        client,
        role,
        kind=kind.number,
        account_id=account,
        expire_time=utc(expire_time),
        reason=reason,
    )
    return _with_credential(reply)


@command(app, name="list")
async def list_(
    call: Call,
    *,
    client: Annotated[str, typer.Option("--client", help="Only this client's.")] = "",
    limit: LimitOption = 1_000,
) -> Listing:
    """List keys, oldest first, without their secrets."""
    title = f"Keys of {plain(client)}" if client else "Keys"
    return Listing("keys", call.guilder.keys.list_keys(client, limit=limit), title)


@command(app)
async def rotate(
    call: Call,
    key: KeyArgument,
    *,
    overlap: Annotated[
        int,
        typer.Option(
            "--overlap",
            min=0,
            max=2_592_000,
            metavar="SECONDS",
            help="How long the old secret stays valid.",
        ),
    ] = 86_400,
    reason: ReasonOption = "",
) -> View:
    """Give a key a new secret; the old one stays valid for a day, or as long as you say."""
    return _with_credential(
        await call.guilder.keys.rotate_key(key, overlap_s=overlap, reason=reason)
    )


@command(app)
async def revoke(call: Call, key: KeyArgument, *, reason: ReasonOption = "") -> View:
    """End a key for good: it is refused everywhere within 10 s."""
    revoked = await call.guilder.keys.revoke_key(key, reason=reason)
    return View(as_dict(revoked), lambda: show_items([revoked]))


def _with_credential(reply: CreateKeyResponse | RotateKeyResponse) -> View:
    def show() -> None:
        show_items([reply.key])
        out = console()
        out.print(ONCE)
        out.print(reply.credential, soft_wrap=True)

    return View(as_dict(reply), show)
