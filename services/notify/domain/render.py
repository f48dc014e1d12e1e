"""Write an event as JSON values, with the wallet API's names.

That is lowerCamelCase, and 64-bit integers as strings. Pure.
"""

import json
from datetime import datetime
from typing import Any

from notify.domain.events import DEBIT, Event, Movement
from notify.domain.facts import (
    Change,
    HoldChange,
    Leg,
    Posting,
    Transaction,
)
from walletkit.clock import to_datetime, to_us
from walletkit.ids import format_id, is_system
from walletkit.record import RETURN_LEG
from walletkit.trace import TRACEPARENT, Span, read, write

Json = dict[str, Any]

_TRACEPARENT_KEY = f'"{TRACEPARENT}"'.encode()

STATE_COMPLETED = "TRANSACTION_STATE_COMPLETED"
STATE_RETURNED = "TRANSACTION_STATE_RETURNED"


def body(event: Event) -> bytes:
    """Return what is posted to a webhook.

    The event's JSON, and ``timestamp`` as Standard Webhooks asks for.
    """
    time = format_time(event.time_us)
    content: Json = {
        "type": str(event.type),
        "timestamp": time,
        "eventId": event.event_id,
        "createTime": time,
        "walletId": format_id(event.wallet_id),
        "walletSequence": str(event.wallet_sequence),
        "data": data(event),
    }
    if event.follower is not None:
        content[TRACEPARENT] = write(event.follower)
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def data(event: Event) -> Json:
    """Return what happened; as in proto3's JSON an empty value is left out."""
    about = event.about
    if isinstance(about, Movement):
        return _of_movement(about)
    if isinstance(about, HoldChange):
        return _of_hold(about)
    return _of_change(about)


def event_time_us(content: bytes) -> int:
    """Return when the event of a body was committed; 0 for what no event is."""
    moment = parse_object(content).get("createTime")
    return to_us(datetime.fromisoformat(moment)) if moment else 0


def follower(content: bytes) -> Span | None:
    """Return who follows what made the event of a body."""
    return read(parse_object(content).get(TRACEPARENT, "")) if _TRACEPARENT_KEY in content else None


def format_time(time_us: int) -> str:
    """Write a time in RFC 3339 with microseconds, UTC."""
    return to_datetime(time_us).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _of_movement(movement: Movement) -> Json:
    of, posting = movement.of, movement.posting
    debit = movement.side == DEBIT
    content = _of_leg(of, posting) if isinstance(of, Leg) else _of_transaction(of, posting)
    content["amount"] = {
        "currencyCode": posting.currency_code,
        "amountMinor": str(posting.amount_minor),
    }
    content["deltaMinor"] = str(-posting.amount_minor if debit else posting.amount_minor)
    after = posting.source_posted_after if debit else posting.destination_posted_after
    content["postedAfterMinor"] = str(after)
    return _without_empty(content)


def _of_transaction(of: Transaction, posting: Posting) -> Json:
    """Return what a transaction's home knows; of several postings the wallets of this one."""
    return {
        "transactionId": format_id(of.transaction_id),
        "type": of.type,
        "state": of.state,
        "parentId": _id(of.parent_id),
        "familyId": _id(of.family_id),
        "sourceWalletId": _id(posting.source),
        "destinationWalletId": _id(posting.payee),
        "reference": of.reference.decode(errors="replace"),
        "effectiveTime": _moment(of.effective_time_us),
        **_said(of.opaque),
    }


def _of_leg(leg: Leg, posting: Posting) -> Json:
    """Return what a landed leg knows: of itself all, of its transaction what its record says."""
    content: Json = {"transactionId": format_id(leg.transaction_id), "state": leg.state}
    if leg.is_return:
        number, state, name = leg.leg - RETURN_LEG, STATE_RETURNED, "sourceWalletId"
    else:
        number, state, name = leg.leg, STATE_COMPLETED, "destinationWalletId"
    return {**content, "leg": str(number), "legState": state, name: format_id(posting.destination)}


def _of_change(change: Change) -> Json:
    content = {
        "walletId": format_id(change.wallet_id),
        "accountId": change.account_id,
        "alias": change.alias,
        "currencyCode": change.currency_code,
        "changed": change.changed,
        "status": change.status,
        "previousStatus": change.previous_status,
        "accountFreeze": change.account_freeze,
        "previousAccountFreeze": change.previous_account_freeze,
        "metadata": parse_object(change.opaque).get("m"),
    }
    now, before = change.overdraft_limit_minor, change.previous_overdraft_limit_minor
    if now or before:
        content["overdraftLimitMinor"] = str(now)
        content["previousOverdraftLimitMinor"] = str(before)
    return _without_empty(content)


def _of_hold(change: HoldChange) -> Json:
    return _without_empty(
        {
            "holdId": format_id(change.hold_id),
            "walletId": format_id(change.wallet_id),
            "state": change.state,
            "currencyCode": change.currency_code,
            "authorizedMinor": str(change.authorized_minor),
            "capturedMinor": str(change.captured_minor),
            "releasedMinor": str(change.released_minor),
            "openMinor": str(change.open_minor),
            "heldAfterMinor": str(change.held_after_minor),
            "expireTime": _moment(change.expire_time_us),
            "destinationWalletId": _id(change.destination),
            "transactionId": _id(change.transaction_id),
            "reference": change.reference.decode(errors="replace"),
            **_said(change.opaque),
        }
    )


def _said(opaque: bytes) -> Json:
    """Return what the caller said."""
    noted = parse_object(opaque)
    return {
        "description": noted.get("d"),
        "metadata": noted.get("m"),
        "reason": noted.get("r"),
        "actor": noted.get("a"),
    }


def _without_empty(content: Json) -> Json:
    return {name: value for name, value in content.items() if value}


def _id(id_: bytes) -> str:
    """Return an id as text: empty for none, and for the outside, as the API shows it."""
    return format_id(id_) if id_ and not is_system(id_) else ""


def _moment(time_us: int) -> str:
    """Return a caller's time; none for 0, and for one that no calendar has.

    No event may stop the stream.
    """
    try:
        return format_time(time_us) if time_us else ""
    except OverflowError:
        return ""


def parse_object(opaque: bytes) -> Json:
    """Read the caller's JSON.

    What is not an object shows as none, since no event may stop the stream.
    """
    try:
        value = json.loads(opaque) if opaque else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
