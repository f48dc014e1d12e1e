"""Read the admin actions of a record's message into what the domain sees.

An event names its change by its place. That it fits is checked here: a log that says what its
record does not do is worse than none.
"""

import json

from guilder.events.v1 import record_pb2 as events
from ledger.domain.auditing import state_of, subject_of
from ledger.domain.record import REVERSAL, AuditAction, AuditEvent, ChangeKind, Posting
from walletkit.ids import NIL

_ID_LENGTH = len(NIL)
_MAX_ACTION = 255
"""A column holds no more. An action that this program does not know is only kept."""

_WALLET_KINDS: dict[int, int] = {
    AuditAction.FREEZE_WALLET: ChangeKind.FROZEN,
    AuditAction.UNFREEZE_WALLET: ChangeKind.UNFROZEN,
    AuditAction.CLOSE_WALLET: ChangeKind.CLOSED,
    AuditAction.SET_WALLET_LIMITS: ChangeKind.LIMITED,
}
_FREEZES = frozenset({AuditAction.FREEZE_ACCOUNT, AuditAction.UNFREEZE_ACCOUNT})


def audit_events(message: events.Record, postings: list[Posting]) -> list[AuditEvent]:
    """Return the record's events. Raise ``ValueError`` for one that does not fit its change."""
    made: dict[int, list[Posting]] = {}
    if message.audit_events:
        for posting in postings:
            made.setdefault(posting[0], []).append(posting)
    return [_event(message, n, event, made) for n, event in enumerate(message.audit_events)]


def _event(
    message: events.Record, n: int, event: events.AuditEvent, made: dict[int, list[Posting]]
) -> AuditEvent:
    action: int = event.action
    if not 0 < action <= _MAX_ACTION:
        raise ValueError(f"no admin action has number {action}")
    told = AuditEvent(n, action, event.actor, event.reason, event.request_id, b"", b"")
    try:
        if action in _WALLET_KINDS:
            return _of_wallet(told, event, message.wallet_changes[event.place])
        if action in _FREEZES:
            return _of_freeze(told, event, message.account_changes[event.place])
        if action == AuditAction.SET_ACCOUNT_LIMITS:
            return _of_account_limits(told, event, message.account_changes[event.place])
        if action == AuditAction.REGISTER_ASSET:
            return _of_asset(told, message.asset_registrations[event.place])
        if action == AuditAction.REVERSE_TRANSACTION:
            reversal = message.transactions[event.place]
            return _of_reversal(told, event, reversal, made.get(event.place, []))
    except IndexError:
        raise ValueError(f"admin action {n} names no change of the record") from None
    return told


def _of_wallet(
    told: AuditEvent, event: events.AuditEvent, change: events.WalletChange
) -> AuditEvent:
    _check(told, _WALLET_KINDS[told.action], change.kind)
    before: dict[str, int | str] = {}
    after: dict[str, int | str] = {}
    if told.action != AuditAction.SET_WALLET_LIMITS:
        before["status"], after["status"] = change.previous_status, change.status
    if told.action == AuditAction.SET_WALLET_LIMITS or event.previous_limits:
        before["limits"], after["limits"] = _text(event.previous_limits), _text(change.limits)
    return told._replace(before=state_of(before), after=state_of(after), wallet_id=change.wallet_id)


def _of_freeze(
    told: AuditEvent, event: events.AuditEvent, change: events.AccountChange
) -> AuditEvent:
    frozen = told.action == AuditAction.FREEZE_ACCOUNT
    _check(told, frozen, change.freeze != 0)
    return told._replace(
        before=state_of({"freeze": event.previous_account_freeze}),
        after=state_of({"freeze": change.freeze}),
        account_id=change.account_id,
    )


def _of_account_limits(
    told: AuditEvent, event: events.AuditEvent, change: events.AccountChange
) -> AuditEvent:
    _check(told, expected=True, found=bool(change.currency_code))
    return told._replace(
        before=state_of({"limits": _text(event.previous_limits)}),
        after=state_of({"limits": _text(change.limits)}),
        account_id=change.account_id,
        currency=change.currency_code,
    )


def _of_asset(told: AuditEvent, new: events.AssetRegistration) -> AuditEvent:
    return told._replace(
        before=state_of({}),
        after=state_of({"exponent": new.exponent}),
        currency=new.currency_code,
    )


def _of_reversal(
    told: AuditEvent,
    event: events.AuditEvent,
    reversal: events.Transaction,
    postings: list[Posting],
) -> AuditEvent:
    _check(told, REVERSAL, reversal.type)
    if len(reversal.parent_id) != _ID_LENGTH or not postings:
        raise ValueError(f"admin action {told.n} is a reversal of nothing")
    before = after = event.previous_reversed_minor
    if len(postings) == 1:
        after += postings[0][6]
    return told._replace(
        reason=told.reason or _reason(reversal.opaque),
        before=state_of({"reversed": before}),
        after=state_of({"reversed": after}),
        wallet_id=subject_of(postings),
        currency=postings[0][5],
        tx_id=reversal.transaction_id,
        original=reversal.parent_id,
    )


def _check(told: AuditEvent, expected: int, found: int) -> None:
    if expected != found:
        raise ValueError(f"admin action {told.n} is not what its change does")


def _text(kept: bytes) -> str:
    return kept.decode(errors="replace")


def _reason(opaque: bytes) -> str:
    """Read the reason in what a caller said; empty where there is none."""
    try:
        said = json.loads(opaque) if opaque else {}
    except (ValueError, RecursionError):
        return ""
    text = said.get("r") if isinstance(said, dict) else None
    # JSON can write half a character, which no message takes.
    return text.encode(errors="replace").decode() if isinstance(text, str) else ""
