"""`guilder batch`: many commands of any kind out of a file, one a line."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.message import Message

from guilder.cli.declare import Call, View, command
from guilder.cli.documents import MAX_COMMANDS, commands_in
from guilder.cli.options import change
from guilder.cli.render import as_dict, console, error_dict, plain
from guilder.cli.session import ExitCode, exit_code_of
from guilder.client import Command, GuilderError
from guilder.wallet.v1.wallet_service_pb2 import BatchResult

app = typer.Typer()

MAX_SHOWN = 50
"""Declined commands shown to people; --json has all."""

_NAMES = {
    field.message_type.full_name: field.json_name
    for field in BatchResult.DESCRIPTOR.fields
    if field.message_type is not None and field.name != "error"
}

Outcome = Message | GuilderError


@command(app, change)
async def batch(
    call: Call,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help='JSON lines such as {"deposit": {"walletId": "…", "amount": "12.50 EUR"}}.',
        ),
    ],
    *,
    atomic: Annotated[
        bool, typer.Option("--atomic", help="All or none, in one commit of one shard.")
    ] = False,
) -> View:
    """Carry out commands of any kind: each for itself, or with --atomic all or none.

    Commands are named as in the API: deposit, withdraw, transfer, authorize, incrementHold,
    extendHold, captureHold, voidHold, reverseTransaction, postTransaction. A command without an
    idempotencyKey gets one of --key and its line, so that the same file with the same --key is
    carried out once. Exit code 1 if any was declined.
    """
    read = await commands_in(path, call.guilder)
    lines = [line for line, _ in read]
    commands: list[Command] = []
    for line, item in read:
        kind = item.WhichOneof("command")
        assert kind is not None
        inner: Command = getattr(item, kind)
        if not inner.idempotency_key:
            inner.idempotency_key = f"{call.options['idempotency_key']}-{line}"
        commands.append(inner)
    outcomes = await (_together if atomic else _each)(call, commands)
    errors = [item for item in outcomes if isinstance(item, GuilderError)]
    # A service that is away says more than a decline: run it again with the same key.
    code = max((exit_code_of(error) for error in errors), default=ExitCode.OK)
    dry = call.options["validate_only"]
    document = {"results": [_result(item) for item in outcomes]}
    return View(document, lambda: _show(lines, outcomes, dry_run=dry), code)


async def _together(call: Call, commands: Sequence[Command]) -> Sequence[Outcome]:
    if len(commands) > MAX_COMMANDS:
        message = f"{len(commands):,} commands: at most {MAX_COMMANDS:,} can be atomic"
        raise typer.BadParameter(message, param_hint="'FILE'")
    return await call.guilder.wallet.batch_execute_atomic(commands, **call.options)


async def _each(call: Call, commands: Sequence[Command]) -> Sequence[Outcome]:
    outcomes: list[Outcome] = []
    dry = call.options["validate_only"]
    for start in range(0, len(commands), MAX_COMMANDS):
        some = commands[start : start + MAX_COMMANDS]
        outcomes += await call.guilder.wallet.batch_execute(some, validate_only=dry)
    return outcomes


def _result(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, GuilderError):
        return {"error": error_dict(outcome)}
    return {_NAMES[outcome.DESCRIPTOR.full_name]: as_dict(outcome)}


def _show(lines: Sequence[int], outcomes: Sequence[Outcome], *, dry_run: bool) -> None:
    out = console()
    failed = [
        (line, item)
        for line, item in zip(lines, outcomes, strict=True)
        if isinstance(item, GuilderError)
    ]
    replayed = sum(getattr(item, "replayed", False) for item in outcomes)
    done = len(outcomes) - len(failed) - replayed
    reasons = Counter(item.reason for _, item in failed)
    declined = "".join(f", {count:,} declined ({name})" for name, count in sorted(reasons.items()))
    verb = "would be done" if dry_run else "done"
    out.print(f"{done:,} {verb}, {replayed:,} replayed{declined}.", style="bold")
    for line, item in failed[:MAX_SHOWN]:
        out.print(plain(f"line {line}: {item}"), style="red")
    if dry_run:
        out.print("Dry run: nothing was changed.", style="yellow")
