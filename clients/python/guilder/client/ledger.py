"""Call the ledger: entries, balances of any moment, and the proofs. Client room: over the stubs."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime

import grpc
import grpc.aio

from guilder.client.calls import (
    DEFAULT_POLICY,
    PROOF_TIMEOUT_SECONDS,
    CallPolicy,
    call_unary,
    read,
    read_all,
)
from guilder.client.errors import UnavailableError
from guilder.client.pages import page_size, walk
from guilder.client.times import to_timestamp
from guilder.events.v1.record_pb2 import AuditAction
from guilder.ledger.v1.audit_events_pb2 import AuditEvent, ListAuditEventsRequest
from guilder.ledger.v1.ledger_service_pb2 import (
    STATEMENT_BASIS_UNSPECIFIED,
    STATEMENT_FORMAT_CSV,
    STATEMENT_FORMAT_MESSAGES,
    ChartAccount,
    Entry,
    GetBalanceRequest,
    GetBalanceResponse,
    GetChartOfAccountsRequest,
    GetStatementRequest,
    GetStatementResponse,
    GetTrialBalanceRequest,
    GetTrialBalanceResponse,
    ListEntriesRequest,
    ReconcileRequest,
    ReconcileResponse,
    StatementBasis,
    VerifyChainRequest,
    VerifyChainResponse,
    VerifyTransitRequest,
    VerifyTransitResponse,
)
from guilder.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from guilder.type.v1.position_pb2 import Position


class LedgerClient:
    """The journal. Every method raises ``GuilderError`` by reason."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        policy: CallPolicy = DEFAULT_POLICY,
        proof_timeout_seconds: float = PROOF_TIMEOUT_SECONDS,
    ) -> None:
        """Speak over ``channel``, which stays its owner's to close.

        Statements, trial balances and proofs read much and get a deadline of their own.
        """
        self._stub = LedgerServiceStub(channel)
        self._policy = policy
        self._proof_policy = policy.for_proofs(proof_timeout_seconds)

    def list_entries(
        self,
        wallet_id: str,
        *,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        min_position: Position | None = None,
        limit: int | None = None,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Entry]:
        """Iterate over a wallet's entries, newest first. Raise ``WalletNotFoundError``.

        They were recorded at or after ``start_time`` and before ``end_time``. With
        ``min_position``, of a change's reply, the ledger first waits until it has that change.
        """
        start, end = to_timestamp(start_time), to_timestamp(end_time)

        async def fetch(token: str) -> tuple[Sequence[Entry], str]:
            request = ListEntriesRequest(
                wallet_id=wallet_id,
                page_size=page_size(limit),
                page_token=token,
                start_time=start,
                end_time=end,
                min_position=min_position,
            )
            page = await read(self._stub.ListEntries, request, self._policy, timeout_seconds)
            return page.entries, page.next_page_token

        return walk(fetch, limit)

    def list_audit_events(  # noqa: PLR0913 - each is a filter
        self,
        *,
        wallet_id: str = "",
        account_id: str = "",
        actor: str = "",
        actions: Sequence[AuditAction.ValueType] = (),
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        min_position: Position | None = None,
        limit: int | None = None,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[AuditEvent]:
        """Iterate over admin actions that meet all that is given, newest first.

        They say who did what, why, and what it was before and after. An account's are those on its
        wallets, too. With ``min_position``, of a change's reply, the ledger first waits until it
        has that change.
        """
        start, end = to_timestamp(start_time), to_timestamp(end_time)

        async def fetch(token: str) -> tuple[Sequence[AuditEvent], str]:
            request = ListAuditEventsRequest(
                wallet_id=wallet_id,
                account_id=account_id,
                actor=actor,
                actions=actions,
                page_size=page_size(limit),
                page_token=token,
                start_time=start,
                end_time=end,
                min_position=min_position,
            )
            page = await read(self._stub.ListAuditEvents, request, self._policy, timeout_seconds)
            return page.events, page.next_page_token

        return walk(fetch, limit)

    async def get_balance(
        self,
        wallet_id: str,
        *,
        at_time: datetime | None = None,
        at_effective_time: datetime | None = None,
        min_position: Position | None = None,
        timeout_seconds: float | None = None,
    ) -> GetBalanceResponse:
        """Get the balance that the journal gives. Raise ``WalletNotFoundError``.

        It is that of now; or after all recorded before ``at_time``; or after all that counts before
        ``at_effective_time``, as far as it is recorded by now.
        """
        request = GetBalanceRequest(
            wallet_id=wallet_id,
            at_time=to_timestamp(at_time),
            at_effective_time=to_timestamp(at_effective_time),
            min_position=min_position,
        )
        return await read(self._stub.GetBalance, request, self._policy, timeout_seconds)

    async def get_statement(
        self,
        wallet_id: str,
        *,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        basis: StatementBasis.ValueType = STATEMENT_BASIS_UNSPECIFIED,
        min_position: Position | None = None,
        timeout_seconds: float | None = None,
    ) -> AsyncGenerator[GetStatementResponse]:
        """Yield the parts of a wallet's statement: header, lines, footer; raise if it is cut.

        Only the footer says that it is complete; without one ``UnavailableError`` is raised behind
        the parts that came. Also ``WalletNotFoundError``. ``timeout_seconds`` bounds all of it.
        """
        request = GetStatementRequest(
            wallet_id=wallet_id,
            start_time=to_timestamp(start_time),
            end_time=to_timestamp(end_time),
            basis=basis,
            format=STATEMENT_FORMAT_MESSAGES,
            min_position=min_position,
        )
        policy, complete = self._proof_policy.within(timeout_seconds), False
        async with aclosing(read_all(self._stub.GetStatement, request, policy)) as parts:
            async for part in parts:
                complete = part.HasField("footer")
                yield part
        if not complete:
            message = f"the statement of {wallet_id} was cut"
            raise UnavailableError(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", message)

    async def get_statement_csv(
        self,
        wallet_id: str,
        *,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        basis: StatementBasis.ValueType = STATEMENT_BASIS_UNSPECIFIED,
        min_position: Position | None = None,
        timeout_seconds: float | None = None,
    ) -> AsyncGenerator[bytes]:
        """Yield a wallet's statement as the chunks of one CSV file (RFC 4180, UTF-8).

        Its row ``closing`` says that it is complete. Errors as ``get_statement``.
        """
        request = GetStatementRequest(
            wallet_id=wallet_id,
            start_time=to_timestamp(start_time),
            end_time=to_timestamp(end_time),
            basis=basis,
            format=STATEMENT_FORMAT_CSV,
            min_position=min_position,
        )
        policy = self._proof_policy.within(timeout_seconds)
        async with aclosing(read_all(self._stub.GetStatement, request, policy)) as parts:
            async for part in parts:
                yield part.csv

    async def get_trial_balance(
        self,
        shard: int | None = None,
        *,
        at_time: datetime | None = None,
        timeout_seconds: float | None = None,
    ) -> GetTrialBalanceResponse:
        """Get debits, credits and net of each kind of account, of a shard or of all.

        With ``at_time`` as they were after all that was recorded before it.
        """
        request = GetTrialBalanceRequest(shard=shard, at_time=to_timestamp(at_time))
        policy = self._proof_policy.within(timeout_seconds)
        return await call_unary(self._stub.GetTrialBalance, request, policy)

    async def get_chart_of_accounts(
        self, *, timeout_seconds: float | None = None
    ) -> list[ChartAccount]:
        """Get the accounts of the trial balance, by code: what each is, and how it grows."""
        request = GetChartOfAccountsRequest()
        reply = await read(self._stub.GetChartOfAccounts, request, self._policy, timeout_seconds)
        return list(reply.accounts)

    async def verify_chain(
        self, shard: int, *, timeout_seconds: float | None = None
    ) -> VerifyChainResponse:
        """Walk a shard's records from genesis and list what does not follow."""
        request = VerifyChainRequest(shard=shard)
        policy = self._proof_policy.within(timeout_seconds)
        return await call_unary(self._stub.VerifyChain, request, policy)

    async def verify_transit(
        self, *, timeout_seconds: float | None = None
    ) -> VerifyTransitResponse:
        """Pair what was sent between shards with what has landed."""
        policy = self._proof_policy.within(timeout_seconds)
        return await call_unary(self._stub.VerifyTransit, VerifyTransitRequest(), policy)

    async def reconcile(
        self, shard: int, *, timeout_seconds: float | None = None
    ) -> ReconcileResponse:
        """Compare a shard's balances with the journal at exactly the same record."""
        request = ReconcileRequest(shard=shard)
        policy = self._proof_policy.within(timeout_seconds)
        return await call_unary(self._stub.Reconcile, request, policy)
