"""`guilder reconcile`: compare the shards' balances with the journal, record by record."""

from typing import Annotated

import typer
from google.protobuf.json_format import MessageToDict

from guilder.cli.declare import Call, View, command
from guilder.cli.render import as_dict, console, plain, table
from guilder.cli.session import ExitCode
from guilder.ledger.v1.ledger_service_pb2 import Difference, ReconcileResponse

app = typer.Typer()

MAX_SHOWN = 100
"""Differences shown to people; --json has all that the ledger listed."""


@command(app)
async def reconcile(
    call: Call,
    *,
    shard: Annotated[int | None, typer.Option(min=0, help="Only this shard.")] = None,
) -> View:
    """Compare each shard's balances with the ledger at exactly the same record.

    Exit code 1 on any difference. `guilder verify` proves the hash chain and the legs, too.
    """
    shards = [shard] if shard is not None else await call.guilder.audit.list_shards()
    replies = {each: await call.guilder.ledger.reconcile(each) for each in shards}
    count = sum(reply.difference_count for reply in replies.values())
    document = {
        "ok": count == 0,
        "shards": [{"shard": each, **as_dict(reply)} for each, reply in replies.items()],
    }
    code = ExitCode.FAILED if count else ExitCode.OK
    return View(document, lambda: _show(replies, count), code)


def _show(replies: dict[int, ReconcileResponse], count: int) -> None:
    numbers = ("shard", "record", "wallets", "open intents", "differences")
    made = table("Reconciliation", *numbers, right=numbers)
    for shard, reply in replies.items():
        cells = (shard, reply.position.seq, reply.wallets, reply.intents, reply.difference_count)
        made.add_row(*(f"{cell:,}" for cell in cells))
    out = console()
    out.print(made)
    found = [item for reply in replies.values() for item in reply.differences]
    for item in found[:MAX_SHOWN]:
        out.print(_line(item), style="red")
    if count > MAX_SHOWN:
        out.print(f"… {count:,} differences in all; --json lists more.")
    if not count:
        out.print("Clean: shards and ledger agree.", style="green")


def _line(found: Difference) -> str:
    values = MessageToDict(found, preserving_proto_field_name=True)
    detail = values.pop("detail", "")
    kind = str(values.pop("kind", "")).removeprefix("DIFFERENCE_KIND_").lower()
    parts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())
    return plain(f"{kind}: {parts}. {detail}")
