"""Show whole shards to an auditor: parse, read a snapshot, render. No SQL here."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import grpc.aio

from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_audit_service_pb2 as pb
from guilder.wallet.v1 import wallet_audit_service_pb2_grpc as pb_grpc
from wallet.domain.kinds import ACCOUNT_FREEZE_FLAGS
from wallet.store.snapshot import (
    MAX_DURATION_S,
    BalanceRow,
    HoldRow,
    IntentRow,
    Snapshot,
    SnapshotError,
    SystemRow,
    open_snapshot,
)
from walletkit.errors import ServiceError
from walletkit.ids import SystemKind, system_wallet_id

MAX_SNAPSHOTS = 2
"""Snapshots at once, of all shards: others wait, bounded by their callers' deadlines."""

Context = grpc.aio.ServicerContext[Any, Any]


class WalletAuditServicer(pb_grpc.WalletAuditServiceServicer):
    """Serve ``WalletAuditService`` over sessions of its own, beside the engines."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Take the shards' urls in the order of their numbers; nothing is opened yet."""
        self._urls = tuple(urls)
        self._running = asyncio.Semaphore(MAX_SNAPSHOTS)

    async def ListShards(
        self, request: pb.ListShardsRequest, context: Context
    ) -> pb.ListShardsResponse:
        """List the shards."""
        return pb.ListShardsResponse(shards=range(len(self._urls)))

    async def StreamBalances(
        self, request: pb.StreamBalancesRequest, context: Context
    ) -> AsyncIterator[pb.StreamBalancesResponse]:
        """Stream a snapshot of one shard."""
        if request.shard >= len(self._urls):
            message = f"there is no shard {request.shard}"
            raise ServiceError("SHARD_NOT_FOUND", message, {"shard": str(request.shard)})
        url = self._urls[request.shard]
        try:
            # A caller that stops reading must not hold the snapshot, nor its turn.
            async with (
                self._running,
                asyncio.timeout(MAX_DURATION_S),
                open_snapshot(url, request.shard) as snapshot,
            ):
                async for part in _parts(snapshot, request.shard):
                    yield part
        except SnapshotError as error:
            metadata = {"shard": str(request.shard)}
            raise ServiceError("SHARD_UNAVAILABLE", str(error), metadata) from error


async def _parts(snapshot: Snapshot, shard: int) -> AsyncIterator[pb.StreamBalancesResponse]:
    yield pb.StreamBalancesResponse(seq=snapshot.seq, hash=snapshot.hash)
    async for balances in snapshot.balances():
        yield pb.StreamBalancesResponse(balances=map(_balance, balances))
    system = [_system_wallet(row, shard) for row in await snapshot.system_wallets()]
    if system:
        yield pb.StreamBalancesResponse(system_wallets=system)
    async for intents in snapshot.intents():
        yield pb.StreamBalancesResponse(intents=map(_intent, intents))
    async for holds in snapshot.holds():
        yield pb.StreamBalancesResponse(holds=map(_hold, holds))
    yield pb.StreamBalancesResponse(complete=True)


def _balance(row: BalanceRow) -> pb.SnapshotBalance:
    return pb.SnapshotBalance(
        wallet_id=row.wallet_id,
        currency_code=row.currency,
        posted_minor=row.posted,
        held_minor=row.held,
        overdraft_limit_minor=row.overdraft_limit,
        version=row.version,
        # Unchecked: a number that is no status is for the auditor to find.
        status=cast("res.WalletStatus.ValueType", row.status),
        account_freeze=cast("res.FreezeScope.ValueType", row.flags & ACCOUNT_FREEZE_FLAGS),
    )


def _system_wallet(row: SystemRow, shard: int) -> pb.SnapshotSystemWallet:
    return pb.SnapshotSystemWallet(
        wallet_id=system_wallet_id(SystemKind(row.kind), shard, row.currency),
        currency_code=row.currency,
        posted_minor=str(row.posted),
    )


def _intent(row: IntentRow) -> pb.SnapshotIntent:
    return pb.SnapshotIntent(
        transaction_id=row.tx_id,
        leg=row.leg,
        destination=row.destination,
        currency_code=row.currency,
        amount_minor=row.amount,
    )


def _hold(row: HoldRow) -> pb.SnapshotHold:
    return pb.SnapshotHold(
        hold_id=row.hold_id,
        wallet_id=row.wallet_id,
        currency_code=row.currency,
        state=cast("res.HoldState.ValueType", row.state),
        authorized_minor=row.authorized,
        captured_minor=row.captured,
        released_minor=row.released,
        expire_time_us=row.expire_time_us,
    )
