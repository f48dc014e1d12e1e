"""Turn requests into values, with every rule of their fields, and values into replies."""

import json

from google.protobuf import struct_pb2

from guilder.notify.v1 import notify_service_pb2 as pb
from notify.channels.subscribe import Wish
from notify.domain import render
from notify.domain.events import Event
from notify.domain.facts import EVENT_TYPES
from notify.domain.subscription import MAX_WALLETS, Filter, Subscription, is_key, key_hash
from notify.domain.target import url_fault
from notify.store.dead_letters import DeadLetter, Span
from walletkit.errors import ServiceError, invalid_field
from walletkit.ids import format_id, parse_id
from walletkit.principal import current
from walletkit.rpc.times import MICROS, micros_of, timestamp

END_OF_TIME_US = 253_402_300_800 * MICROS
"""The end of year 9999, where protobuf's timestamps end."""


def parse_wish(request: pb.CreateSubscriptionRequest, *, allow_private: bool) -> Wish:
    """Read CreateSubscription.

    Raise INVALID_FIELD with a violation for each field that is wrong.
    """
    faults: list[ServiceError] = []
    if (rule := url_fault(request.url, allow_private=allow_private)) is not None:
        faults.append(invalid_field("url", request.url, rule))
    wanted = _filter(list(request.event_types), list(request.wallet_ids), faults)
    if not is_key(request.idempotency_key):
        rule = "must have 1 to 128 printable ASCII characters"
        faults.append(invalid_field("idempotency_key", request.idempotency_key, rule))
    _raise(faults)
    key = key_hash(current().client_id.encode(), request.idempotency_key)
    return Wish(request.url, wanted, key)


def parse_filter(event_types: list[str], wallet_ids: list[str]) -> Filter:
    """Read a watch's filters. Raise INVALID_FIELD."""
    faults: list[ServiceError] = []
    wanted = _filter(event_types, wallet_ids, faults)
    _raise(faults)
    return wanted


def parse_subscription_id(text: str) -> bytes:
    """Read a subscription's id. Raise INVALID_FIELD."""
    try:
        return parse_id(text)
    except ValueError:
        raise invalid_field("subscription_id", text, "must be a UUID of a subscription") from None


def parse_span(request: pb.ReplayDeliveriesRequest) -> Span:
    """Read a time range; a missing end of it is open. Raise INVALID_FIELD."""
    start = micros_of(request.start_time) if request.HasField("start_time") else 0
    end = micros_of(request.end_time) if request.HasField("end_time") else END_OF_TIME_US
    if start >= end:
        raise invalid_field("end_time", request.end_time.ToJsonString(), "must be after start_time")
    return Span(start, end)


def to_subscription(item: Subscription) -> pb.Subscription:
    """Render a subscription, without its secret."""
    return pb.Subscription(
        subscription_id=format_id(item.subscription_id),
        url=item.url,
        event_types=sorted(item.filter.event_types),
        wallet_ids=[format_id(wallet_id) for wallet_id in sorted(item.filter.wallet_ids)],
        create_time=timestamp(item.created_at_us),
    )


def to_event(event: Event) -> pb.Event:
    """Render an event."""
    return pb.Event(
        event_id=event.event_id,
        type=event.type,
        create_time=timestamp(event.time_us),
        wallet_id=format_id(event.wallet_id),
        wallet_sequence=event.wallet_sequence,
        data=_to_struct(render.data(event)),
    )


def to_dead_letter(subscription_id: str, letter: DeadLetter) -> pb.DeadLetter:
    """Render a dead letter; its event comes from the body that was to be posted."""
    content = json.loads(letter.body)
    event = pb.Event(
        event_id=letter.event_id,
        type=content["type"],
        create_time=timestamp(letter.event_time_us),
        wallet_id=content.get("walletId", ""),
        wallet_sequence=int(content.get("walletSequence", 0)),
        data=_to_struct(content["data"]),
    )
    return pb.DeadLetter(
        subscription_id=subscription_id,
        event=event,
        attempts=letter.attempts,
        last_error=letter.last_error,
        create_time=timestamp(letter.created_at_us),
    )


def _to_struct(content: render.Json) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(content)
    return struct


def _filter(event_types: list[str], wallet_ids: list[str], faults: list[ServiceError]) -> Filter:
    for at, name in enumerate(event_types):
        if name not in EVENT_TYPES:
            rule = f"must be one of {', '.join(sorted(EVENT_TYPES))}"
            faults.append(invalid_field(f"event_types[{at}]", name, rule))
    if len(wallet_ids) > MAX_WALLETS:
        rule = f"must have at most {MAX_WALLETS} entries"
        faults.append(invalid_field("wallet_ids", len(wallet_ids), rule))
        return Filter(frozenset(), frozenset())
    wallets = set()
    for at, text in enumerate(wallet_ids):
        try:
            wallets.add(parse_id(text))
        except ValueError:
            rule = "must be the id of a customer's wallet: system wallets have no events"
            faults.append(invalid_field(f"wallet_ids[{at}]", text, rule))
    return Filter(frozenset(event_types), frozenset(wallets))


def _raise(faults: list[ServiceError]) -> None:
    """Raise all faults as one error."""
    if not faults:
        return
    message = "; ".join(fault.message for fault in faults[:3])
    violations = tuple(violation for fault in faults for violation in fault.violations)
    raise ServiceError("INVALID_FIELD", message, faults[0].metadata, violations)
