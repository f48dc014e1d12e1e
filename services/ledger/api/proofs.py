"""Answer the proofs: run them, one at a time of each kind, and render what they found."""

import asyncio
from typing import Any

import grpc.aio

from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.type.v1.position_pb2 import Position
from ledger.domain.findings import Difference, Findings
from ledger.reconcile.balances import Reconciler
from ledger.reconcile.chain import verify_chain
from ledger.reconcile.telling import ALL, told
from ledger.reconcile.transit import verify_transit
from ledger.store.pool import Pool
from walletkit.ids import format_id
from walletkit.telemetry.metrics.ledger import TRANSIT_OPEN

MAX_AT_ONCE = 2
"""Proofs that run at the same time; others wait their turn within their deadlines."""

Context = grpc.aio.ServicerContext[Any, Any]


class Proofs:
    """Everything that recomputes.

    It has a pool of its own, so that statements never wait for it.
    """

    def __init__(self, pool: Pool, reconciler: Reconciler) -> None:
        self._pool = pool
        self._reconciler = reconciler
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)

    async def verify_chain(self, request: api.VerifyChainRequest) -> api.VerifyChainResponse:
        """Verify a shard. Raise ``ServiceError`` (SHARD_NOT_FOUND, LEDGER_UNAVAILABLE)."""
        async with self._turns:
            with told("chain", str(request.shard)) as proof:
                report = await verify_chain(self._pool, request.shard)
                proof.findings = report.findings
        return api.VerifyChainResponse(
            position=Position(shard=request.shard, seq=report.position.seq),
            records=report.replay.records,
            transactions=report.replay.transactions,
            entries=report.replay.entries,
            differences=_differences(report.findings),
            difference_count=report.findings.count,
        )

    async def verify_transit(self) -> api.VerifyTransitResponse:
        """Verify all legs. Raise ``ServiceError`` (LEDGER_UNAVAILABLE)."""
        async with self._turns:
            with told("transit", ALL) as proof:
                report = await verify_transit(self._pool)
                proof.findings = report.pairs.findings
        TRANSIT_OPEN.of().set(report.pairs.open)
        return api.VerifyTransitResponse(
            paired=report.pairs.paired,
            open=report.pairs.open,
            early=report.pairs.early,
            differences=_differences(report.pairs.findings),
            difference_count=report.pairs.findings.count,
            positions=[
                Position(shard=shard, seq=position.seq)
                for shard, position in report.positions.items()
            ],
        )

    async def reconcile(
        self, request: api.ReconcileRequest, context: Context
    ) -> api.ReconcileResponse:
        """Reconcile a shard; what is raised is the ``Reconciler``'s."""
        async with self._turns:
            with told("reconcile", str(request.shard)) as proof:
                position, comparison, intents = await self._reconciler.reconcile(
                    request.shard, context.time_remaining()
                )
                proof.findings = comparison.findings
        return api.ReconcileResponse(
            position=Position(shard=request.shard, seq=position.seq),
            wallets=comparison.wallets,
            intents=intents,
            differences=_differences(comparison.findings),
            difference_count=comparison.findings.count,
        )


def _differences(findings: Findings) -> list[api.Difference]:
    return [_difference(difference) for difference in findings.differences]


def _difference(difference: Difference) -> api.Difference:
    return api.Difference(
        kind=api.DifferenceKind.ValueType(difference.kind),
        shard=difference.shard,
        seq=difference.seq,
        wallet_id=_id_text(difference.wallet_id),
        transaction_id=_id_text(difference.tx_id),
        expected=difference.expected,
        actual=difference.actual,
        detail=difference.detail,
    )


def _id_text(id_: bytes) -> str:
    """Write an id; a damaged one as plain hex."""
    try:
        return format_id(id_) if id_ else ""
    except ValueError:
        return id_.hex()
