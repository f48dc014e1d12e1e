"""Call edge: the API keys of machines. Client room: over the stubs."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import grpc.aio

from guilder.client.calls import DEFAULT_POLICY, CallPolicy, call_unary, change, read
from guilder.client.pages import page_size, walk
from guilder.client.times import to_timestamp
from guilder.edge.v1.key_service_pb2 import (
    CreateKeyRequest,
    CreateKeyResponse,
    Key,
    KeyEvent,
    KeyKind,
    ListKeyEventsRequest,
    ListKeysRequest,
    RevokeKeyRequest,
    RotateKeyRequest,
    RotateKeyResponse,
)
from guilder.edge.v1.key_service_pb2_grpc import KeyServiceStub


class KeyClient:
    """API keys. Every method raises ``GuilderError`` by reason.

    A key is made, and given a new secret, by one attempt: the reply alone shows the credential, so
    that a second attempt could not answer as the first one did.
    """

    def __init__(self, channel: grpc.aio.Channel, policy: CallPolicy = DEFAULT_POLICY) -> None:
        """Speak over ``channel``, which stays its owner's to close."""
        self._stub = KeyServiceStub(channel)
        self._policy = policy

    async def create_key(
        self,
        client_id: str,
        roles: Sequence[str],
        *,
        kind: KeyKind.ValueType = KeyKind.KEY_KIND_BEARER,
        account_id: str = "",
        expire_time: datetime | None = None,
        reason: str = "",
        timeout_seconds: float | None = None,
    ) -> CreateKeyResponse:
        """Make a key; ``account_id`` is a customer's. Raise ``KeyLimitError``.

        The reply is the only one that shows the credential.
        """
        request = CreateKeyRequest(
            kind=kind,
            client_id=client_id,
            roles=roles,
            account_id=account_id,
            expire_time=to_timestamp(expire_time),
            reason=reason,
        )
        once = self._policy.within(timeout_seconds).once()
        return await call_unary(self._stub.CreateKey, request, once)

    def list_keys(
        self,
        client_id: str = "",
        *,
        limit: int | None = None,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Key]:
        """Iterate over the keys of a client, or without one over all, oldest first."""

        async def fetch(token: str) -> tuple[Sequence[Key], str]:
            request = ListKeysRequest(
                client_id=client_id, page_size=page_size(limit), page_token=token
            )
            page = await read(self._stub.ListKeys, request, self._policy, timeout_seconds)
            return page.keys, page.next_page_token

        return walk(fetch, limit)

    def list_key_events(
        self,
        key_id: str = "",
        *,
        limit: int | None = None,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[KeyEvent]:
        """Iterate over what was done to a key, or without one to all, newest first."""

        async def fetch(token: str) -> tuple[Sequence[KeyEvent], str]:
            request = ListKeyEventsRequest(
                key_id=key_id, page_size=page_size(limit), page_token=token
            )
            page = await read(self._stub.ListKeyEvents, request, self._policy, timeout_seconds)
            return page.events, page.next_page_token

        return walk(fetch, limit)

    async def rotate_key(
        self,
        key_id: str,
        *,
        overlap_s: int = 0,
        reason: str = "",
        timeout_seconds: float | None = None,
    ) -> RotateKeyResponse:
        """Give a key a new secret; the old one stays valid for the overlap.

        Raise ``KeyNotFoundError``, ``KeyRevokedError``.
        """
        request = RotateKeyRequest(key_id=key_id, overlap_s=overlap_s, reason=reason)
        once = self._policy.within(timeout_seconds).once()
        return await call_unary(self._stub.RotateKey, request, once)

    async def revoke_key(
        self, key_id: str, *, reason: str = "", timeout_seconds: float | None = None
    ) -> Key:
        """End a key for good; again changes nothing. Raise ``KeyNotFoundError``."""
        request = RevokeKeyRequest(key_id=key_id, reason=reason)
        return (await change(self._stub.RevokeKey, request, self._policy, timeout_seconds)).key
