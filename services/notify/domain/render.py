"""Write an event as JSON values, with the wallet API's names.

That is lowerCamelCase, and 64-bit integers as strings. Pure.
"""

import json
from datetime import datetime
from typing import Any

from notify.domain.events import DEBIT, Event, Movement
from notify.domain.facts import Change, Leg
from walletkit.clock import to_datetime, to_us
from walletkit.ids import format_id, is_system

Json = dict[str, Any]

STATE_COMPLETED = "TRANSACTION_STATE_COMPLETED"
STATE_RETURNED = "TRANSACTION_STATE_RETURNED"


def body(event: Event) -> bytes:
    """Return what is posted to a webhook.

    The event's JSON, and ``timestamp`` as Standard Webhooks asks for.
    """
    time = format_time(event.time_us)
    content = {
        "type": str(event.type),
        "timestamp": time,
        "eventId": event.event_id,
        "createTime": time,
        "walletId": format_id(event.wallet_id),
        "walletSequence": str(event.wallet_sequence),
        "data": data(event),
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def data(event: Event) -> Json:
    """Return what happened; as in proto3's JSON an empty value is left out."""
    about = event.about
    if isinstance(about, Movement):
        return _of_movement(about)
    return _of_change(about)


def event_time_us(content: bytes) -> int:
    """Return when the event of a body was committed; 0 for what no event is."""
    moment = parse_object(content).get("createTime")
    return to_us(datetime.fromisoformat(moment)) if moment else 0


def format_time(time_us: int) -> str:
    """Write a time in RFC 3339 with microseconds, UTC."""
    return to_datetime(time_us).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _of_movement(movement: Movement) -> Json:
    of, posting = movement.of, movement.posting
    debit = movement.side == DEBIT
    content = _of_leg(of, posting.destination) if isinstance(of, Leg) else {}
    if not isinstance(of, Leg):
        noted = parse_object(of.opaque)
        content = {
            "transactionId": format_id(of.transaction_id),
            "type": of.type,
            "state": of.state,
            "sourceWalletId": _customer(of.source),
            "destinationWalletId": _customer(of.destination),
            "reference": of.reference.decode(errors="replace"),
            "description": noted.get("d"),
            "metadata": noted.get("m"),
        }
    content["amount"] = {
        "currencyCode": posting.currency_code,
        "amountMinor": str(posting.amount_minor),
    }
    content["deltaMinor"] = str(-posting.amount_minor if debit else posting.amount_minor)
    after = posting.source_posted_after if debit else posting.destination_posted_after
    content["postedAfterMinor"] = str(after)
    return {name: value for name, value in content.items() if value}


def _of_leg(leg: Leg, wallet_id: bytes) -> Json:
    """Return what a landed leg knows: a credit completes its transaction, a return ends it."""
    content: Json = {"transactionId": format_id(leg.transaction_id)}
    if leg.is_return:
        return {**content, "state": STATE_RETURNED, "sourceWalletId": format_id(wallet_id)}
    return {**content, "state": STATE_COMPLETED, "destinationWalletId": format_id(wallet_id)}


def _of_change(change: Change) -> Json:
    content = {
        "walletId": format_id(change.wallet_id),
        "accountId": change.account_id,
        "currencyCode": change.currency_code,
        "status": change.status,
        "metadata": parse_object(change.opaque).get("m"),
    }
    return {name: value for name, value in content.items() if value}


def _customer(wallet_id: bytes) -> str:
    """Return a customer wallet's id; the API shows the outside as an empty one."""
    return "" if is_system(wallet_id) else format_id(wallet_id)


def parse_object(opaque: bytes) -> Json:
    """Read the caller's JSON.

    What is not an object shows as none, since no event may stop the stream.
    """
    try:
        value = json.loads(opaque) if opaque else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
