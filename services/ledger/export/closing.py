"""Know that a month is closed: it is over, and the ledger has all that the shards wrote in it.

A shard with a later record here has nothing of the month to send any more. One without is quiet, or
its stream lags: then the wallet service is asked where the shard stands.
"""

from typing import TYPE_CHECKING

import grpc
import grpc.aio

from guilder.wallet.v1 import wallet_audit_service_pb2 as wallet
from ledger.export.errors import ExportError
from ledger.export.month import Month
from ledger.store import audit, closed
from ledger.store.commit import Position
from ledger.store.pool import Pool
from walletkit.chain import genesis_hash
from walletkit.clock import to_datetime

MARGIN_US = 600_000_000
"""So long after its end a month is over: clocks may differ, and a batch may have read its shard's
just before."""

HEAD_TIMEOUT_S = 20

if TYPE_CHECKING:
    # The generated class exists for type checkers alone.
    from guilder.wallet.v1.wallet_audit_service_pb2_grpc import WalletAuditServiceAsyncStub


def require_over(month: Month, now_us: int) -> None:
    """Raise ``ExportError`` for a month that is not over."""
    if now_us < month.end_us + MARGIN_US:
        raise ExportError(
            f"month: {month} is not over: a month is exported once its end, "
            f"{to_datetime(month.end_us):%Y-%m-%dT%H:%M:%SZ}, is {MARGIN_US // 60_000_000} min ago"
        )


async def require_received(pool: Pool, stub: "WalletAuditServiceAsyncStub", month: Month) -> None:
    """Raise ``ExportError`` where a shard may have records of the month that are not here.

    Raise ``ServiceError`` (LEDGER_UNAVAILABLE).
    """
    served = await _served(stub)
    async with pool.session() as session:
        times = await closed.last_times(session)
        known = await audit.cursors(session)
    for shard in sorted({*times, *served}):
        if times.get(shard, 0) >= month.end_us:
            continue
        if shard not in served:
            raise ExportError(
                f"shard: {shard} has no record here behind {month}, and the wallet service does "
                "not serve it: where it stands can't be known"
            )
        here = known.get(shard, Position(0, genesis_hash(shard)))
        there = await _head(stub, shard)
        if here != there:
            raise ExportError(
                f"shard: {shard} stands at record {there.seq}, {there.hash.hex()[:16]}…, the "
                f"ledger at {here.seq}, {here.hash.hex()[:16]}…: {month} is exported once the "
                "ledger has all of it. Run it again later; see ledger lag in docs/operations.md"
            )


async def _served(stub: "WalletAuditServiceAsyncStub") -> list[int]:
    try:
        reply = await stub.ListShards(wallet.ListShardsRequest(), timeout=HEAD_TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        raise _unanswered("shards", error) from error
    return list(reply.shards)


async def _head(stub: "WalletAuditServiceAsyncStub", shard: int) -> Position:
    """Return where a shard stands: a snapshot begins with that, and its rest is not wanted."""
    stream = stub.StreamBalances(wallet.StreamBalancesRequest(shard=shard), timeout=HEAD_TIMEOUT_S)
    try:
        first = await anext(aiter(stream), None)
    except grpc.aio.AioRpcError as error:
        raise _unanswered(f"shard: {shard}", error) from error
    finally:
        stream.cancel()
    if first is None:
        raise ExportError(f"shard: {shard}: the wallet service does not say where it stands")
    return Position(first.seq, first.hash)


def _unanswered(what: str, error: grpc.aio.AioRpcError) -> ExportError:
    code, details = error.code().name, error.details()
    return ExportError(
        f"{what}: the wallet service has to say where quiet shards stand, and answers {code}: "
        f"{details}"
    )
