"""`guilder audit`: who froze, closed, limited, reversed or registered what, and why."""

from typing import Annotated

import typer

from guilder.cli.declare import Call, View, command
from guilder.cli.limits import limit_rows
from guilder.cli.options import ActionName, EndOption, LimitOption, StartOption, period
from guilder.cli.render import as_dict, console, moment, money, plain, table, word
from guilder.events.v1.record_pb2 import AuditAction
from guilder.ledger.v1.audit_events_pb2 import AuditEvent, AuditState
from guilder.wallet.v1.resources_pb2 import FreezeScope, WalletStatus

app = typer.Typer(help="Look at what admins did, and why.", no_args_is_help=True)

_COLUMNS = ("time (UTC)", "action", "on", "before", "after", "actor", "reason", "request")


@command(app, name="list")
async def list_(
    call: Call,
    *,
    wallet: Annotated[str, typer.Option(help="On this wallet.")] = "",
    account: Annotated[str, typer.Option(help="On this account, or a wallet of it.")] = "",
    actor: Annotated[str, typer.Option(help="By the credential with this id.")] = "",
    action: Annotated[
        list[ActionName] | None, typer.Option(help="Of this kind; may be repeated.")
    ] = None,
    start: StartOption = None,
    end: EndOption = None,
    limit: LimitOption = 50,
) -> View:
    """List admin actions that meet all that is given, newest first, as the ledger has them."""
    listed = call.guilder.ledger.list_audit_events(
        wallet_id=await call.wallet_id(wallet),
        account_id=account,
        actor=actor,
        actions=[each.number for each in action or ()],
        **period(start, end),
        limit=limit,
    )
    found = [event async for event in listed]

    def show() -> None:
        made = table("Admin actions", *_COLUMNS)
        for event in found:
            made.add_row(*_row(event))
        if found:
            console().print(made)
        else:
            console().print("Admin actions: none.")

    return View({"events": [as_dict(event) for event in found]}, show)


def _row(event: AuditEvent) -> tuple[str, ...]:
    return (
        moment(event.create_time),
        _action(event.action),
        _subject(event),
        _state(event, event.before),
        _state(event, event.after),
        plain(event.actor) or "trusted",
        plain(event.reason),
        plain(event.request_id),
    )


def _action(number: AuditAction.ValueType) -> str:
    """Return what was done in words; a newer suite may know more than this program."""
    known = number in AuditAction.values()
    return word(AuditAction, number) if known else f"action {number}"


def _subject(event: AuditEvent) -> str:
    """Say what an action was on: the narrowest thing that it names."""
    if event.original_transaction_id:
        return event.original_transaction_id
    if event.wallet_id:
        return event.wallet_id
    parts = (plain(event.account_id), event.currency_code)
    return " ".join(part for part in parts if part)


def _state(event: AuditEvent, state: AuditState) -> str:
    """Write what the action may change, of one side."""
    texts = []
    if state.status:
        texts.append(word(WalletStatus, state.status))
    if state.HasField("limits"):
        rows = limit_rows(state.limits, event.currency_code, event.exponent)
        texts.append(", ".join(f"{name} {bound}" for name, bound in rows) or "no limits")
    match event.action:
        case AuditAction.AUDIT_ACTION_FREEZE_ACCOUNT | AuditAction.AUDIT_ACTION_UNFREEZE_ACCOUNT:
            freeze = state.account_freeze
            texts.append(f"frozen: {word(FreezeScope, freeze)}" if freeze else "not frozen")
        case AuditAction.AUDIT_ACTION_REVERSE_TRANSACTION:
            amount = money(state.reversed_minor, event.currency_code, event.exponent)
            texts.append(f"{amount} {event.currency_code} reversed")
        case AuditAction.AUDIT_ACTION_REGISTER_ASSET:
            texts.append(f"{event.exponent} decimals" if state.registered else "unknown")
    return "; ".join(texts)
