"""Answer the log of admin actions: read the filters, a page of it, and write what was changed."""

import json
import struct
from collections.abc import Mapping
from typing import Any

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import audit_events_pb2 as api
from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1 import resources_pb2 as wallets
from ledger.api import convert
from ledger.api.scopes import check_account_id, check_enum
from ledger.api.waiting import Context, Waiting, named
from ledger.store import audit_events, positions
from ledger.store.assets_read import exponents
from ledger.store.audit_events import AuditRow, Filters, Place
from ledger.store.pool import Pool
from walletkit.errors import invalid_field
from walletkit.ids import NIL, format_id
from walletkit.rpc import pages
from walletkit.rpc.times import timestamp

MAX_ACTOR_BYTES = 255

_PLACE = struct.Struct(">qHQI")
"""What a page token holds: where the last event of the page stands."""

_BOUNDS = {
    "overdraft": "overdraft_limit_minor",
    "min_balance": "min_balance_minor",
    "max_balance": "max_balance_minor",
    "max_transaction": "max_transaction_minor",
    "over_capture_percent": "over_capture_percent",
}
"""The record's names of limits, and the API's."""


class AuditLog:
    """The log of admin actions."""

    def __init__(self, pool: Pool, waiting: Waiting) -> None:
        self._pool = pool
        self._waiting = waiting

    async def list_events(
        self, request: api.ListAuditEventsRequest, context: Context
    ) -> api.ListAuditEventsResponse:
        """List events, newest first.

        Raise ``ServiceError`` (INVALID_FIELD, DEADLINE_EXCEEDED, LEDGER_UNAVAILABLE).
        """
        filters = _filters(request)
        name = repr((type(request).__name__, filters._replace(actions=frozenset()))).encode()
        name += repr(sorted(filters.actions)).encode()
        size = pages.size_of(request.page_size)
        behind = None
        if request.page_token:
            token = pages.place_of(name, request.page_token, bytes(_PLACE.size))
            behind = Place(*_PLACE.unpack(token))
        await self._waiting.reached(request, None, context)
        async with self._pool.session() as session:
            position = None
            if named(request):
                shard = request.min_position.shard
                position = Position(shard=shard, seq=await positions.read(session, shard))
            page = await audit_events.page(session, filters, behind, size)
            currencies = {row.currency.decode() for row in page.rows if row.currency}
            digits = await exponents(session, currencies)
        return api.ListAuditEventsResponse(
            events=[_event(row, digits) for row in page.rows],
            next_page_token=(
                pages.token_of(name, _PLACE.pack(*page.next_place)) if page.next_place else ""
            ),
            position=position,
        )


def _filters(request: api.ListAuditEventsRequest) -> Filters:
    """Read what is asked for. Raise ``ServiceError`` (INVALID_FIELD)."""
    if request.account_id:
        check_account_id(request.account_id)
    if len(request.actor.encode()) > MAX_ACTOR_BYTES:
        raise invalid_field("actor", request.actor, f"at most {MAX_ACTOR_BYTES} bytes")
    check_enum("actions", request.actions, events.AuditAction)
    return Filters(
        convert.moment(request, "start_time"),
        convert.moment(request, "end_time"),
        request.actor.encode(),
        frozenset(request.actions),
        convert.wallet_id(request.wallet_id) if request.wallet_id else b"",
        request.account_id.encode(),
    )


def _event(row: AuditRow, digits: Mapping[str, int]) -> api.AuditEvent:
    currency = row.currency.decode()
    return api.AuditEvent(
        action=events.AuditAction.ValueType(row.action),
        actor=row.actor.decode(),
        reason=row.reason.decode(),
        request_id=row.request_id.decode(),
        account_id=row.account_id.decode(),
        wallet_id=_id(row.wallet_id),
        currency_code=currency,
        exponent=digits.get(currency, 0),
        transaction_id=_id(row.tx_id),
        original_transaction_id=_id(row.original_id),
        before=_state(row.state_before),
        after=_state(row.state_after),
        position=Position(shard=row.shard, seq=row.seq),
        create_time=timestamp(row.time_us),
    )


def _id(id_: bytes) -> str:
    return "" if id_ == NIL else format_id(id_)


def _state(kept: bytes) -> api.AuditState:
    """Write what an action may change; the numbers are the records' and the API's, by design."""
    parts: dict[str, Any] = json.loads(kept) if kept else {}
    return api.AuditState(
        status=wallets.WalletStatus.ValueType(parts.get("status", 0)),
        account_freeze=wallets.FreezeScope.ValueType(parts.get("freeze", 0)),
        limits=_limits(parts["limits"]) if "limits" in parts else None,
        reversed_minor=parts.get("reversed", 0),
        registered="exponent" in parts,
    )


def _limits(text: str) -> wallets.WalletLimits:
    """Write limits as the record has them. What can't be read is left out."""
    try:
        said = json.loads(text) if text else {}
        bounds: dict[str, Any] = {
            field: said[name] for name, field in _BOUNDS.items() if name in said
        }
        return wallets.WalletLimits(
            **bounds, velocity=[_velocity(limit) for limit in said.get("velocity", ())]
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return wallets.WalletLimits()


def _velocity(limit: Mapping[str, Any]) -> wallets.VelocityLimit:
    return wallets.VelocityLimit(
        window=wallets.VelocityWindow.Value(f"VELOCITY_WINDOW_{limit['window']}"),
        basis=wallets.VelocityBasis.Value(f"VELOCITY_BASIS_{limit['basis']}"),
        max_amount_minor=limit.get("max_amount", 0),
        max_count=limit.get("max_count", 0),
    )
