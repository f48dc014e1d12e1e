"""Every process is replaced, one after the other, while calls go on; and no call is lost."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import grpc
import grpc.aio
import pytest

from bench.calls import write
from bench.ghz import GHZ, Ghz, finish
from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1 import wallet_service_pb2 as pb
from tests.front.beside import DRAIN_S, configuration, running
from tests.front.calls import WALLET
from tests.front.door import Door, Json, opened
from walletkit.front.clusters import socket_address
from walletkit.stack import Stack
from walletkit.stack.envoy import ADMIN_SOCKET
from walletkit.stack.settings import LOOPBACK, free_ports

SERVICES = ("ledger", "notify", "wallet", "edge")
PREFIXES = {"wallet": "WALLET", "relay": "WALLET", "ledger": "LEDGER"}
PREFIXES |= {"notify": "NOTIFY", "edge": "EDGE"}
SERVES = {"relay": "sink connected"}
CALLERS = 6
PAUSE_S = 0.02
"""Of each caller between two calls: what starts needs the cores, too."""
READY_S = 60.0
STOP_S = 10.0
LIMIT_S = 240
GHZ_RATE = 50
"""Calls of ghz a second."""
GONE_S = 0.5
"""Nobody is connected for so long: who has just left may come back, for both listen at one port."""
BETWEEN_S = 1.0
"""For so long both serve, and then the new one alone."""


@dataclass(slots=True)
class Calls:
    """What callers without any retry of their own have met."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    made: int = 0
    lost: list[str] = field(default_factory=list)


async def over_rest(door: Door, source: str, destination: str, calls: Calls, name: str) -> None:
    """Move a cent again and again, over REST."""
    body = {
        "sourceWalletId": source,
        "destinationWalletId": destination,
        "amount": {"currencyCode": "EUR", "amountMinor": "1"},
    }
    number = 0
    while not calls.stop.is_set():
        number += 1
        await asyncio.sleep(PAUSE_S)
        key = {"idempotency-key": f"{name}-{number}"}
        try:
            reply = await door.send("POST", "/v1/transfers", json=body, headers=key)
        except (aiohttp.ClientError, TimeoutError) as error:
            calls.lost.append(f"REST: {error!r}")
            continue
        if reply.status == 200:
            calls.made += 1
        else:
            calls.lost.append(f"REST: {reply.status} {reply.text}")


async def over_grpc(door: Door, source: str, destination: str, calls: Calls, name: str) -> None:
    """Move a cent again and again, over gRPC."""
    transfer = door.channel.unary_unary(
        f"{WALLET}Transfer",
        request_serializer=pb.TransferRequest.SerializeToString,
        response_deserializer=pb.TransferResponse.FromString,
    )
    request = pb.TransferRequest(source_wallet_id=source, destination_wallet_id=destination)
    request.amount.currency_code, request.amount.amount_minor = "EUR", 1
    number = 0
    while not calls.stop.is_set():
        number += 1
        await asyncio.sleep(PAUSE_S)
        request.idempotency_key = f"{name}-{number}"
        try:
            await transfer(request, metadata=tuple(door.bearer.items()), timeout=30)
        except grpc.aio.AioRpcError as error:
            calls.lost.append(f"gRPC: {error.code().name} {error.details()}")
        else:
            calls.made += 1


def two_of_each(suite: Stack, replicas: dict[str, int], listen: str, admin: str) -> Json:
    """Return the configuration of an Envoy that finds each service at two addresses, as DNS says.

    One that nobody listens at yet is left out by its health.
    """
    made = configuration(suite, listen=listen, admin=admin)
    for cluster in made["static_resources"]["clusters"]:
        if cluster["name"] in replicas:
            address = socket_address(f"{LOOPBACK}:{replicas[cluster['name']]}")
            (locality,) = cluster["load_assignment"]["endpoints"]
            locality["lb_endpoints"].append({"endpoint": {"address": address}})
    return made


@contextmanager
def beside(suite: Stack, name: str, folder: Path, replicas: dict[str, int]) -> Iterator[Path]:
    """Run a second process of a service; yield its log."""
    spec = suite._spec(name)
    log = folder / f"{name}.log"
    prefix = PREFIXES[name]
    (port,) = free_ports(1)
    environment = {**os.environ, **spec.env, f"{prefix}_METRICS_ADDRESS": f"{LOOPBACK}:{port}"}
    environment["PYTHONUNBUFFERED"] = "1"
    if name in replicas:
        environment[f"{prefix}_LISTEN"] = f"{LOOPBACK}:{replicas[name]}"
    if prefix == "WALLET":
        # They are replaced after these, and find the new ones as by a name.
        for other in ("ledger", "notify"):
            environment[f"WALLET_{other.upper()}_ADDRESS"] = f"{LOOPBACK}:{replicas[other]}"
    with log.open("wb") as file:
        process = subprocess.Popen(spec.argv, env=environment, stdout=file, stderr=file)
    try:
        yield log
    finally:
        process.terminate()
        assert process.wait(STOP_S) == 0


async def replace(
    suite: Stack, name: str, folder: Path, replicas: dict[str, int], stack: AsyncExitStack
) -> None:
    """Start a second process of a service; when it serves, have the first one end."""
    log = stack.enter_context(beside(suite, name, folder, replicas))
    await asyncio.wait_for(told(log, SERVES.get(name, '"serving": true')), READY_S)
    await asyncio.sleep(BETWEEN_S)
    await ended(suite, name)
    await asyncio.sleep(BETWEEN_S)


async def told(log: Path, what: str) -> None:
    """Wait for a line of a log."""
    while True:
        if what in await asyncio.to_thread(log.read_text, "utf-8"):
            return
        await asyncio.sleep(0.1)


async def ended(suite: Stack, name: str) -> None:
    """Ask a process to end, and wait until it has, of itself."""
    identity = suite.identity(name)
    assert identity is not None
    suite.signal(name, signal.SIGTERM)
    give_up = time.monotonic() + STOP_S
    while identity.is_alive():
        assert time.monotonic() < give_up, f"{name} does not end"
        await asyncio.sleep(0.05)


async def drain(folder: Path) -> None:
    """Have the callers of an Envoy move over to another one at the same address."""
    async with admin(folder) as ask:
        for path in ("healthcheck/fail", "drain_listeners?graceful"):
            async with ask.post(f"http://envoy/{path}") as reply:
                assert reply.status == 200
        give_up = time.monotonic() + DRAIN_S + STOP_S
        gone_s = 0.0
        while gone_s < GONE_S:
            assert time.monotonic() < give_up, "callers stay at an Envoy that drains"
            await asyncio.sleep(0.1)
            gone_s = 0.0 if await connections(ask) else gone_s + 0.1


@asynccontextmanager
async def admin(place: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """Ask the admin interface of the Envoy in a folder."""
    folder = os.open(place, os.O_RDONLY)
    try:
        # By the folder's descriptor: the path itself may be longer than a socket's may be.
        connector = aiohttp.UnixConnector(f"/proc/self/fd/{folder}/{ADMIN_SOCKET}")
        async with aiohttp.ClientSession(connector=connector) as session:
            yield session
    finally:
        os.close(folder)


async def connections(ask: aiohttp.ClientSession) -> int:
    """Count the clients that are connected."""
    query = "filter=http.front.downstream_cx_active&format=json"
    async with ask.get(f"http://envoy/stats?{query}") as reply:
        stats = json.loads(await reply.text())["stats"]
    return sum(one["value"] for one in stats if "value" in one)


@contextmanager
def rolling_ghz(
    door: Door, address: str, source: str, destination: str, folder: Path
) -> Iterator[Ghz | None]:
    """Have ghz move a cent again and again, each with a key of its own; None where it is not here.

    It calls by two connections, at a rate of its own, and tries no call again, as the others do.
    """
    if not GHZ.exists():
        yield None
        return
    data = folder / "ghz.bin"
    cent = Money(currency_code="EUR", amount_minor=1)
    write(
        data,
        (
            pb.TransferRequest(
                source_wallet_id=source,
                destination_wallet_id=destination,
                amount=cent,
                idempotency_key=f"ghz-{number}",
            )
            for number in range(GHZ_RATE * LIMIT_S)
        ),
    )
    method = f"{WALLET.strip('/')}/Transfer"
    with Ghz(
        *(address, method, data),
        concurrency=2,
        connections=2,
        seconds=LIMIT_S,
        offered=GHZ_RATE,
        token=door.token,
    ) as ghz:
        yield ghz


async def balance(door: Door, wallet_id: str) -> int:
    """Return what a wallet has."""
    reply = await door.send("GET", f"/v1/wallets/{wallet_id}/balance")
    return int(reply.json["balance"]["postedMinor"])


@pytest.mark.timeout(LIMIT_S)
async def test_a_rolling_restart_loses_no_call(door: Door, mended: Stack, tmp_path: Path) -> None:
    """Of wallet, ledger, notify, edge, relay and Envoy, under load by callers that never retry.

    They are ours, over REST and gRPC, and ghz.
    """
    source = await door.wallet("rolling-1", 1_000_000)
    destination = await door.wallet("rolling-2", 0)
    front, *ports = free_ports(1 + len(SERVICES))
    replicas = dict(zip(SERVICES, ports, strict=True))
    listen = f"{LOOPBACK}:{front}"
    made = two_of_each(mended, replicas, listen, f"unix:{ADMIN_SOCKET}")
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    calls = Calls()
    by_ghz = await door.wallet("rolling-3", 0)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        await first.enter_async_context(running(made, folders[0], f"http://{listen}"))
        there = await stack.enter_async_context(opened(mended, f"http://{listen}"))
        callers = [
            asyncio.create_task(call(there, source, destination, calls, f"{call.__name__}-{n}"))
            for n in range(CALLERS)
            for call in (over_rest, over_grpc)
        ]
        ghz = stack.enter_context(rolling_ghz(there, listen, source, by_ghz, tmp_path))
        try:
            for name in (*SERVICES, "relay"):
                before = calls.made
                await replace(mended, name, tmp_path, replicas, stack)
                assert calls.made > before, f"nothing was done while {name} was replaced"
            await stack.enter_async_context(running(made, folders[1], f"http://{listen}"))
            await drain(folders[0])
            await first.aclose()
            await asyncio.sleep(BETWEEN_S)
        finally:
            calls.stop.set()
            await asyncio.wait_for(asyncio.gather(*callers), 60)
        assert calls.lost == []
        assert await balance(there, destination) == calls.made
        if ghz is not None:
            ghz.interrupt()
            (load,) = await asyncio.to_thread(finish, ghz)
            assert load.errors == {}
            assert load.calls > GHZ_RATE * BETWEEN_S
            assert await balance(there, by_ghz) == load.calls
