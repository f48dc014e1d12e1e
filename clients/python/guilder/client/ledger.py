"""Call the ledger: entries, balances of any moment, and the proofs. Client room: over the stubs."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from guilder.client.calls import DEFAULT_POLICY, PROOF_TIMEOUT_SECONDS, CallPolicy, call_unary
from guilder.client.pages import page_size, walk
from guilder.ledger.v1.ledger_service_pb2 import (
    Entry,
    GetBalanceRequest,
    GetBalanceResponse,
    GetTrialBalanceRequest,
    GetTrialBalanceResponse,
    ListEntriesRequest,
    ReconcileRequest,
    ReconcileResponse,
    VerifyChainRequest,
    VerifyChainResponse,
    VerifyTransitRequest,
    VerifyTransitResponse,
)
from guilder.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from guilder.type.v1.position_pb2 import Position


def to_timestamp(moment: datetime | None) -> Timestamp | None:
    """Return an aware datetime as a Timestamp; a naive one raises ``ValueError``."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        message = "a time needs its zone"
        raise ValueError(message)
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


class LedgerClient:
    """The journal. Every method raises ``GuilderError`` by reason."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        policy: CallPolicy = DEFAULT_POLICY,
        proof_timeout_seconds: float = PROOF_TIMEOUT_SECONDS,
    ) -> None:
        """Speak over ``channel``, which stays its owner's to close.

        Proofs read much and get a deadline of their own.
        """
        self._stub = LedgerServiceStub(channel)
        self._policy = policy
        self._proof_policy = policy.for_proofs(proof_timeout_seconds)

    def list_entries(
        self,
        wallet_id: str,
        *,
        limit: int | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        min_position: Position | None = None,
    ) -> AsyncIterator[Entry]:
        """Iterate over a wallet's entries, newest first.

        They were recorded at or after ``start_time`` and before ``end_time``.
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
            page = await call_unary(self._stub.ListEntries, request, self._policy)
            return page.entries, page.next_page_token

        return walk(fetch, limit)

    async def get_balance(
        self,
        wallet_id: str,
        *,
        at_time: datetime | None = None,
        min_position: Position | None = None,
    ) -> GetBalanceResponse:
        """Get the balance that the journal gives: now, or after all recorded before ``at_time``."""
        request = GetBalanceRequest(
            wallet_id=wallet_id, at_time=to_timestamp(at_time), min_position=min_position
        )
        return await call_unary(self._stub.GetBalance, request, self._policy)

    async def get_trial_balance(self, shard: int | None = None) -> GetTrialBalanceResponse:
        """Get debits, credits and net of each kind of account, of a shard or of all."""
        request = GetTrialBalanceRequest(shard=shard)
        return await call_unary(self._stub.GetTrialBalance, request, self._proof_policy)

    async def verify_chain(self, shard: int) -> VerifyChainResponse:
        """Walk a shard's records from genesis and list what does not follow."""
        request = VerifyChainRequest(shard=shard)
        return await call_unary(self._stub.VerifyChain, request, self._proof_policy)

    async def verify_transit(self) -> VerifyTransitResponse:
        """Pair what was sent between shards with what has landed."""
        request = VerifyTransitRequest()
        return await call_unary(self._stub.VerifyTransit, request, self._proof_policy)

    async def reconcile(self, shard: int) -> ReconcileResponse:
        """Compare a shard's balances with the journal at exactly the same record."""
        request = ReconcileRequest(shard=shard)
        return await call_unary(self._stub.Reconcile, request, self._proof_policy)
