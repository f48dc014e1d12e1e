"""What doctor says of parts that a running suite does not have, or never has in such a state."""

import asyncio
import secrets
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from guilder.cli.doctor import certificates, databases, durability, programs, replicas, services
from guilder.cli.doctor.configuration import Configured
from guilder.cli.doctor.databases import Database
from guilder.cli.doctor.finding import Finding, Status
from guilder.cli.doctor.privileges import read
from guilder.wallet.v1 import wallet_service_pb2
from ledger.store.bootstrap import bootstrap as bootstrap_ledger
from tests.auth.certificates import Authority
from tests.conftest import FreshDatabases
from wallet.settings import Settings
from wallet.store import partitions, retention
from wallet.store.bootstrap import bootstrap
from walletkit.sql.session import open_session, run_packet
from walletkit.stack import Stack, StackSettings
from walletkit.stack.settings import free_ports


@pytest.fixture
def two_servers(tmp_path: Path) -> Iterator[Stack]:
    """Describe two servers of this test's own, without binlogs; nothing runs yet."""
    settings = StackSettings.for_tests(tmp_path).model_copy(update={"binlog": False})
    with Stack(settings, tied=True) as stack:
        yield stack


def found(findings: list[Finding], check: str) -> Finding:
    """Return the one line of a check."""
    (line,) = [line for line in findings if line.check == check]
    return line


async def test_a_server_that_was_started_without_a_binlog(two_servers: Stack) -> None:
    """It is warned of, and whether the service serves it is said; what it lacks by it is not."""
    await asyncio.to_thread(two_servers.start, "shard-0")
    two_servers.execute("shard-0", "CREATE DATABASE wallet_0")
    database = Database("shard 0", "wallet", two_servers.shard_url(0, "wallet_0"), 0)
    looked = await databases.look(database)
    line = found(looked, "durability")
    assert (line.status, line.found) == (Status.WARN, "log_bin=OFF")
    assert line.means.endswith("wallet refuses it")
    schema = found(looked, "schema")
    assert (schema.status, schema.found) == (Status.FAIL, "revision none")
    assert schema.mend == "python -m wallet migrate"
    # A table that is missing is a line too, and no end of the others.
    assert found(looked, "identity").status == Status.FAIL
    assert found(looked, "partitions").status == Status.FAIL


async def test_replicas(two_servers: Stack) -> None:
    """One that follows is well; one that is stopped, or follows nobody, fails; lag is warned of."""
    settings = two_servers.settings.model_copy(update={"binlog": True})
    stack = Stack(settings, tied=True)
    with stack:
        await asyncio.to_thread(stack.start, "shard-0", "shard-1")
        stack.execute("shard-0", "CREATE DATABASE wallet_0; CREATE TABLE wallet_0.t (a INT)")
        stack.execute("shard-1", "CREATE DATABASE other; SET GLOBAL gtid_slave_pos=''")
        url = stack.shard_url(1, "other")
        (line,) = await replicas.look(url)
        assert (line.status, line.found) == (Status.FAIL, "no replication is set up")
        stack.execute(
            "shard-1",
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={settings.shard_ports[0]},"
            " MASTER_USER='root', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1; START SLAVE",
        )
        line = await settled(url, Status.OK)
        assert line.found.endswith("s behind")
        stack.execute("shard-1", "STOP SLAVE SQL_THREAD")
        (line,) = await replicas.look(url)
        assert line.status == Status.FAIL
        assert line.found.startswith("SQL does not run")
        stack.execute("shard-1", "STOP SLAVE; CHANGE MASTER TO MASTER_DELAY=60; START SLAVE")
        stack.execute("shard-0", "INSERT INTO wallet_0.t VALUES (1)")
        line = await settled(url, Status.WARN)
        assert "s behind" in line.found


async def test_a_replica_whose_user_only_reads_records(databases: Stack) -> None:
    """By the shard's last record: there it is, or it does not come."""
    names = [f"r{secrets.token_hex(4)}" for _ in range(2)]
    urls = [databases.shard_url(n, name) for n, name in enumerate(names)]
    for server, name in zip(("shard-0", "shard-1"), names, strict=True):
        databases.execute(
            server,
            f"CREATE DATABASE {name}; CREATE TABLE {name}.head (id INT, shard INT, seq INT);"
            f"INSERT INTO {name}.head VALUES (1,0,7)",
        )
    databases.execute(
        "shard-1",
        f"CREATE USER follower@'127.0.0.1'; GRANT SELECT ON {names[1]}.* TO follower@'127.0.0.1'",
    )
    url = urls[1].replace("root@", "follower@")
    try:
        (line,) = await replicas.look(url, urls[:1])
        assert (line.status, line.found) == (Status.OK, "has record 7 of shard 0")
        databases.execute("shard-0", f"UPDATE {names[0]}.head SET seq=9")
        (line,) = await replicas.look(url, urls[:1])
        assert (line.status, line.found) == (Status.WARN, "2 records behind")
        (line,) = await replicas.look(url)
        assert line.status == Status.WARN
    finally:
        databases.execute("shard-1", f"DROP USER follower@'127.0.0.1'; DROP DATABASE {names[1]}")
        databases.execute("shard-0", f"DROP DATABASE {names[0]}")


async def settled(url: str, status: Status) -> Finding:
    """Ask a replica until it is so, and return what was said."""
    async with asyncio.timeout(60):
        while True:
            (line,) = await replicas.look(url)
            if line.status == status:
                return line
            await asyncio.sleep(0.3)


async def test_partitions_that_run_out(fresh_databases: FreshDatabases) -> None:
    """A few days left are warned of, none fails; of both services that have any."""
    await bootstrap(fresh_databases.shards[:1])
    await bootstrap_ledger(fresh_databases.ledger)
    shard = Database("shard 0", "wallet", fresh_databases.shards[0], 0)
    ledger = Database("ledger's database", "ledger", fresh_databases.ledger)
    today = (datetime.now(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    for left, status in ((3, Status.WARN), (-1, Status.FAIL)):
        session = await open_session(fresh_databases.ledger, autocommit=True)
        listed = "SELECT partition_name FROM information_schema.partitions"
        ((names),) = await run_packet(
            session,
            f"{listed} WHERE table_schema=DATABASE() AND table_name='entries'"
            f" AND partition_name<>'p0' AND CAST(SUBSTR(partition_name,2) AS INT)>{today + left}",
        )
        dropped = ",".join(name for (name,) in names)
        await run_packet(session, f"ALTER TABLE entries DROP PARTITION {dropped}")
        session.close()
        line = found(await databases.look(ledger), "partitions")
        assert line.status == status
        assert line.found.startswith("entries")
    session = await open_session(fresh_databases.shards[0], autocommit=True)
    await run_packet(session, "DROP TABLE idem")
    name = f"{datetime.now(UTC) + timedelta(days=5):to%Y%m%d}"
    cut = f"PARTITION BY RANGE(day) (PARTITION {name} VALUES LESS THAN (1))"
    await run_packet(session, f"CREATE TABLE idem (day INT) {cut}")
    session.close()
    line = found(await databases.look(shard), "partitions")
    assert (line.status, line.found[:5]) == (Status.WARN, "idem:")


async def test_the_privileges_that_are_asked_for_are_enough_for_upkeep(
    databases: Stack, fresh_databases: FreshDatabases
) -> None:
    """Who has what doctor wants of the wallet's user makes partitions; who lacks it can't."""
    url = fresh_databases.shards[0]
    await bootstrap([url])
    name = url.rpartition("/")[2]
    databases.execute(
        "shard-0",
        "CREATE USER upkeep@'127.0.0.1';"
        f"GRANT SELECT, INSERT, UPDATE, DELETE, ALTER, DROP ON {name}.* TO upkeep@'127.0.0.1'",
    )
    try:
        session = await open_session(url, autocommit=True)
        last = max((await partitions.ends(session)).values())
        await run_packet(
            session, f"ALTER TABLE transactions DROP PARTITION {last.strftime('to%Y%m%d')}"
        )
        narrow = url.replace("root@", "upkeep@")
        await partitions.extend(narrow)
        assert max((await partitions.ends(session)).values()) == last
        await run_packet(
            session,
            "ALTER TABLE idem PARTITION BY RANGE(day) (PARTITION p0 VALUES LESS THAN (1),"
            " PARTITION to19800103 VALUES LESS THAN (3654), PARTITION to21000101 VALUES LESS"
            " THAN (47482))",
        )
        session.close()
        assert await retention.shed(narrow, 7) == 1
    finally:
        databases.execute("shard-0", "DROP USER upkeep@'127.0.0.1'")


def test_grants_are_read_with_their_patterns() -> None:
    """Escaped and unescaped wildcards, tables, columns and roles are told apart."""
    own, pattern, table, root = read(
        [
            "GRANT SELECT, INSERT (`a`, `b`) ON `wallet\\_0`.* TO `u`@`%`",
            "GRANT UPDATE ON `wallet_%`.* TO `u`@`%`",
            "GRANT DELETE ON `ledger`.`audit_events` TO `u`@`%`",
            "GRANT `reader` TO `u`@`%`",
            "GRANT ALL PRIVILEGES ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD '*1' WITH GRANT OPTION",
        ]
    )
    assert own.privileges == {"SELECT", "INSERT"}
    assert (own.covers("wallet_0"), own.covers("walletx0")) == (True, False)
    assert (pattern.covers("walletx0"), pattern.covers("ledger")) == (True, False)
    assert (table.database, table.table) == ("ledger", "audit_events")
    assert {"GRANT OPTION", "SELECT", "DROP"} <= root.privileges
    assert root.covers("anything")


def test_a_server_that_is_served_although_it_is_weak() -> None:
    """It says so: nothing else would."""
    variables = dict.fromkeys(durability.VARIABLES, "1") | {"log_bin": "OFF"}
    lines = durability.judge("shard 0", variables, "wallet", weak_allowed=True)
    assert any("WALLET_ALLOW_WEAK_DURABILITY is true" in line.means for line in lines)


@pytest.mark.parametrize(
    ("now", "status", "word"),
    [
        (timedelta(), Status.WARN, "days are left"),
        (timedelta(days=-30), Status.FAIL, "not valid yet"),
        (timedelta(days=2), Status.FAIL, "it is over"),
    ],
)
def test_certificates_end(tmp_path: Path, now: timedelta, status: Status, word: str) -> None:
    """One that ends soon is warned of; before and after its time it fails."""
    path, _ = Authority(tmp_path).issue("wallet.test")
    chain = x509.load_pem_x509_certificates(path.read_bytes())
    line = certificates.judge("WALLET_TLS_CERT", chain, datetime.now(UTC) + now)
    assert (line.status, word in line.means) == (status, True)
    assert "wallet.test" in line.found


def test_a_certificate_with_the_wrong_key(tmp_path: Path) -> None:
    """It is found before the start finds it, and so is a file that is missing."""
    authority = Authority(tmp_path)
    certificate, _ = authority.issue("wallet.test")
    _, key = authority.issue("ledger.test")
    settings = Settings(
        listen="127.0.0.1:1",
        auth_mode="trusted",
        ledger_address="127.0.0.1:1",
        notify_address="127.0.0.1:1",
        shard_urls=("mysql://h/w",),
        tls_cert=certificate,
        tls_key=key,
        tls_ca=tmp_path / "nowhere.pem",
    )
    wrong, missing = certificates.look_at_all(Configured(wallet=settings))
    assert (wrong.status, wrong.part) == (Status.FAIL, "WALLET_TLS_CERT")
    assert (missing.status, missing.part) == (Status.FAIL, "WALLET_TLS_CA")
    assert "nowhere.pem" in missing.found


def test_an_old_python_fails() -> None:
    """The services need 3.11."""
    assert programs.judge((3, 10), "3.10.4").status == Status.FAIL
    assert programs.judge((3, 11), "3.11.0").status == Status.OK


def altered() -> DescriptorPool:
    """Return a pool in which the wallet's contract lacks a call that ours has."""
    pool = DescriptorPool()

    def add(name: str) -> None:
        file = wallet_service_pb2.DESCRIPTOR.pool.FindFileByName(name)
        for needed in file.dependencies:
            add(needed.name)
        proto = FileDescriptorProto.FromString(file.serialized_pb)
        if name == wallet_service_pb2.DESCRIPTOR.name:
            del proto.service[0].method[-1]
        pool.Add(proto)

    add(wallet_service_pb2.DESCRIPTOR.name)
    return pool


async def test_a_service_of_another_contract() -> None:
    """It is told by its reflection; one that is up but not ready fails."""
    server = grpc.aio.server()
    state = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    reflection.enable_server_reflection(("guilder.wallet.v1.WalletService",), server, altered())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        address = f"127.0.0.1:{port}"
        await state.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        (line,) = await services.look("wallet", address, grpc.aio.insecure_channel)
        assert (line.status, line.check) == (Status.FAIL, "health")
        await state.set("", health_pb2.HealthCheckResponse.SERVING)
        _, line = await services.look("wallet", address, grpc.aio.insecure_channel)
        assert (line.status, line.check) == (Status.WARN, "contract")
        assert line.found == "guilder/wallet/v1/wallet_service.proto"
    finally:
        await server.stop(0)


@pytest.mark.timeout(60)
async def test_a_port_that_swallows_all_is_a_line_in_time() -> None:
    """Who accepts and never answers costs a deadline, and no more."""
    (port,) = free_ports(1)
    # The kernel takes connections in; nobody here ever does.
    with socket.create_server(("127.0.0.1", port)):
        url = f"mysql://root@127.0.0.1:{port}/wallet_0"
        (line,) = await databases.look(Database("shard 0", "wallet", url, 0))
        assert (line.status, line.check) == (Status.FAIL, "reach")
        (line,) = await services.look("wallet", f"127.0.0.1:{port}", grpc.aio.insecure_channel)
        assert (line.status, line.check) == (Status.FAIL, "health")
