"""The RPCs of KeyService: one short method each."""

import time
from dataclasses import dataclass
from typing import Any

import grpc.aio

from edge.access.managing import Managing
from edge.api import convert
from edge.store.key_events import LATEST, Cause, KeyEvents
from edge.store.keys import Keys
from guilder.edge.v1 import key_service_pb2 as pb
from guilder.edge.v1 import key_service_pb2_grpc as rpc
from walletkit.ids import NIL
from walletkit.principal import current
from walletkit.rpc import pages
from walletkit.rpc.interceptor import request_id_of

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["KeyService"].full_name
TRUSTED_ACTOR = "(trusted)"
"""Who acts in the log where a call came without credentials: no client can be named so."""

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the RPCs are made of."""

    managing: Managing
    keys: Keys
    events: KeyEvents


class KeyServicer(rpc.KeyServiceServicer):
    """Parses, calls, renders. Errors leave as ``ServiceError``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def CreateKey(
        self, request: pb.CreateKeyRequest, context: Context
    ) -> pb.CreateKeyResponse:
        """Make a key."""
        cause = _cause(request.reason, context)
        wish = convert.parse_wish(request, cause.time_us)
        key, credential = await self._parts.managing.create(wish, cause)
        return pb.CreateKeyResponse(key=convert.to_key(key), credential=str(credential))

    async def ListKeys(self, request: pb.ListKeysRequest, context: Context) -> pb.ListKeysResponse:
        """List keys, oldest first."""
        client_id = convert.parse_client(request.client_id)
        size = pages.size_of(request.page_size)
        query = b"keys" + client_id.encode()
        after = pages.place_of(query, request.page_token, NIL)
        found = await self._parts.keys.page(client_id, after, size + 1)
        more = len(found) > size
        return pb.ListKeysResponse(
            keys=[convert.to_key(key) for key in found[:size]],
            next_page_token=pages.token_of(query, found[size - 1].key_id) if more else "",
        )

    async def RotateKey(
        self, request: pb.RotateKeyRequest, context: Context
    ) -> pb.RotateKeyResponse:
        """Give a key a new secret."""
        key_id, overlap_s = convert.parse_key_id(request.key_id), convert.parse_overlap(request)
        cause = _cause(request.reason, context)
        key, credential = await self._parts.managing.rotate(key_id, overlap_s, cause)
        return pb.RotateKeyResponse(key=convert.to_key(key), credential=str(credential))

    async def RevokeKey(
        self, request: pb.RevokeKeyRequest, context: Context
    ) -> pb.RevokeKeyResponse:
        """End a key."""
        key_id = convert.parse_key_id(request.key_id)
        cause = _cause(convert.parse_reason(request.reason), context)
        return pb.RevokeKeyResponse(
            key=convert.to_key(await self._parts.managing.revoke(key_id, cause))
        )

    async def ListKeyEvents(
        self, request: pb.ListKeyEventsRequest, context: Context
    ) -> pb.ListKeyEventsResponse:
        """List what was done to keys, newest first."""
        key_id = convert.parse_key_id(request.key_id) if request.key_id else b""
        size = pages.size_of(request.page_size)
        query = b"key-events" + key_id
        before = pages.place_of(query, request.page_token, LATEST)
        found = await self._parts.events.page(key_id, before, size + 1)
        more = len(found) > size
        return pb.ListKeyEventsResponse(
            events=[convert.to_event(event) for event in found[:size]],
            next_page_token=pages.token_of(query, found[size - 1].event_id) if more else "",
        )


def _cause(reason: str, context: Context) -> Cause:
    actor = current().actor or TRUSTED_ACTOR
    return Cause(actor, reason, request_id_of(context), time.time_ns() // 1_000)
