"""An auditor gets a shard as it was right after one record, whatever is written meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_audit_service_pb2 as pb
from guilder.wallet.v1 import wallet_audit_service_pb2_grpc as pb_grpc
from tests.conftest import FreshDatabases
from tests.wallet.shard_sql import query, save_packet
from wallet.api import audit_servicer
from wallet.api.audit_servicer import MAX_SNAPSHOTS, WalletAuditServicer
from wallet.store.bootstrap import bootstrap
from walletkit.chain import genesis_hash
from walletkit.ids import SystemKind, new_id, system_wallet_id
from walletkit.rpc.interceptor import StatusInterceptor
from walletkit.sql.literals import literal, rows
from walletkit.sql.session import open_session, run_packet

WALLETS = 2_500
DEADLINE_S = 20
# No window beyond the smallest, so that a client that does not read soon stops the server.
CLIENT_OPTIONS = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1_024))

Stub: TypeAlias = "pb_grpc.WalletAuditServiceAsyncStub"


@pytest.fixture
async def urls(fresh_databases: FreshDatabases) -> tuple[str, ...]:
    """Two empty shards."""
    await bootstrap(fresh_databases.shards)
    return fresh_databases.shards


@pytest.fixture
async def servicer(urls: tuple[str, ...]) -> WalletAuditServicer:
    """What is tested."""
    return WalletAuditServicer(urls)


@pytest.fixture
async def stub(servicer: WalletAuditServicer) -> AsyncIterator[Stub]:
    """A client of a server with the servicer."""
    server = grpc.aio.server(interceptors=(StatusInterceptor(),))
    pb_grpc.add_WalletAuditServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=CLIENT_OPTIONS) as channel:
        yield pb_grpc.WalletAuditServiceStub(channel)
    await server.stop(None)


async def fill(url: str, wallets: int = WALLETS) -> list[bytes]:
    """Create wallets; return their ids, ascending."""
    ids = sorted(new_id(0) for _ in range(wallets))
    values = rows((id_, 0, b"EUR", 1_000, 0, 500_000, 1, 0) for id_ in ids)
    columns = "wallet_id,slot,currency,posted,held,overdraft_limit,status,version"
    await query(
        url,
        f"INSERT INTO balances({columns}) VALUES {values};"
        f"INSERT INTO system_wallets(kind,currency,posted) VALUES (1,'EUR',{-1_000 * wallets})",
    )
    return ids


async def read(stub: Stub, shard: int, pause_s: float = 0) -> list[pb.StreamBalancesResponse]:
    """Read a whole snapshot, slowly if wished."""
    parts = []
    async for part in stub.StreamBalances(
        pb.StreamBalancesRequest(shard=shard), timeout=DEADLINE_S
    ):
        parts.append(part)
        await asyncio.sleep(pause_s)
    return parts


async def reason(stub: Stub, shard: int) -> tuple[grpc.StatusCode, str]:
    """Read a snapshot that fails; return code and reason."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read(stub, shard)
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]  # has all it reads
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return caught.value.code(), info.reason


async def test_shards_are_listed(stub: Stub) -> None:
    """All that the process serves, ascending."""
    answer = await stub.ListShards(pb.ListShardsRequest(), timeout=DEADLINE_S)
    assert list(answer.shards) == [0, 1]


async def test_an_empty_shard_stands_at_its_genesis(stub: Stub) -> None:
    """Position and end, and nothing between."""
    first, last = await read(stub, 1)
    assert first == pb.StreamBalancesResponse(seq=0, hash=genesis_hash(1))
    assert last == pb.StreamBalancesResponse(complete=True)


async def test_everything_is_shown_in_order(urls: tuple[str, ...], stub: Stub) -> None:
    """Customers ascending in parts of 1,000, system wallets, intents, and the end."""
    ids = await fill(urls[0])
    legs = [(ids[n], leg, 0, ids[0], ids[1], b"EUR", 5) for n in range(600) for leg in (0, 128)]
    await query(
        urls[0],
        "INSERT INTO intents(tx_id,leg,slot,source,destination,currency,amount)"
        f" VALUES {rows(legs)}",
    )
    parts = await read(stub, 0)
    assert [len(part.balances) for part in parts] == [0, 1_000, 1_000, 500, 0, 0, 0, 0]
    balances = [balance for part in parts for balance in part.balances]
    assert [balance.wallet_id for balance in balances] == ids
    assert balances[7] == pb.SnapshotBalance(
        wallet_id=ids[7],
        currency_code="EUR",
        posted_minor=1_000,
        overdraft_limit_minor=500_000,
        status=res.WALLET_STATUS_ACTIVE,
    )
    (world,) = [wallet for part in parts for wallet in part.system_wallets]
    assert world.wallet_id == system_wallet_id(SystemKind.WORLD, 0, "EUR")
    assert world.posted_minor == "-2500000"
    assert [len(part.intents) for part in parts] == [0, 0, 0, 0, 0, 1_000, 200, 0]
    intents = [intent for part in parts for intent in part.intents]
    assert [(i.transaction_id, i.leg) for i in intents] == [leg[:2] for leg in legs]
    assert parts[-1] == pb.StreamBalancesResponse(complete=True)


async def test_a_status_is_shown_as_it_stands(urls: tuple[str, ...], stub: Stub) -> None:
    """A planted one too, even a number that is none: who compares must see it."""
    ids = await fill(urls[0], 3)
    for id_, status in zip(ids, (2, 3, 9), strict=True):
        await query(urls[0], f"UPDATE balances SET status={status} WHERE wallet_id={literal(id_)}")
    balances = [balance for part in await read(stub, 0) for balance in part.balances]
    assert [balance.status for balance in balances] == [2, 3, 9]


async def test_a_freeze_of_the_account_is_shown(urls: tuple[str, ...], stub: Stub) -> None:
    """Its bits of the flags alone: the others say that there are limits."""
    ids = await fill(urls[0], 4)
    for id_, flags in zip(ids, (1, 2, 12, 14), strict=True):
        await query(urls[0], f"UPDATE balances SET flags={flags} WHERE wallet_id={literal(id_)}")
    balances = [balance for part in await read(stub, 0) for balance in part.balances]
    assert [balance.account_freeze for balance in balances] == [1, 2, 0, 2]


async def test_open_holds_are_shown(
    urls: tuple[str, ...], stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, many with one time, and none that has ended."""
    monkeypatch.setattr("wallet.store.snapshot.CHUNK_ROWS", 100)
    ids = sorted(new_id(0) for _ in range(2_500))
    wallet_id = new_id(0)
    time_us = 1_790_000_000_123_456
    times = [f"TIMESTAMPADD(MICROSECOND,{time_us + n // 1_700},'1970-01-01')" for n in range(2_500)]
    values = ",".join(
        f"({literal(id_)},0,{literal(wallet_id)},'EUR',{literal(bytes(16))},{3 if n % 5 else 1},"
        f"100,30,{70 if n % 5 else 0},{times[n]},{'NULL' if n % 5 else times[n]},{times[n]},'','')"
        for n, id_ in enumerate(ids)
    )
    columns = (
        "hold_id,slot,wallet_id,currency,destination,state,authorized,captured,released,"
        "expires_at,open_until,created_at,reference,opaque"
    )
    await query(urls[0], f"INSERT INTO holds({columns}) VALUES {values}")
    parts = await read(stub, 0)
    holds = [hold for part in parts for hold in part.holds]
    assert [hold.hold_id for hold in holds] == ids[::5]
    assert {hold.expire_time_us for hold in holds} == {time_us, time_us + 1}
    assert holds[0] == pb.SnapshotHold(
        hold_id=ids[0],
        wallet_id=wallet_id,
        currency_code="EUR",
        state=res.HOLD_STATE_AUTHORIZED,
        authorized_minor=100,
        captured_minor=30,
        expire_time_us=time_us,
    )
    assert parts[-1] == pb.StreamBalancesResponse(complete=True)


async def test_a_snapshot_is_of_one_moment_while_writers_run(
    urls: tuple[str, ...], stub: Stub
) -> None:
    """Each batch moves money from the first wallet to the last: both are as of the seq told."""
    ids = await fill(urls[0])
    done = asyncio.Event()

    async def write() -> None:
        session = await open_session(urls[0], autocommit=False)
        try:
            while not done.is_set():
                update = "UPDATE balances SET version=version+1,posted=posted"
                changes = (
                    f"{update}-1 WHERE wallet_id={literal(ids[0])};"
                    f"{update}+1 WHERE wallet_id={literal(ids[-1])};"
                )
                await run_packet(session, save_packet(b"batch", changes=changes))
        finally:
            session.close()

    writer = asyncio.create_task(write())
    try:
        snapshots = [await read(stub, 0, pause_s=0.02) for _ in range(4)]
    finally:
        done.set()
        await writer
    hashes = dict([(0, genesis_hash(0)), *await query(urls[0], "SELECT seq,hash FROM outbox")])
    for parts in snapshots:
        seq = parts[0].seq
        assert parts[0].hash == hashes[seq]
        balances = [balance for part in parts for balance in part.balances]
        assert (balances[0].version, balances[0].posted_minor) == (seq, 1_000 - seq)
        assert (balances[-1].version, balances[-1].posted_minor) == (seq, 1_000 + seq)
        assert sum(balance.posted_minor for balance in balances) == 1_000 * WALLETS
    assert snapshots[0][0].seq < snapshots[-1][0].seq < len(hashes) - 1


async def test_what_is_not_there_is_said_by_reason(urls: tuple[str, ...], stub: Stub) -> None:
    """An unknown shard, and one whose database is another shard's or does not answer."""
    assert await reason(stub, 2) == (grpc.StatusCode.NOT_FOUND, "SHARD_NOT_FOUND")
    await query(urls[1], "UPDATE head SET shard=7")
    assert await reason(stub, 1) == (grpc.StatusCode.UNAVAILABLE, "SHARD_UNAVAILABLE")
    await query(urls[1], "RENAME TABLE head TO mislaid")
    assert await reason(stub, 1) == (grpc.StatusCode.UNAVAILABLE, "SHARD_UNAVAILABLE")


async def test_more_snapshots_than_allowed_wait(stub: Stub, urls: tuple[str, ...]) -> None:
    """All of them are served in the end."""
    await fill(urls[0])
    streams = await asyncio.gather(*[read(stub, 0) for _ in range(MAX_SNAPSHOTS * 3)])
    assert all(parts[-1].complete for parts in streams)


async def test_who_does_not_read_loses_the_turn(
    urls: tuple[str, ...],
    stub: Stub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Callers that stop reading hold the others up only until their time is over."""
    monkeypatch.setattr(audit_servicer, "MAX_DURATION_S", 0.7)
    await fill(urls[0], 20_000)
    idle = [stub.StreamBalances(pb.StreamBalancesRequest(shard=0)) for _ in range(MAX_SNAPSHOTS)]
    for stream in idle:
        await stream.read()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in stub.StreamBalances(pb.StreamBalancesRequest(shard=1), timeout=0.2):
            pass
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    parts = await read(stub, 1)
    assert parts[-1].complete
