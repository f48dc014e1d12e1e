"""Turn requests about keys into values, by every rule of their fields, and values into replies."""

import time

from google.protobuf.timestamp_pb2 import Timestamp

from edge.access.managing import Wish
from edge.domain.key import (
    CLIENT_ID,
    MAX_OVERLAP_S,
    MAX_REASON_LENGTH,
    Holder,
    Key,
    Kind,
    State,
)
from edge.store.key_events import CREATED, REVOKED, ROTATED, Facts, KeyEvent
from guilder.edge.v1 import key_service_pb2 as pb
from walletkit.errors import ServiceError, invalid_field, invalid_fields
from walletkit.ids import format_id, parse_id
from walletkit.principal import Role
from walletkit.rpc.times import micros_of, timestamp

_KINDS = {Kind.BEARER: pb.KEY_KIND_BEARER, Kind.SIGNING: pb.KEY_KIND_SIGNING}
_KINDS_BY_NUMBER = {number: kind for kind, number in _KINDS.items()}
_STATES = {
    State.ACTIVE: pb.KEY_STATE_ACTIVE,
    State.EXPIRED: pb.KEY_STATE_EXPIRED,
    State.REVOKED: pb.KEY_STATE_REVOKED,
}
_ACTIONS = {
    CREATED: pb.KEY_ACTION_CREATED,
    ROTATED: pb.KEY_ACTION_ROTATED,
    REVOKED: pb.KEY_ACTION_REVOKED,
}
_NAME_RULE = "must be 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'"
GIVEN_ROLES = (Role.CUSTOMER, Role.SERVICE, Role.OPERATOR, Role.AUDITOR, Role.ADMIN)
"""What a key may have."""


def parse_wish(request: pb.CreateKeyRequest, now_us: int) -> Wish:
    """Read CreateKey. Raise INVALID_FIELD with a violation for each field that is wrong."""
    faults: list[ServiceError] = []
    kind = _KINDS_BY_NUMBER.get(request.kind)
    if kind is None:
        faults.append(invalid_field("kind", request.kind, "must be BEARER or SIGNING"))
    if CLIENT_ID.fullmatch(request.client_id) is None:
        faults.append(invalid_field("client_id", request.client_id, _NAME_RULE))
    roles = _roles(list(request.roles), faults)
    _check_account(request.account_id, roles, faults)
    expires_at_us = micros_of(request.expire_time) if request.HasField("expire_time") else 0
    if request.HasField("expire_time") and expires_at_us <= now_us:
        text = request.expire_time.ToJsonString()
        faults.append(invalid_field("expire_time", text, "must be in the future"))
    _check_reason(request.reason, faults)
    if faults or kind is None:
        raise invalid_fields(faults)
    return Wish(kind, Holder(request.client_id, roles, request.account_id), expires_at_us)


def parse_overlap(request: pb.RotateKeyRequest) -> int:
    """Read RotateKey's fields but the id. Raise INVALID_FIELD."""
    faults: list[ServiceError] = []
    if not 0 <= request.overlap_s <= MAX_OVERLAP_S:
        rule = f"must be from 0 to {MAX_OVERLAP_S}"
        faults.append(invalid_field("overlap_s", request.overlap_s, rule))
    _check_reason(request.reason, faults)
    if faults:
        raise invalid_fields(faults)
    return request.overlap_s


def parse_reason(text: str) -> str:
    """Read a reason. Raise INVALID_FIELD."""
    faults: list[ServiceError] = []
    _check_reason(text, faults)
    if faults:
        raise invalid_fields(faults)
    return text


def parse_key_id(text: str) -> bytes:
    """Read a key's id. Raise INVALID_FIELD."""
    try:
        return parse_id(text)
    except ValueError:
        raise invalid_field("key_id", text, "must be the id of a key: a UUID") from None


def parse_client(text: str) -> str:
    """Read the client of a list; empty for all. Raise INVALID_FIELD."""
    if text and CLIENT_ID.fullmatch(text) is None:
        raise invalid_field("client_id", text, f"{_NAME_RULE}, or empty")
    return text


def to_key(key: Key) -> pb.Key:
    """Render a key, without anything of its secrets."""
    now_us = time.time_ns() // 1_000
    made = pb.Key(
        key_id=format_id(key.key_id),
        kind=_KINDS[key.kind],
        client_id=key.holder.client_id,
        roles=sorted(key.holder.roles),
        account_id=key.holder.account_id,
        state=_STATES[key.state(now_us)],
        create_time=timestamp(key.created_at_us),
    )
    _set_time(made.expire_time, key.expires_at_us)
    _set_time(made.revoke_time, key.revoked_at_us)
    _set_time(made.last_use_time, key.last_used_at_us)
    if len(key.kept(now_us)) > 1:
        _set_time(made.overlap_end_time, key.previous_until_us)
    return made


def to_event(event: KeyEvent) -> pb.KeyEvent:
    """Render what was done to a key."""
    return pb.KeyEvent(
        event_id=format_id(event.event_id),
        key_id=format_id(event.key_id),
        action=_ACTIONS[event.action],
        actor=event.cause.actor,
        reason=event.cause.reason,
        request_id=event.cause.request_id,
        before=None if event.before is None else _logged(event.key_id, event.before),
        after=_logged(event.key_id, event.after),
        create_time=timestamp(event.cause.time_us),
    )


def _logged(key_id: bytes, facts: Facts) -> pb.Key:
    """Render a key as it was, as far as the log keeps it."""
    made = pb.Key(
        key_id=format_id(key_id),
        kind=_KINDS[Kind(facts["kind"])],
        client_id=facts["clientId"],
        roles=facts["roles"],
        account_id=facts["accountId"],
    )
    _set_time(made.expire_time, facts["expireTimeUs"])
    _set_time(made.revoke_time, facts["revokeTimeUs"])
    _set_time(made.overlap_end_time, facts["overlapEndTimeUs"])
    return made


def _set_time(field: Timestamp, time_us: int) -> None:
    """Set a time; 0 is none."""
    if time_us:
        field.CopyFrom(timestamp(time_us))


def _roles(names: list[str], faults: list[ServiceError]) -> frozenset[Role]:
    allowed = {role.value: role for role in GIVEN_ROLES}
    rule = f"must be one of {', '.join(allowed)}"
    if not names:
        faults.append(invalid_field("roles", names, "must have at least one"))
    if len(names) > len(allowed):
        faults.append(invalid_field("roles", len(names), f"must have at most {len(allowed)}"))
        return frozenset()
    for at, name in enumerate(names):
        if name not in allowed:
            faults.append(invalid_field(f"roles[{at}]", name, rule))
    return frozenset(allowed[name] for name in names if name in allowed)


def _check_account(account_id: str, roles: frozenset[Role], faults: list[ServiceError]) -> None:
    if Role.CUSTOMER not in roles and account_id:
        rule = "must be empty: only a customer is held to an account"
        faults.append(invalid_field("account_id", account_id, rule))
    if Role.CUSTOMER in roles and CLIENT_ID.fullmatch(account_id) is None:
        faults.append(invalid_field("account_id", account_id, f"of a customer {_NAME_RULE}"))
    if Role.CUSTOMER in roles and len(roles) > 1:
        rule = "must have no other role beside customer"
        faults.append(invalid_field("roles", sorted(roles), rule))


def _check_reason(text: str, faults: list[ServiceError]) -> None:
    if len(text) > MAX_REASON_LENGTH or not (text.isprintable() or not text):
        rule = f"must have at most {MAX_REASON_LENGTH} characters, all printable"
        faults.append(invalid_field("reason", text, rule))
