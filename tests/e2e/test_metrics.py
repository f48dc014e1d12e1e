"""Every metric is told by a running suite, and moves when what it tells of happens."""

import asyncio
import contextlib
import itertools
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from guilder.client import Addresses, Guilder, GuilderError
from tests.e2e import provoking
from tests.e2e.provoking import endpoints, stopped
from tests.e2e.scraping import KINDS, Watch, declared, fetch, total
from tests.e2e.traffic import POLICY, Traffic, euros, open_client
from walletkit.stack import Stack
from walletkit.stack.envoy import ADMIN_SOCKET
from walletkit.stack.settings import MEASURED, free_ports
from walletkit.telemetry.instruments import MAX_SERIES

ELSEWHERE = {
    "ledger_differences": "tests/ledger/test_telling.py: here the books are right",
    "guilder_certificate_expiry_timestamp_seconds": "tests/auth/test_certificates.py: no TLS here",
    "wallet_replica_up": "tests/wallet/test_replicas.py: here are no replicas",
    "wallet_replica_lag_records": "likewise",
    "wallet_replica_lag_seconds": "likewise",
    "guilder_worker_up": "below: this suite has one wallet process",
    "guilder_backup_last_success_timestamp_seconds": "test_prometheus.py: a file has it",
}
PAGE = (Path(__file__).resolve().parents[2] / "docs/metrics.md").read_text("utf-8")
UNHEALTHY_S = 3.0
MOVED_S = 90.0
"""The relay counts an outbox once a minute."""
START_S = 90.0
ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}|[0-9a-f]{12}|^run\d+|knocking")
"""What an id of ours, or the name of an account or a client of these tests, looks like."""
MOST_SERIES = 300
"""Of one metric and process, after all of this."""


@pytest.mark.timeout(600)
async def test_every_metric_moves(suite: Stack) -> None:
    """After money, refusals and faults of each kind none stands still; and no label holds an id."""
    watch = Watch(suite)
    watching = asyncio.create_task(watch.run())
    async with open_client(suite) as guilder, endpoints() as at:
        traffic = Traffic(guilder, random.Random(7))
        await traffic.prepare()
        await provoking.subscribe(guilder, at, traffic.wallets[:4])
        async with moving(traffic), watched(guilder):
            await provoke(suite, guilder, traffic)
        give_up = time.monotonic() + MOVED_S
        while watch.still() - ELSEWHERE.keys() and time.monotonic() < give_up:
            pairs = itertools.pairwise(traffic.wallets)
            # Among them are other shards': a proof meanwhile finds money under way.
            moving_on = [provoking.cross(guilder, *pair, 4) for pair in pairs]
            await asyncio.gather(guilder.ledger.verify_transit(), *moving_on)
            await asyncio.sleep(0.2)
        assert watch.still() == ELSEWHERE.keys()
    told = await watch.once()
    assert told.keys() == set(MEASURED)
    watching.cancel()
    for name, seen in watch.seen.items():
        assert len(seen) <= MOST_SERIES <= MAX_SERIES, name
        assert not [labels for labels in seen for _, value in labels if ID.search(value)], name
    ours = {name for name in watch.seen if not name.startswith(("process_", "python_"))}
    assert ours <= KINDS.keys()


async def provoke(suite: Stack, guilder: Guilder, traffic: Traffic) -> None:
    """Let happen what can, one after the other."""
    here, there = [await provoking.wallets_of(suite, n, traffic.wallets) for n in range(2)]
    await provoking.decline(guilder, here[0], here[1])
    await provoking.read_a_lot(guilder, here[0], here[1])
    await provoking.knock(suite)
    await provoking.send_nonsense(suite)
    await provoking.ask_wrongly(suite, guilder)
    async with stopped(suite, "redis"):
        await provoking.knock(suite)
    async with stopped(suite, "books"):
        await provoking.read_a_lot(guilder, here[0], here[1])
    async with stopped(suite, "shard-1"):
        await provoking.cross(guilder, here[0], there[0], 8)
        await guilder.ledger.verify_transit()
    locking = asyncio.create_task(provoking.lock(suite, there[0], 1))
    await provoking.cross(guilder, here[0], there[0], 4)
    await locking
    await asyncio.to_thread(suite.kill, "shard-1", "books", "notify")
    await provoking.cross(guilder, there[0], there[1], 8)
    await asyncio.sleep(UNHEALTHY_S)
    await asyncio.to_thread(suite.start, "shard-1", "books", "notify")
    await guilder.wait_ready(timeout_seconds=MOVED_S)
    for shard in range(2):
        with contextlib.suppress(GuilderError):
            await guilder.ledger.verify_chain(shard)
            await guilder.ledger.reconcile(shard)


@asynccontextmanager
async def moving(traffic: Traffic) -> AsyncIterator[None]:
    """Move money meanwhile."""
    stop = asyncio.Event()
    running = asyncio.create_task(traffic.run(8, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 60)


@asynccontextmanager
async def watched(guilder: Guilder) -> AsyncIterator[None]:
    """Watch events meanwhile."""

    async def follow() -> None:
        async for _ in guilder.notify.watch():
            pass

    running = asyncio.create_task(follow())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_figures_are_those_of_the_calls(suite: Stack) -> None:
    """Transfers, their volume, a decline, a replay and their calls are counted, each once."""
    url = suite.metrics_url("wallet")
    async with open_client(suite) as guilder:
        traffic = Traffic(guilder, random.Random(8))
        await traffic.prepare()
        here = await provoking.wallets_of(suite, 0, traffic.wallets)
        before = await asyncio.to_thread(fetch, url)
        for n in range(5):
            await guilder.wallet.transfer(
                here[0], here[1], euros(11), idempotency_key=f"{traffic.name}{n}"
            )
        await guilder.wallet.transfer(
            here[0], here[1], euros(11), idempotency_key=f"{traffic.name}0"
        )
        with pytest.raises(GuilderError):
            await guilder.wallet.transfer(here[0], here[1], euros(10**9))
        after = await asyncio.to_thread(fetch, url)

    def moved(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    calls = "wallet_grpc_requests_total"
    transfer = "WalletService/Transfer"
    assert moved("wallet_transactions_total", type="transfer", status="completed") == 5
    assert moved("wallet_transactions_total", type="transfer", status="declined") == 1
    assert moved("wallet_volume_minor_total", currency="EUR") == 55
    assert moved("wallet_declines_total", reason="INSUFFICIENT_FUNDS") == 1
    assert moved("wallet_idempotent_replays_total", shard="0") == 1
    assert moved(calls, method=transfer, code="OK") == 6
    assert moved(calls, method=transfer, code="FAILED_PRECONDITION") == 1
    assert moved("wallet_errors_total", type="FAILED_PRECONDITION", code="INSUFFICIENT_FUNDS") == 1
    assert moved("wallet_grpc_request_duration_seconds_count", method=transfer) == 7
    assert moved("wallet_batch_commands_sum") == 7


async def test_the_text_is_sound(suite: Stack) -> None:
    """OpenMetrics reads it, which wants order; buckets grow, and the last one is the count."""
    for name in MEASURED:
        text = await asyncio.to_thread(openmetrics, suite.metrics_url(name))
        histograms = 0
        for metric in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
            assert metric.documentation
            if declared(metric) in KINDS:
                assert metric.type == KINDS[declared(metric)]
            histograms += metric.type == "histogram"
        assert histograms, name


def openmetrics(url: str) -> str:
    """Return what a process tells in OpenMetrics."""
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    request = urllib.request.Request(url, headers=accept)  # noqa: S310  # loopback
    with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
        text: str = reply.read().decode()
    return text


async def test_only_its_own_address_answers(suite: Stack) -> None:
    """Each process at the port that it was given, on loopback as it was told; no other."""
    for name in MEASURED:
        port = suite.settings.metrics_port(name)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)


async def test_scrapes_hold_up_no_call(suite: Stack) -> None:
    """While eight scrape without a pause, and one says nothing, nearly all reads stay quick."""
    stop = asyncio.Event()

    def scrape() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                fetch(suite.metrics_url("wallet"))

    async with open_client(suite) as guilder:
        made = await guilder.wallet.create_wallet("scraped", "EUR")
        with socket.create_connection(("127.0.0.1", suite.settings.metrics_port("wallet"))):
            scraping = [asyncio.create_task(asyncio.to_thread(scrape)) for _ in range(4)]
            took = []
            for _ in range(100):
                began = time.perf_counter()
                await guilder.wallet.get_balance(made.wallet.wallet_id)
                took.append(time.perf_counter() - began)
            stop.set()
            await asyncio.gather(*scraping)
    assert sorted(took)[95] < 0.5


async def test_envoy_tells_of_http(suite: Stack) -> None:
    """What docs/metrics.md names of its statistics is there, and counts calls by their class."""
    folder = os.open(suite.settings.run_dir, os.O_RDONLY)
    # By the folder's descriptor: the path itself may be longer than a socket's may be.
    admin = aiohttp.UnixConnector(f"/proc/self/fd/{folder}/{ADMIN_SOCKET}")
    try:
        async with aiohttp.ClientSession() as http, aiohttp.ClientSession(connector=admin) as asked:
            async with http.get(f"{suite.rest_url}/v1/assets") as refused:
                assert refused.status == 401
            async with asked.get("http://envoy/stats/prometheus") as reply:
                text = await reply.text()
    finally:
        os.close(folder)
    counted = re.findall(
        r'^envoy_http_downstream_rq_xx\{.*envoy_response_code_class="4".* (\d+)$',
        text,
        re.MULTILINE,
    )
    assert max(map(int, counted)) > 0
    assert "envoy_http_downstream_rq_time_bucket{" in text
    assert set(re.findall(r"`(envoy_http_downstream_rq_\w+)`", PAGE)) == {
        "envoy_http_downstream_rq_xx",
        "envoy_http_downstream_rq_time",
    }


@pytest.fixture
def workers(suite: Stack, tmp_path: Path) -> Iterator[tuple[str, str, int]]:
    """Start a wallet of two workers on the suite's shards; return its addresses and its pid."""
    port, metrics_port = free_ports(2)
    environment = {
        name: value for name, value in suite.environment.items() if name.startswith("WALLET_")
    }
    environment |= {
        "WALLET_LISTEN": f"127.0.0.1:{port}",
        "WALLET_WORKERS": "2",
        "WALLET_METRICS_ADDRESS": f"127.0.0.1:{metrics_port}",
        "PYTHONUNBUFFERED": "1",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "wallet", "serve"], env=environment, stdout=log, stderr=log
        )
    try:
        yield f"127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}/metrics", process.pid
    finally:
        process.terminate()
        process.wait(20)


async def test_one_scrape_sums_up_all_workers(suite: Stack, workers: tuple[str, str, int]) -> None:
    """What two workers did is what was called; one that is killed is replaced and told again."""
    address, url, parent = workers
    addresses = Addresses(address, suite.address("ledger"), suite.address("notify"))
    name, calls = "wallet_grpc_requests_total", 0
    told: list[Metric] = []
    busy: set[str] = set()
    give_up = time.monotonic() + 2 * START_S
    while len(busy) < 2:
        assert time.monotonic() < give_up, "one worker got every connection"
        async with Guilder(addresses, POLICY) as guilder:
            await guilder.wait_ready(timeout_seconds=START_S)
            await guilder.wallet.create_wallet("workers", "EUR", idempotency_key=f"w{calls}")
            calls += 1
        told = await asyncio.to_thread(fetch, url)
        busy = {n for n in "01" if total(told, name, worker=n, method="WalletService/CreateWallet")}
    assert total(told, name, method="WalletService/CreateWallet", code="OK") == calls
    assert total(told, "guilder_worker_up") == 2
    assert total(told, "wallet_db_connections_max", shard="0") == 2 * total(
        told, "wallet_db_connections_max", shard="0", worker="0"
    )
    await asyncio.to_thread(kill_a_worker, parent)
    ups: set[float] = set()
    while ups != {1.0, 2.0}:
        assert time.monotonic() < give_up + START_S, f"workers that answered: {ups}"
        ups.add(total(await asyncio.to_thread(fetch, url), "guilder_worker_up"))


def kill_a_worker(parent: int) -> None:
    """Kill the first child of a process."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
    os.kill(int(children.split()[0]), signal.SIGKILL)
