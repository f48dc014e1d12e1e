"""Turn keys into rows and back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from edge.domain.key import Holder, Key, Kind
from walletkit.clock import to_datetime, to_us
from walletkit.principal import Role


def moment(time_us: int) -> datetime | None:
    """Write a time; 0 is none."""
    return to_datetime(time_us).replace(tzinfo=None) if time_us else None


def to_row(key: Key) -> dict[str, Any]:
    """Return a key's columns, but for its last use."""
    return {
        "key_id": key.key_id,
        "kind": key.kind.value,
        "client_id": key.holder.client_id,
        "roles": " ".join(sorted(key.holder.roles)),
        "account_id": key.holder.account_id,
        "current_secret": key.current,
        "previous_secret": key.previous or None,
        "previous_until": moment(key.previous_until_us) if key.previous else None,
        "expires_at": moment(key.expires_at_us),
        "created_at": moment(key.created_at_us),
        "revoked_at": moment(key.revoked_at_us),
    }


def to_key(row: Row[Any]) -> Key:
    """Read a key's columns."""
    roles = frozenset(Role(name) for name in row.roles.split())
    return Key(
        key_id=row.key_id,
        kind=Kind(row.kind),
        holder=Holder(row.client_id, roles, row.account_id),
        current=row.current_secret,
        previous=row.previous_secret or b"",
        previous_until_us=_us(row.previous_until),
        expires_at_us=_us(row.expires_at),
        created_at_us=_us(row.created_at),
        revoked_at_us=_us(row.revoked_at),
        last_used_at_us=_us(row.last_used_at),
    )


def public_facts(key: Key) -> Mapping[str, object]:
    """Return what the log keeps of a key: all but its secrets and its last use."""
    return {
        "kind": key.kind.value,
        "clientId": key.holder.client_id,
        "roles": sorted(key.holder.roles),
        "accountId": key.holder.account_id,
        "expireTimeUs": key.expires_at_us,
        "revokeTimeUs": key.revoked_at_us,
        "overlapEndTimeUs": key.previous_until_us,
    }


def _us(time: datetime | None) -> int:
    return 0 if time is None else to_us(time)
