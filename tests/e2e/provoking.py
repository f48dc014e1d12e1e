"""Make everything happen to a suite that its metrics tell of: money, refusals, faults."""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
from aiohttp import web

from guilder.client import Guilder, GuilderError
from guilder.client.keys import KeyClient
from guilder.events.v1.record_pb2 import SequencedRecord
from guilder.ledger.v1 import ledger_service_pb2 as ledger_pb
from guilder.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from tests.e2e.traffic import euros
from tests.engine.world import run_sql
from walletkit.ids import parse_id
from walletkit.sql.session import open_session, run_packet
from walletkit.stack import Stack

STOPPED_S = 2.5
LOCKED_S = 6.0
AT_ONCE = 60
SLOW_S = 1.0
BACKUP_S = 60.0


@dataclass
class Endpoints:
    """A web server that takes webhooks, each path in its own way."""

    url: str = ""
    taken: list[str] = field(default_factory=list)


@asynccontextmanager
async def endpoints() -> AsyncIterator[Endpoints]:
    """Serve /slow, which takes what comes; /later, which never does; /gone, which is no more."""
    found = Endpoints()

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(SLOW_S)
        found.taken.append(request.headers["webhook-id"])
        return web.Response()

    async def later(_request: web.Request) -> web.Response:
        return web.Response(status=503)

    async def gone(_request: web.Request) -> web.Response:
        return web.Response(status=410)

    app = web.Application()
    app.router.add_post("/slow", slow)
    app.router.add_post("/later", later)
    app.router.add_post("/gone", gone)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SLOW_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.url = "http://127.0.0.1:{1}".format(*runner.addresses[0])
        yield found
    finally:
        await runner.cleanup()


async def subscribe(guilder: Guilder, at: Endpoints, wallets: list[str]) -> None:
    """Subscribe each endpoint to what happens to some wallets."""
    for path in ("slow", "later", "gone"):
        await guilder.notify.create_subscription(f"{at.url}/{path}", wallet_ids=wallets)


async def decline(guilder: Guilder, wallet_id: str, other: str) -> None:
    """Ask for too much, twice with one key; and reverse, hold, capture, void, post."""
    key = secrets.token_hex(8)
    for _ in range(2):
        with suppress(GuilderError):
            await guilder.wallet.transfer(wallet_id, other, euros(10**12), idempotency_key=key)
    made = await guilder.wallet.transfer(wallet_id, other, euros(5))
    again = await guilder.wallet.deposit(wallet_id, euros(5), idempotency_key=key + "d")
    assert not again.replayed
    assert (await guilder.wallet.deposit(wallet_id, euros(5), idempotency_key=key + "d")).replayed
    await guilder.wallet.reverse_transaction(made.transaction.transaction_id, reason="test")
    held = await guilder.holds.authorize(wallet_id, euros(9))
    await guilder.holds.capture_hold(held.hold.hold_id, euros(4), destination_wallet_id=other)
    held = await guilder.holds.authorize(wallet_id, euros(9))
    await guilder.holds.void_hold(held.hold.hold_id)


async def read_a_lot(guilder: Guilder, wallet_id: str, other: str) -> None:
    """Ask for more at once than there are sessions, of a shard and of the ledger."""

    async def listed() -> None:
        async for _ in guilder.ledger.list_entries(wallet_id):
            break

    tried = [
        guilder.wallet.transfer(wallet_id, other, euros(1), validate_only=True)
        for _ in range(AT_ONCE)
    ]
    await asyncio.gather(*tried, *[listed() for _ in range(AT_ONCE)], return_exceptions=True)


async def knock(suite: Stack) -> None:
    """Come by Envoy with a good key, twice, with a bad one, and with none."""
    async with grpc.aio.insecure_channel(suite.address("edge")) as channel:
        made = await KeyClient(channel).create_key(f"knocking-{secrets.token_hex(4)}", ["service"])
    for credential in (made.credential, made.credential, "nonsense", None):
        headers = {} if credential is None else {"x-api-key": credential}
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{suite.rest_url}/v1/assets", headers=headers) as reply,
        ):
            await reply.read()


async def send_nonsense(suite: Stack) -> None:
    """Send the ledger a record whose hash is not of its bytes."""
    async with grpc.aio.insecure_channel(suite.address("ledger")) as channel:
        call: Any = LedgerServiceStub(channel).Ingest()
        await call.write(ledger_pb.IngestRequest(shard=0))
        at = await call.read()
        bad = SequencedRecord(seq=at.seq + 1, prev_hash=at.hash, hash=b"\0" * 32, payload=b"")
        await call.write(ledger_pb.IngestRequest(shard=0, records=[bad]))
        with suppress(grpc.aio.AioRpcError):
            await call.read()


async def ask_wrongly(suite: Stack, guilder: Guilder) -> None:
    """Ask notify and edge for what they refuse."""
    with suppress(GuilderError):
        await guilder.notify.create_subscription("no url")
    async with grpc.aio.insecure_channel(suite.address("edge")) as channel:
        with suppress(GuilderError):
            await KeyClient(channel).create_key("knocking", ["no role"])


async def lock(suite: Stack, wallet_id: str, shard: int) -> None:
    """Hold a wallet's row locked for longer than two lock waits."""
    url = suite.environment[f"WALLET_SHARD_{shard}_URL"]
    session = await open_session(url, autocommit=False, durable=False)
    try:
        row = f"SELECT posted FROM balances WHERE wallet_id=x'{parse_id(wallet_id).hex()}'"
        await run_packet(session, f"{row} FOR UPDATE")
        await asyncio.sleep(LOCKED_S)
    finally:
        session.close()


async def back_up(suite: Stack, folder: Path) -> None:
    """Take a backup of a shard, and leave the file that tells Prometheus of it in a folder."""
    arguments = ("take", "--url-from", "WALLET_SHARD_0_URL", "--into", folder / "backups")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "walletkit.backup", *arguments),
        *("--metrics-file", folder / "shard-0.prom"),
        env={**os.environ, **suite.environment},
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(BACKUP_S):
        assert await process.wait() == 0


@asynccontextmanager
async def stopped(suite: Stack, name: str) -> AsyncIterator[None]:
    """Let a process stand still for a moment, and all that wait for it."""
    suite.signal(name, signal.SIGSTOP)
    try:
        yield
        await asyncio.sleep(STOPPED_S)
    finally:
        suite.signal(name, signal.SIGCONT)


async def wallets_of(suite: Stack, shard: int, wanted: Sequence[str]) -> list[str]:
    """Return those of some wallets that are on a shard."""
    url = suite.environment[f"WALLET_SHARD_{shard}_URL"]
    here = {bytes(row[0]) for row in await run_sql(url, "SELECT wallet_id FROM balances")}
    return [wallet for wallet in wanted if parse_id(wallet) in here]


async def cross(guilder: Guilder, source: str, destination: str, times: int) -> None:
    """Send money to another shard, whatever comes of it."""
    sent = [guilder.wallet.transfer(source, destination, euros(1)) for _ in range(times)]
    await asyncio.gather(*sent, return_exceptions=True)
