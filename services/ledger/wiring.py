"""Put the ledger together: the only file that constructs pools, writers, channels and loops."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import grpc.aio
import structlog
from asyncmy.errors import MySQLError

from guilder.ledger.v1 import ledger_service_pb2 as api
from guilder.ledger.v1.ledger_service_pb2_grpc import add_LedgerServiceServicer_to_server
from guilder.wallet.v1.wallet_audit_service_pb2_grpc import WalletAuditServiceStub
from ledger.api.ledger_servicer import LedgerServicer
from ledger.api.proofs import Proofs
from ledger.api.reads import Reads
from ledger.export.manifest import Export
from ledger.export.month import Month
from ledger.export.take import ANSWER_S, take
from ledger.ingest.shard_writer import ShardWriter
from ledger.ingest.streams import Streams
from ledger.reconcile.balances import Reconciler
from ledger.settings import Settings
from ledger.store import partitions
from ledger.store.pool import Pool
from ledger.store.positions import Positions
from ledger.store.shard_store import ShardStore
from walletkit.errors import ServiceError
from walletkit.rpc import server
from walletkit.rpc.tls import open_channel
from walletkit.sql.session import open_session

READ_SESSIONS = 6
PROOF_SESSIONS = 3
PING_S = 1.0
READY_S = 5.0
"""The database counts as answering for so long after it last did."""

UPKEEP_S = 6 * 3_600
UPKEEP_RETRY_S = 60

SERVICE_NAME = api.DESCRIPTOR.services_by_name["LedgerService"].full_name

log = structlog.get_logger()


class Ledger:
    """One ledger process."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.database_url
        self._durable = not settings.allow_weak_durability
        self._answered_at = float("-inf")
        self._reads = Pool(self._url, READ_SESSIONS, "reads")
        self._proofs = Pool(self._url, PROOF_SESSIONS, "proofs")
        self._positions = Positions(self._reads)
        self._channel = open_channel(settings.wallet_address, settings)
        self._streams = Streams(self._writer, settings.commit_interval_ms / 1_000)
        self._loops: list[asyncio.Task[None]] = []

    def register(self, grpc_server: grpc.aio.Server) -> None:
        """Add the service to a server and start the loops."""
        stub = WalletAuditServiceStub(self._channel)
        reconciler = Reconciler(self._proofs, self._positions, stub)
        servicer = LedgerServicer(
            self._streams.ingest,
            Reads(self._reads, self._positions),
            Proofs(self._proofs, reconciler),
        )
        add_LedgerServiceServicer_to_server(servicer, grpc_server)
        self._loops = [asyncio.create_task(self._ping()), asyncio.create_task(self._upkeep())]

    def ready(self) -> bool:
        """Whether the database answers; the wallet service never decides it."""
        return time.monotonic() - self._answered_at < READY_S

    async def drain(self) -> None:
        """Finish commits that have begun, then let go of everything."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._streams.drain()
        await self._channel.close()
        await self._reads.close()
        await self._proofs.close()

    def _writer(self, shard: int) -> ShardWriter:
        store = ShardStore(self._url, shard, durable=self._durable)
        return ShardWriter(shard, store, self._positions)

    async def _ping(self) -> None:
        while True:
            try:
                async with self._reads.session() as session:
                    await session.rows("SELECT 1 FROM cursors LIMIT 1")
                self._answered_at = time.monotonic()
            except ServiceError as error:
                log.warning("the database does not answer", error=error.message)
            await asyncio.sleep(PING_S)

    async def _upkeep(self) -> None:
        """Make partitions ahead, at the start and then four times a day."""
        while True:
            pause = UPKEEP_S
            try:
                last_day = await partitions.extend(self._url)
                log.info("partitions are ahead", last_day=last_day)
            except (OSError, MySQLError, TimeoutError) as error:
                # Two weeks of them are left when this begins to fail.
                log.error("partitions could not be made", error=repr(error))  # noqa: TRY400
                pause = UPKEEP_RETRY_S
            await asyncio.sleep(pause)


async def serve(settings: Settings) -> None:
    """Serve until a signal says stop. Raise ``UnsafeServerError`` for a database that may lose."""
    await _check(settings)
    ledger = Ledger(settings)
    await server.serve(
        listen=settings.listen,
        auth=settings,
        register=ledger.register,
        service_names=(SERVICE_NAME,),
        ready=ledger.ready,
        drain=ledger.drain,
    )


async def export(settings: Settings, month: Month, into: Path) -> Export:
    """Export a closed month into a new folder below ``into``.

    Raise ``ExportError``, or ``ServiceError`` (LEDGER_UNAVAILABLE).
    """
    pool = Pool(settings.database_url, 1, "export", ANSWER_S)
    channel = open_channel(settings.wallet_address, settings)
    try:
        stub = WalletAuditServiceStub(channel)
        return await take(pool, stub, month, into, lambda: datetime.now(UTC))
    finally:
        await channel.close()
        await pool.close()


async def _check(settings: Settings) -> None:
    """Refuse a database with weak settings; one that does not answer yet is waited for."""
    try:
        connection = await open_session(
            settings.database_url, autocommit=True, durable=not settings.allow_weak_durability
        )
    except (OSError, MySQLError, TimeoutError) as error:
        log.warning("the database does not answer yet", error=repr(error))
    else:
        connection.close()
