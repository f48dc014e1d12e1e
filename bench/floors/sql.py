"""The floor of a commit: the same batches of transfers by the fastest raw SQL.

Databases of its own, `floor_0`, `floor_1`, …, on the suite's shard servers, with tables like
theirs, made before a run and dropped after it. One connection a shard; each batch is two packets
of text that were written before the clock started.
"""

import asyncio
import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import asyncmy
import uvloop
from asyncmy.errors import MySQLError

from bench.floors.packets import LOADS, SAVES, TABLES, Packets, Writer
from bench.load import Load
from bench.machine import tree_cpu_seconds
from bench.model import Run
from bench.usage import to_run
from bench.wallets import WALLETS
from walletkit.ids import SLOTS, new_id
from walletkit.sql.session import open_session, parse_url, run_packet
from walletkit.stack import Stack, StackError

SIZES = (1, 30, 100, 1_000)
PACKET_TIMEOUT_S = 20
COMMITS_A_SECOND = 1_500
"""Batches of one that are written ahead for each second and shard; more than a shard commits."""
TRANSFERS_A_SECOND = 20_000
"""The same, of larger batches, in transfers."""
MAX_TRANSFERS = 120_000
"""Transfers that are written ahead for a shard, about 150 MB: what is over then ends a run."""
_DATABASE = "floor_{}"


def measure(
    stack: Stack, size: int, seconds: float, round_: int, *, shards: int | None = None
) -> Run:
    """Measure batches of so many transfers on so many shards (all), each for itself.

    A call is a batch: its latency is that of both packets. The databases' CPU time is that of the
    whole servers, so whatever else the suite does meanwhile counts: little, when nobody calls it.
    Raise `StackError` when a database fails.
    """
    count = shards or len(stack.settings.shard_ports)
    pids = {
        process.name: process.pid
        for process in stack.status()
        if process.name.startswith("shard-") and process.pid is not None
    }
    with _databases(stack, count) as urls:
        try:
            load, spent = uvloop.run(
                _measure(urls, pids, size, seconds, durable=stack.settings.binlog)
            )
        except (MySQLError, OSError) as error:
            raise StackError(f"raw SQL: {error!r}") from error
    used = {"shards": sum(spent.values())}
    return to_run(f"floor: raw SQL n={size}", count, round_, load, used, batch_size=float(size))


async def _measure(
    urls: Sequence[str], pids: Mapping[str, int], size: int, seconds: float, *, durable: bool
) -> tuple[Load, dict[str, float]]:
    writers = [_writer(shard, len(urls)) for shard in range(len(urls))]
    connections = [await open_session(url, autocommit=False, durable=durable) for url in urls]
    try:
        for writer, connection in zip(writers, connections, strict=True):
            await run_packet(connection, writer.begin())
        ahead = [_write_ahead(writer, size, seconds) for writer in writers]
        before = tree_cpu_seconds(pids)
        load = await _run(connections, ahead, size, seconds)
        after = tree_cpu_seconds(pids)
    finally:
        for connection in connections:
            connection.close()
    return load, {name: after[name] - used for name, used in before.items()}


async def _run(
    connections: Sequence[asyncmy.Connection],
    ahead: Sequence[Sequence[Packets]],
    size: int,
    seconds: float,
) -> Load:
    """Send the batches of all shards side by side, until the time is over or none are left."""
    started, cpu_started = time.perf_counter(), time.process_time()
    shards = await asyncio.gather(
        *[
            _commit(connection, packets, started + seconds)
            for connection, packets in zip(connections, ahead, strict=True)
        ]
    )
    took, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    latencies = [latency for shard in shards for latency in shard]
    return Load(took, len(latencies), size * len(latencies), latencies, {}, cpu)


async def _commit(
    connection: asyncmy.Connection, packets: Sequence[Packets], end: float
) -> list[float]:
    """Commit batch after batch; return how long each took, in milliseconds."""
    latencies = []
    for packet in packets:
        started = time.perf_counter()
        if started >= end:
            break
        async with asyncio.timeout(PACKET_TIMEOUT_S):
            await _send(connection, packet.load, LOADS)
            await _send(connection, packet.save, SAVES)
        latencies.append((time.perf_counter() - started) * 1e3)
    return latencies


async def _send(connection: asyncmy.Connection, packet: bytes, statements: int) -> None:
    """Send a packet and take in all of its results, without a cursor: nobody reads them."""
    await connection.query(packet)  # type: ignore[no-untyped-call]  # the driver has no types
    for _ in range(statements - 1):
        await connection.next_result()  # type: ignore[no-untyped-call]


def _writer(shard: int, shards: int) -> Writer:
    """Return the writer of a shard that has its part of the benchmark's wallets."""
    draw = random.Random(shard)  # noqa: S311  # the same pairs each time
    slots = range(SLOTS * shard // shards, SLOTS * (shard + 1) // shards)
    wallets = [new_id(draw.choice(slots)) for _ in range(WALLETS // shards)]
    return Writer(shard, wallets, draw)


def _write_ahead(writer: Writer, size: int, seconds: float) -> list[Packets]:
    a_second = min(COMMITS_A_SECOND * size, TRANSFERS_A_SECOND)
    batches = math.ceil(min(a_second * seconds, MAX_TRANSFERS) / size)
    return [writer.batch(size, time.time_ns() // 1_000) for _ in range(batches)]


@contextmanager
def _databases(stack: Stack, shards: int) -> Iterator[list[str]]:
    """Make the shards' databases, empty ones whatever an interrupted run has left; drop them."""
    _drop(stack, shards)
    try:
        for number in range(shards):
            stack.execute(f"shard-{number}", _creation(stack, number))
        yield [stack.shard_url(number, _DATABASE.format(number)) for number in range(shards)]
    finally:
        _drop(stack, shards)


def _creation(stack: Stack, number: int) -> str:
    """Write what makes a database as the service's migrations made the suite's: by its tables."""
    theirs = parse_url(stack.environment[f"WALLET_SHARD_{number}_URL"]).database
    ours = _DATABASE.format(number)
    tables = [f"CREATE TABLE {ours}.{table} LIKE {theirs}.{table}" for table in TABLES]
    return ";".join([f"CREATE DATABASE {ours}", *tables])


def _drop(stack: Stack, shards: int) -> None:
    for number in range(shards):
        stack.execute(f"shard-{number}", f"DROP DATABASE IF EXISTS {_DATABASE.format(number)}")
