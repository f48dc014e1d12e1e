"""The floors: an echo whose answers are as long as real ones, and SQL that does a shard's work."""

import asyncio
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest

from bench import wallets
from bench.floors import echo, sql
from bench.floors.packets import FUNDS_MINOR, LOADS, SAVES, Writer
from bench.ghz import GHZ
from guilder.client import Money
from guilder.wallet.v1 import wallet_service_pb2 as pb
from walletkit.chain import genesis_hash, next_hash
from walletkit.ids import new_id
from walletkit.sql.session import open_session, run_packet
from walletkit.stack import Stack, StackSettings

needs_ghz = pytest.mark.skipif(not GHZ.exists(), reason="ghz is installed by `make tools`")
PAYERS = 10
METHOD = "/guilder.wallet.v1.WalletService/Transfer"


async def test_an_echo_is_as_long_as_an_answer(suite: Stack, accounts: Sequence[str]) -> None:
    """The echo's answer has all fields of a real one, and about as many bytes."""
    source, destination, *_ = accounts
    async with wallets.client(suite) as guilder:
        money = Money(currency_code="EUR", amount_minor=7)
        real = await guilder.wallet.transfer(source, destination, money)
    echoed = echo.response()
    assert abs(len(echoed.transaction.SerializeToString()) - real.transaction.ByteSize()) <= 8
    assert abs(echoed.source_balance.ByteSize() - real.source_balance.ByteSize()) <= 8
    assert echoed.destination_balance.ByteSize() == echoed.source_balance.ByteSize()
    assert echoed.HasField("position")


def test_an_echo_answers_until_it_is_stopped() -> None:
    """The server answers any transfer, and is gone when nobody needs it."""
    with echo.running() as server, grpc.insecure_channel(server.address) as channel:
        transfer = channel.unary_unary(
            METHOD,
            request_serializer=pb.TransferRequest.SerializeToString,
            response_deserializer=pb.TransferResponse.FromString,
        )
        reply = transfer(pb.TransferRequest(idempotency_key="any"), timeout=5)
        assert reply.transaction.amount.currency_code == "EUR"
        assert Path(f"/proc/{server.pid}").exists()
    assert not Path(f"/proc/{server.pid}").exists()


def test_an_echo_is_scheduled_as_the_wallet_is(suite: Stack) -> None:
    """All threads of both, gRPC's too: else a ratio to the echo would be one of two policies."""
    wallet = suite.identity("wallet")
    assert wallet is not None
    with echo.running() as server:
        assert policies(server.pid) == policies(wallet.pid) == {os.SCHED_BATCH}


def policies(pid: int) -> set[int]:
    """Return the scheduling policies of a process's threads."""
    return {os.sched_getscheduler(int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()}


@needs_ghz
def test_an_echo_is_measured_like_a_scenario(
    suite: Stack, accounts: Sequence[str], tmp_path: Path
) -> None:
    """Calls are made, all succeed, and the server's CPU time stands under `wallet`."""
    run = echo.measure(suite, accounts, tmp_path, 4, 1.0, 3)
    assert (run.scenario, run.concurrency, run.round, run.errors) == ("floor: echo", 4, 3, {})
    assert run.movements == run.calls > 0
    assert run.cpu_us["wallet"] > 0
    assert run.cpu_us["load"] > 0


@pytest.mark.parametrize("size", [1, 30])
def test_a_batch_has_the_statements_that_are_waited_for(size: int) -> None:
    """Both packets have as many statements as the client takes results of."""
    writer = Writer(0, [new_id(n) for n in range(PAYERS)], random.Random(1))
    packets = writer.batch(size, time.time_ns() // 1_000)
    assert packets.load.count(b";") == LOADS - 1
    assert packets.save.count(b";") == SAVES - 1
    assert packets.save.endswith(b"COMMIT")


def test_raw_sql_does_the_work_of_a_shard(suite: Stack) -> None:
    """Its rows are all there, no money is lost or made, and the records are a chain."""
    with sql._databases(suite, 1) as urls:
        found = asyncio.run(batches_of(urls[0], [1, 30, 100]))
    assert found == (131, 131, 131, PAYERS * FUNDS_MINOR, 3)
    assert "floor_0" not in suite.execute("shard-0", "SHOW DATABASES").split()


@pytest.mark.parametrize("shards", [1, 2])
def test_raw_sql_is_measured(suite: Stack, shards: int) -> None:
    """Batches are made on as many shards as asked for, until the time is over."""
    run = sql.measure(suite, 30, 0.5, 2, shards=shards)
    assert (run.scenario, run.concurrency, run.round) == ("floor: raw SQL n=30", shards, 2)
    assert run.movements == 30 * run.calls > 0
    assert run.batch_size == 30.0
    assert run.cpu_us["load"] > 0
    for number in range(2):
        assert "floor_" not in suite.execute(f"shard-{number}", "SHOW DATABASES")


def test_raw_sql_is_measured_without_binlogs(tmp_path: Path) -> None:
    """`make bench BINLOG=off` measures servers that nothing else would write to."""
    settings = StackSettings.for_tests(tmp_path).model_copy(update={"binlog": False})
    with Stack(settings, tied=True) as weak:
        weak.up()
        assert sql.measure(weak, 30, 0.2, 1).movements > 0


async def batches_of(url: str, sizes: Sequence[int]) -> tuple[int, ...]:
    """Commit batches and count what is there; the chain is followed on the way."""
    writer = Writer(0, [new_id(n) for n in range(PAYERS)], random.Random(1))
    connection = await open_session(url, autocommit=False)
    try:
        await run_packet(connection, writer.begin())
        packets = [writer.batch(size, time.time_ns() // 1_000) for size in sizes]
        assert len(await sql._commit(connection, packets, time.perf_counter() + 60)) == len(sizes)
        (records, *counts) = await run_packet(
            connection,
            "SELECT prev_hash,hash,payload FROM outbox ORDER BY seq;"
            " SELECT COUNT(*) FROM transactions; SELECT COUNT(*) FROM idem;"
            " SELECT COUNT(*) FROM outcomes; SELECT CAST(SUM(posted) AS SIGNED) FROM balances;"
            " SELECT seq FROM head",
        )
    finally:
        connection.close()
    hash_ = genesis_hash(0)
    for prev_hash, stored, payload in records:
        assert prev_hash == hash_
        hash_ = next_hash(prev_hash, payload)
        assert stored == hash_
    return tuple(int(rows[0][0]) for rows in counts)
