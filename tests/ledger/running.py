"""A whole ledger on a real database: the process's own wiring, in this process."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

from guilder.events.v1 import record_pb2 as events
from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from guilder.wallet.v1 import wallet_audit_service_pb2 as audit
from guilder.wallet.v1 import wallet_audit_service_pb2_grpc as audit_grpc
from ledger.settings import Settings
from ledger.wiring import Ledger
from tests.claims import Claims
from tests.ledger.shards import Shard
from walletkit.rpc.interceptor import StatusInterceptor
from walletkit.rpc.status import DETAILS_KEY
from walletkit.sql.session import Rows, open_session, run_packet

CALL_TIMEOUT_S = 20

Context = grpc.aio.ServicerContext[Any, Any]


class FakeWallets(audit_grpc.WalletAuditServiceServicer):
    """A WalletAuditService that serves the snapshots it is given."""

    def __init__(self) -> None:
        self.snapshots: dict[int, list[audit.StreamBalancesResponse]] = {}

    async def ListShards(  # noqa: N802  # gRPC's name
        self,
        request: audit.ListShardsRequest,  # noqa: ARG002  # part of the signature
        context: Context,  # noqa: ARG002
    ) -> audit.ListShardsResponse:
        """List the shards that have a snapshot."""
        return audit.ListShardsResponse(shards=sorted(self.snapshots))

    async def StreamBalances(  # noqa: N802  # gRPC's name
        self, request: audit.StreamBalancesRequest, context: Context
    ) -> AsyncIterator[audit.StreamBalancesResponse]:
        """Stream a shard's snapshot."""
        if request.shard not in self.snapshots:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such shard")
        for part in self.snapshots[request.shard]:
            yield part


def info_of(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    """Return what an error says to machines; empty where it carries nothing."""
    info = error_details_pb2.ErrorInfo()
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            assert isinstance(value, bytes)
            assert status_pb2.Status.FromString(value).details[0].Unpack(info)
    return info


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason that an error carries."""
    return str(info_of(error).reason)


@asynccontextmanager
async def serving(url: str, wallets: FakeWallets, interval_ms: int = 0) -> AsyncIterator["Running"]:
    """Serve a ledger on a database that is there already."""
    server = grpc.aio.server(interceptors=(Claims(), StatusInterceptor()))
    audit_grpc.add_WalletAuditServiceServicer_to_server(wallets, server)
    port = server.add_insecure_port("127.0.0.1:0")
    settings = Settings(
        listen="127.0.0.1:0",
        auth_mode="trusted",
        database_url=url,
        wallet_address=f"127.0.0.1:{port}",
        commit_interval_ms=interval_ms,
    )
    ledger = Ledger(settings)
    ledger.register(server)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = LedgerServiceStub(channel)
        yield Running(ledger, channel, stub, wallets, url, f"127.0.0.1:{port}")
    await server.stop(None)
    async with asyncio.timeout(CALL_TIMEOUT_S):
        await ledger.drain()


@dataclass
class Running:
    """A ledger that serves, its database, and the wallets it reconciles with."""

    ledger: Ledger
    channel: grpc.aio.Channel
    stub: Any
    wallets: FakeWallets
    url: str
    address: str

    async def sql(self, statements: str) -> list[Rows]:
        """Run statements behind the ledger's back."""
        connection = await open_session(self.url, autocommit=True, durable=False)
        try:
            return await run_packet(connection, statements)
        finally:
            connection.close()

    async def ingest(
        self, shard: int, records: Iterable[events.SequencedRecord]
    ) -> list[api.IngestResponse]:
        """Send records in one stream, end it, and return all answers."""
        listed = list(records)
        call = self.stub.Ingest(timeout=CALL_TIMEOUT_S)
        await call.write(api.IngestRequest(shard=shard))
        answers = [await call.read()]
        # One message: a write to a call that was refused meanwhile hides why it was.
        await call.write(api.IngestRequest(shard=shard, records=listed))
        await call.done_writing()
        while (answer := await call.read()) is not grpc.aio.EOF:
            answers.append(answer)
        return answers

    async def refused(self, shard: int, records: Iterable[events.SequencedRecord]) -> str:
        """Send records of which one must be refused, and return the reason."""
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.ingest(shard, records)
        return reason_of(refused.value)

    async def take(self, *shards: Shard) -> None:
        """Have the ledger take in whatever the shards have written."""
        for shard in shards:
            answers = await self.ingest(shard.number, shard.records)
            assert answers[-1].seq == len(shard.records)
