"""Wait until a position is here: what gives callers read-your-writes."""

import asyncio
from typing import Any, Protocol, cast

import grpc.aio

from guilder.type.v1.position_pb2 import Position
from ledger.api.reach import find_account
from ledger.store.pool import Pool
from ledger.store.positions import Positions
from walletkit.errors import ServiceError, invalid_field

MAX_WAIT_S = 30
"""The longest wait for ``min_position``, for callers without a deadline."""

Context = grpc.aio.ServicerContext[Any, Any]


class Request(Protocol):
    """A request that may name a position."""

    @property
    def min_position(self) -> Position:
        """The position."""


class Waiting:
    """Let a read begin once what it must see is here."""

    def __init__(self, pool: Pool, positions: Positions) -> None:
        self._pool = pool
        self._positions = positions

    async def for_wallet(self, request: Request, wallet_id: bytes, context: Context) -> None:
        """Wait for a position of the wallet's shard.

        Raise ``ServiceError`` (INVALID_FIELD, DEADLINE_EXCEEDED).
        """
        if not named(request):
            return
        async with self._pool.session() as session:
            found = await find_account(session, wallet_id)
        await self.reached(request, None if found is None else found[0].shard, context)

    async def reached(self, request: Request, shard: int | None, context: Context) -> None:
        """Wait for a position, which must be of ``shard`` if that is known. Raise as above."""
        if not named(request):
            return
        position = request.min_position
        if shard is not None and position.shard != shard:
            rule = f"a position of the wallet's shard, {shard}"
            raise invalid_field("min_position.shard", position.shard, rule)
        # The stubs forget that a call may have no deadline.
        remaining = cast("float | None", context.time_remaining())
        limit = MAX_WAIT_S if remaining is None else min(remaining, MAX_WAIT_S)
        try:
            async with asyncio.timeout(limit):
                await self._positions.reached(position.shard, position.seq)
        except TimeoutError as error:
            text = f"shard {position.shard} has not come to {position.seq} here"
            raise ServiceError("DEADLINE_EXCEEDED", text) from error


def named(request: Request) -> bool:
    """Tell whether a request names a position."""
    return bool(request.HasField("min_position"))  # type: ignore[attr-defined]  # a message
