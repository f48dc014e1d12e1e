"""The LedgerService: one short method an RPC."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio

from guilder.ledger.v1 import audit_events_pb2 as audit_api
from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.ledger.v1.ledger_service_pb2_grpc import LedgerServiceServicer
from ledger.api.balances import chart_of_accounts
from ledger.api.proofs import Proofs
from ledger.api.reads import Reads

Context = grpc.aio.ServicerContext[Any, Any]
Ingest = Callable[[AsyncIterator[api.IngestRequest]], AsyncIterator[api.IngestResponse]]


class LedgerServicer(LedgerServiceServicer):
    """Errors are raised as ``ServiceError``; the interceptor turns them into statuses."""

    def __init__(self, ingest: Ingest, reads: Reads, proofs: Proofs) -> None:
        self._ingest = ingest
        self._reads = reads
        self._proofs = proofs

    def Ingest(
        self, request_iterator: AsyncIterator[api.IngestRequest], context: Context
    ) -> AsyncIterator[api.IngestResponse]:
        """Take in the records of one shard."""
        return self._ingest(request_iterator)

    async def ListEntries(
        self, request: api.ListEntriesRequest, context: Context
    ) -> api.ListEntriesResponse:
        """List a wallet's entries, newest first."""
        return await self._reads.lists.list_entries(request, context)

    async def ListTransactions(
        self, request: api.ListTransactionsRequest, context: Context
    ) -> api.ListTransactionsResponse:
        """List transactions, newest first."""
        return await self._reads.lists.list_transactions(request, context)

    def GetStatement(
        self, request: api.GetStatementRequest, context: Context
    ) -> AsyncIterator[api.GetStatementResponse]:
        """Stream a wallet's statement."""
        return self._reads.statements.get_statement(request, context)

    async def GetBalance(
        self, request: api.GetBalanceRequest, context: Context
    ) -> api.GetBalanceResponse:
        """Get a wallet's balance, now or at a time."""
        return await self._reads.balances.get_balance(request, context)

    async def GetTrialBalance(
        self, request: api.GetTrialBalanceRequest, context: Context
    ) -> api.GetTrialBalanceResponse:
        """Get the trial balance, now or at a time."""
        return await self._reads.balances.get_trial_balance(request)

    async def GetChartOfAccounts(
        self, request: api.GetChartOfAccountsRequest, context: Context
    ) -> api.GetChartOfAccountsResponse:
        """Get the chart of accounts."""
        return chart_of_accounts()

    async def ListAuditEvents(
        self, request: audit_api.ListAuditEventsRequest, context: Context
    ) -> audit_api.ListAuditEventsResponse:
        """List admin actions, newest first."""
        return await self._reads.audit_log.list_events(request, context)

    async def VerifyChain(
        self, request: api.VerifyChainRequest, context: Context
    ) -> api.VerifyChainResponse:
        """Replay a shard from genesis."""
        return await self._proofs.verify_chain(request)

    async def VerifyTransit(
        self, request: api.VerifyTransitRequest, context: Context
    ) -> api.VerifyTransitResponse:
        """Pair all legs."""
        return await self._proofs.verify_transit()

    async def Reconcile(
        self, request: api.ReconcileRequest, context: Context
    ) -> api.ReconcileResponse:
        """Compare a shard's balances with the journal."""
        return await self._proofs.reconcile(request, context)
