"""`guilder doctor` on the real suite: well, then with one thing wrong at a time."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

from guilder.cli.app import app
from walletkit.stack import Stack
from walletkit.stack.settings import free_ports

Doctor = Callable[..., list[dict[str, str]]]


@pytest.fixture
def environment(suite: Stack, addresses: dict[str, str]) -> dict[str, str]:
    """Return what an operator has who looks at the suite: every variable of its services."""
    return {**suite.environment, **addresses}


@pytest.fixture
def doctor(environment: dict[str, str]) -> Doctor:
    """Run doctor with some variables changed; return its lines, once its exit code was right."""

    def run(*arguments: str, exit_code: int = 0, **changed: str) -> list[dict[str, str]]:
        result = CliRunner().invoke(
            app, ["doctor", "--json", *arguments], env={**environment, **changed}
        )
        assert result.exit_code == exit_code, result.output
        told = json.loads(result.stdout)
        assert told["counts"]["fail"] == len(of(told["findings"], status="fail"))
        found: list[dict[str, str]] = told["findings"]
        return found

    return run


def of(findings: list[dict[str, str]], **wanted: str) -> list[dict[str, str]]:
    """Return the lines that have these values."""
    return [line for line in findings if wanted.items() <= line.items()]


@contextmanager
def changed(suite: Stack, name: str, change: str, undo: str) -> Iterator[None]:
    """Let a database be otherwise for a while."""
    suite.execute(name, change)
    try:
        yield
    finally:
        suite.execute(name, undo)


def test_a_suite_that_is_well(doctor: Doctor) -> None:
    """Nothing fails; what is only right for development is warned of, and nothing else is."""
    found = doctor()
    assert not of(found, status="fail")
    warned = {(line["part"], line["check"]) for line in of(found, status="warn")}
    users = {(f"{name}'s database", "privileges") for name in ("ledger", "notify", "edge")}
    users |= {(f"shard {number}", "privileges") for number in range(2)}
    assert warned == {("configuration", "callers"), ("configuration", "notify"), *users}
    for part in ("shard 0", "shard 1", "ledger's database"):
        checks = {line["check"] for line in of(found, part=part)}
        wanted = {"reach", "version", "primary", "clock", "schema", "partitions", "durability"}
        assert checks >= wanted
    for part in ("wallet", "ledger", "notify", "edge"):
        assert len(of(found, part=part, status="ok")) == 2
    assert {line["check"] for line in of(found, part="Redis of notify and edge")} == {
        *("reach", "clock", "version", "primary", "persistence", "memory")
    }


def test_every_line_says_what_it_means_and_how_to_mend_it(doctor: Doctor) -> None:
    """Each has its meaning, and each that is not well a way out; --strict fails for a warning."""
    found = doctor("--strict", exit_code=1)
    assert all(line["means"] and line["found"] for line in found)
    assert all(line["mend"] for line in found if line["status"] != "ok")


def test_people_get_a_table(environment: dict[str, str]) -> None:
    """It has the parts and the counts."""
    result = CliRunner().invoke(app, ["doctor"], env=environment)
    assert result.exit_code == 0, result.output
    assert "shard 1" in result.stdout
    assert "0 fail" in result.stdout


@pytest.mark.parametrize(
    ("setting", "weak", "right"),
    [
        ("innodb_flush_log_at_trx_commit", "2", "1"),
        ("sync_binlog", "0", "1"),
        ("binlog_format", "MIXED", "ROW"),
        ("binlog_row_image", "FULL", "MINIMAL"),
        ("tx_isolation", "REPEATABLE-READ", "READ-COMMITTED"),
    ],
)
def test_a_weak_setting_is_warned_of(
    suite: Stack, doctor: Doctor, setting: str, weak: str, right: str
) -> None:
    """Of the one server that has it, by name and value."""
    change, undo = (f"SET GLOBAL {setting}='{value}'" for value in (weak, right))
    if weak.isdigit():
        change, undo = (f"SET GLOBAL {setting}={value}" for value in (weak, right))
    with changed(suite, "shard-1", change, undo):
        lines = of(doctor(), check="durability", status="warn")
    assert [(line["part"], line["found"]) for line in lines] == [("shard 1", f"{setting}={weak}")]
    assert f"{setting}={right}" in lines[0]["mend"]


@pytest.mark.parametrize(
    ("variable", "value", "word"),
    [
        ("WALLET_QUEUE_LIMT", "9", "did you mean WALLET_QUEUE_LIMIT"),
        ("LEDGER_COMMIT_INTERVAL_MS", "soon", "'soon'"),
        ("EDGE_AUDIENCE", "others", "EDGE_AUDIENCE others"),
        ("WALLET_SHARD_1_URL", "", "mysql://user"),
    ],
)
def test_wrong_settings_fail_by_name(doctor: Doctor, variable: str, value: str, word: str) -> None:
    """A variable that is unknown, malformed or contradicts another one is named."""
    lines = of(doctor(exit_code=1, **{variable: value}), part="configuration", status="fail")
    assert lines
    assert any(word in line["found"] for line in lines)


def test_two_services_in_one_database_contradict(suite: Stack, doctor: Doctor) -> None:
    """Their tables would meet."""
    found = doctor(exit_code=1, NOTIFY_DATABASE_URL=suite.books_url("ledger"))
    (line,) = of(found, part="configuration", check="together", status="fail")
    assert "ledger, notify share ledger" in line["found"]


def test_services_that_could_not_call_each_other(suite: Stack, doctor: Doctor) -> None:
    """A wallet without a token is told that the ledger wants one."""
    (line,) = of(
        doctor(exit_code=1, LEDGER_AUTH_MODE="required"), part="configuration", status="fail"
    )
    assert "WALLET_AUTH_TOKEN_FILE" in line["found"]


def test_a_part_that_is_down_is_a_line(suite: Stack, doctor: Doctor) -> None:
    """A shard, Redis and a service that nobody answers for; all others are looked at."""
    dead = free_ports(1)[0]
    found = doctor(
        exit_code=1,
        WALLET_SHARD_1_URL=f"mysql://root:hidden@127.0.0.1:{dead}/wallet_1",
        EDGE_REDIS_URL=f"redis://:hidden@127.0.0.1:{dead}/0",
        GUILDER_NOTIFY_ADDRESS=f"127.0.0.1:{dead}",
    )
    failed = {(line["part"], line["check"]) for line in of(found, status="fail")}
    assert failed == {("shard 1", "reach"), ("Redis of edge", "reach"), ("notify", "health")}
    assert "hidden" not in json.dumps(found)
    assert of(found, part="shard 0", check="schema", status="ok")


def test_urls_in_the_wrong_order(suite: Stack, doctor: Doctor) -> None:
    """Each database says which shard it is."""
    urls = suite.environment
    swapped = {
        "WALLET_SHARD_0_URL": urls["WALLET_SHARD_1_URL"],
        "WALLET_SHARD_1_URL": urls["WALLET_SHARD_0_URL"],
    }
    lines = of(doctor(exit_code=1, **swapped), check="identity", status="fail")
    assert [line["found"][-7:] for line in lines] == ["shard 1", "shard 0"]


@pytest.mark.parametrize(
    ("revision", "status", "exit_code"), [("0001", "fail", 1), ("9999", "warn", 0)]
)
def test_a_schema_of_another_revision(
    suite: Stack, doctor: Doctor, revision: str, status: str, exit_code: int
) -> None:
    """An older one fails, a newer one is an upgrade under way."""
    ((newest,),) = (
        suite.execute("shard-0", "SELECT version_num FROM wallet_0.alembic_version").split(),
    )
    change = "UPDATE wallet_0.alembic_version SET version_num='{}'"
    with changed(suite, "shard-0", change.format(revision), change.format(newest)):
        (line,) = of(doctor(exit_code=exit_code), check="schema", status=status)
    assert line["part"] == "shard 0"
    assert newest in line["means"]


def test_a_server_without_writers(suite: Stack, doctor: Doctor) -> None:
    """A read-only server is no primary."""
    with changed(suite, "books", "SET GLOBAL read_only=ON", "SET GLOBAL read_only=OFF"):
        lines = of(doctor(exit_code=1), check="primary", status="fail")
    assert {line["part"] for line in lines} == {
        f"{name}'s database" for name in ("ledger", "notify", "edge")
    }


def test_a_fenced_shard(suite: Stack, doctor: Doctor) -> None:
    """Slots that are fenced can't be written to."""
    one = "UPDATE wallet_1.slots SET state={} WHERE slot=4095"
    with changed(suite, "shard-1", one.format(2), one.format(1)):
        (line,) = of(doctor(exit_code=1), check="identity", status="fail")
    assert line["found"] == "2047 of 2048 slots are active"


@contextmanager
def user(suite: Stack, name: str, *grants: str) -> Iterator[str]:
    """Make a user on shard 0 with these grants; return its url there."""
    suite.execute(
        "shard-0",
        f"CREATE USER {name}@'127.0.0.1' IDENTIFIED BY 'pw';"
        + "".join(f"GRANT {grant} TO {name}@'127.0.0.1';" for grant in grants),
    )
    try:
        yield f"mysql://{name}:pw@127.0.0.1:{suite.settings.shard_ports[0]}/wallet_0"
    finally:
        suite.execute("shard-0", f"DROP USER {name}@'127.0.0.1'")


NEEDED = "SELECT, INSERT, UPDATE, DELETE, ALTER, DROP ON `wallet\\_0`.*"


@pytest.mark.parametrize(
    ("grants", "status", "word"),
    [
        ((NEEDED,), "ok", "SELECT"),
        ((NEEDED.replace(", ALTER, DROP", ", DROP"),), "fail", "without ALTER"),
        ((NEEDED, "SELECT ON mysql.*"), "warn", "also on mysql"),
        ((NEEDED, "FILE, PROCESS ON *.*"), "warn", "FILE on all databases"),
    ],
)
def test_privileges(
    suite: Stack, doctor: Doctor, grants: tuple[str, ...], status: str, word: str
) -> None:
    """What is needed and no more is well; less fails, more is warned of."""
    with user(suite, "narrow", *grants) as url:
        found = doctor(exit_code=int(status == "fail"), WALLET_SHARD_0_URL=url)
    (line,) = of(found, part="shard 0", check="privileges")
    assert line["status"] == status
    assert line["found"].startswith(word)


@pytest.mark.parametrize(("seconds", "status"), [(5, "warn"), (3_600, "fail")])
def test_a_clock_that_is_wrong(suite: Stack, doctor: Doctor, seconds: int, status: str) -> None:
    """A database whose sessions are so much ahead; the server's own clock is this machine's."""
    ahead = f"SET GLOBAL init_connect='SET @@timestamp=UNIX_TIMESTAMP(SYSDATE(6))+{seconds}'"
    with (
        user(suite, "late", NEEDED) as url,
        changed(suite, "shard-0", ahead, "SET GLOBAL init_connect=''"),
    ):
        found = doctor(exit_code=int(status == "fail"), WALLET_SHARD_0_URL=url)
    (line,) = of(found, check="clock", status=status)
    assert line["part"] == "shard 0"
    assert abs(float(line["found"].split()[0]) - seconds) < 1


@pytest.mark.parametrize(
    ("setting", "wrong", "right", "check"),
    [
        ("appendonly", "no", "yes", "persistence"),
        ("appendfsync", "no", "everysec", "persistence"),
        ("maxmemory-policy", "allkeys-lru", "noeviction", "memory"),
    ],
)
def test_a_redis_that_forgets(
    suite: Stack, doctor: Doctor, setting: str, wrong: str, right: str, check: str
) -> None:
    """What it may lose is warned of."""
    with redis.Redis(port=suite.settings.redis_port) as client:
        client.config_set(setting, wrong)
        try:
            (line,) = of(doctor(), part="Redis of notify and edge", status="warn")
        finally:
            client.config_set(setting, right)
    assert line["check"] == check
    assert line["found"] == f"{setting} {wrong}"


def test_an_evicting_redis_that_is_bounded_fails(suite: Stack, doctor: Doctor) -> None:
    """With a limit it will evict one day."""
    with redis.Redis(port=suite.settings.redis_port) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", 10**9)
        try:
            (line,) = of(doctor(exit_code=1), status="fail")
        finally:
            client.config_set("maxmemory", 0)
            client.config_set("maxmemory-policy", "noeviction")
    assert line["check"] == "memory"


def test_without_variables_the_local_suite_is_looked_at(
    suite: Stack, addresses: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder and the variables of `make up` say where it is."""
    for name in os.environ:
        if name.startswith(("WALLET_", "LEDGER_", "NOTIFY_", "EDGE_", "FRONT_")):
            monkeypatch.delenv(name)
    settings = suite.settings
    ports: dict[str, Any] = {
        f"GUILDER_{name.upper()}": str(getattr(settings, name)) for name in settings.port_names()
    }
    ports["GUILDER_SHARD_PORTS"] = ",".join(map(str, settings.shard_ports))
    ports["GUILDER_RUN_DIR"] = str(settings.run_dir)
    result = CliRunner().invoke(app, ["doctor", "--json"], env={**addresses, **ports})
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["findings"]
    assert of(found, check="local suite", status="ok")
    assert of(found, part="shard 1", check="reach", status="ok")
    assert "WALLET_LISTEN" not in os.environ


def test_without_anything_only_the_services_are_asked(
    addresses: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it could not look at more."""
    result = CliRunner().invoke(
        app, ["doctor", "--json", "--run-dir", str(tmp_path)], env=addresses
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["findings"]
    assert of(found, part="configuration", status="warn")
    assert len(of(found, check="health", status="ok")) == 4
