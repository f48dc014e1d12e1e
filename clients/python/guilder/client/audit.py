"""Call the wallets' audit service: which shards there are, and what they hold. Client room.

Internal to an installation: an edge proxy does not offer it.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
import grpc.aio

from guilder.client.calls import (
    DEFAULT_POLICY,
    PROOF_TIMEOUT_SECONDS,
    CallPolicy,
    read,
    read_stream,
)
from guilder.client.errors import UnavailableError
from guilder.wallet.v1.wallet_audit_service_pb2 import (
    ListShardsRequest,
    StreamBalancesRequest,
    StreamBalancesResponse,
)
from guilder.wallet.v1.wallet_audit_service_pb2_grpc import WalletAuditServiceStub


class AuditClient:
    """Whole shards. Every method raises ``GuilderError`` by reason."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        policy: CallPolicy = DEFAULT_POLICY,
        proof_timeout_seconds: float = PROOF_TIMEOUT_SECONDS,
    ) -> None:
        """Speak over ``channel`` of the wallet service, which stays its owner's to close."""
        self._stub = WalletAuditServiceStub(channel)
        self._policy = policy
        self._proof_timeout_seconds = proof_timeout_seconds

    async def list_shards(self, *, timeout_seconds: float | None = None) -> list[int]:
        """List the numbers of the shards, ascending."""
        request = ListShardsRequest()
        reply = await read(self._stub.ListShards, request, self._policy, timeout_seconds)
        return list(reply.shards)

    async def stream_balances(
        self, shard: int, *, timeout_seconds: float | None = None
    ) -> AsyncIterator[StreamBalancesResponse]:
        """Yield the parts of one snapshot; raise ``UnavailableError`` when it is cut.

        Not tried again by itself: another try would be another snapshot. Also raise
        ``ShardNotFoundError``.
        """
        request = StreamBalancesRequest(shard=shard)
        timeout = self._proof_timeout_seconds if timeout_seconds is None else timeout_seconds
        call = self._stub.StreamBalances(request, timeout=timeout)
        complete = False
        async with aclosing(read_stream(call)) as parts:
            async for part in parts:
                complete = part.complete
                yield part
        if not complete:
            message = f"the snapshot of shard {shard} was cut"
            raise UnavailableError(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", message)

    async def get_head(self, shard: int, *, timeout_seconds: float | None = None) -> int:
        """Return the seq of a shard's newest record, 0 for none, as a snapshot of now gives it.

        Raise ``ShardNotFoundError``.
        """
        policy = self._policy.for_reads(timeout_seconds)
        async for attempt in policy.retrying():
            with attempt:
                call = self._stub.StreamBalances(
                    StreamBalancesRequest(shard=shard), timeout=policy.timeout_seconds
                )
                async with aclosing(read_stream(call)) as parts:
                    async for part in parts:
                        return part.seq
                message = f"shard {shard} gave no snapshot"
                raise UnavailableError(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", message)
        message = "unreachable: the retry loop ends by return or raise"
        raise AssertionError(message)
