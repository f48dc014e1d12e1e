"""The stack runner: starts real databases, survives their death, and harms nobody else's."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from walletkit.stack import Stack, StackError, StackSettings
from walletkit.stack.databases import specs as database_specs
from walletkit.stack.process import Identity, terminate
from walletkit.stack.services import environment

# One small server is enough to see how all are treated.
ONE = "redis"


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """Describe a suite of its own; nothing runs yet."""
    return Stack(StackSettings.for_tests(tmp_path), tied=True)


def state_of(stack: Stack, name: str) -> str:
    """Return what `make status` says of a process."""
    (row,) = [row for row in stack.status() if row.name == name]
    return row.state


def test_databases_are_durable_and_apart(databases: Stack) -> None:
    """Each shard is a server of its own with the settings that the money depends on."""
    rows = [
        databases.execute(
            name,
            "SELECT @@server_id, @@innodb_flush_log_at_trx_commit, @@sync_binlog, @@log_bin,"
            " @@binlog_format, @@binlog_row_image, @@tx_isolation, @@bind_address",
        ).split()
        for name in ("shard-0", "shard-1", "books")
    ]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    for row in rows:
        assert row[1:] == ["1", "1", "1", "ROW", "MINIMAL", "READ-COMMITTED", "127.0.0.1"]


def test_without_binlogs_services_are_told_that_they_may_serve(tmp_path: Path) -> None:
    """A suite without binlogs, for measuring, has none, and its services accept that."""
    settings = StackSettings.for_tests(tmp_path).model_copy(update={"binlog": False})
    for spec in database_specs(settings)[:-1]:
        assert "--skip-log-bin" in spec.argv
        assert not [option for option in spec.argv if option.startswith("--log-bin")]
    for service in ("WALLET", "LEDGER", "NOTIFY"):
        assert environment(settings)[f"{service}_ALLOW_WEAK_DURABILITY"] == "true"


def test_committed_rows_survive_a_kill(databases: Stack) -> None:
    """A shard that is killed comes back with what was committed."""
    databases.execute("shard-1", "CREATE DATABASE killed; CREATE TABLE killed.t (a INT)")
    databases.execute("shard-1", "INSERT INTO killed.t VALUES (7)")
    databases.kill("shard-1")
    assert state_of(databases, "shard-1") == "died"
    assert databases.start(*databases.databases) == ["shard-1"]
    assert databases.execute("shard-1", "SELECT a FROM killed.t").split() == ["7"]
    databases.execute("shard-1", "DROP DATABASE killed")


def test_starting_again_changes_nothing(stack: Stack) -> None:
    """A second start leaves a running process alone; a stop ends it, and a second one is quiet."""
    with stack:
        assert stack.start(ONE) == [ONE]
        before = stack.identity(ONE)
        assert stack.start(ONE) == []
        assert stack.identity(ONE) == before
        assert state_of(stack, ONE) == "ready"
        assert stack.stop() == [ONE]
        assert stack.stop() == []
        assert state_of(stack, ONE) == "stopped"


def test_another_runner_of_the_folder_finds_the_processes(stack: Stack) -> None:
    """`make status` and `make down` are processes of their own: the state file is enough."""
    with stack:
        stack.start(ONE)
        other = Stack(stack.settings)
        assert other.identity(ONE) == stack.identity(ONE)
        assert other.stop() == [ONE]
        assert not stack.is_running(ONE)


def test_a_taken_port_is_refused_with_the_setting_that_helps(stack: Stack) -> None:
    """Beside a stranger on its port nothing starts, and the stranger is left alone."""
    with socket.create_server(("127.0.0.1", stack.settings.redis_port)) as stranger:
        with pytest.raises(StackError, match=rf"{stranger.getsockname()[1]}.*GUILDER_REDIS_PORT"):
            stack.start(ONE)
        assert state_of(stack, ONE) == "stopped"


def test_a_failed_start_tells_the_log_and_leaves_nothing_running(stack: Stack) -> None:
    """When one process can't start, the message holds its log, and what was started is stopped."""
    data = stack.settings.run_dir / ONE
    data.mkdir()
    (data / "appendonlydir").write_text("a file where Redis needs a folder", encoding="utf-8")
    with pytest.raises(StackError, match=r"redis ended with exit code 1(?s:.)*appendonly"):
        stack.start("books", ONE)
    assert {row.state for row in stack.status()} == {"stopped"}


def test_an_envoy_that_can_not_start_says_why(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own words about what is wrong are in the message, and nothing is left running."""
    for name in ("CERT", "KEY"):
        monkeypatch.setenv(f"FRONT_TLS_{name}", str(stack.settings.run_dir / "none.pem"))
    with pytest.raises(StackError, match=r"envoy ended with exit code 1(?s:.)*none\.pem"):
        stack.start("envoy")
    assert state_of(stack, "envoy") == "stopped"


def test_envoy_that_can_not_be_configured_says_why(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that nobody may have is named before Envoy is started."""
    public = stack.settings.run_dir / "public"
    public.mkdir()
    (public / "secret.txt").touch()
    monkeypatch.setenv("FRONT_DOCUMENTS_DIR", str(public))
    with pytest.raises(StackError, match=r"envoy can't be configured(?s:.)*secret\.txt"):
        stack.start("envoy")


def test_envoy_answers_without_any_service(stack: Stack) -> None:
    """It is started, killed and found by name like every other process; its key is its owner's."""
    with stack:
        assert stack.start("envoy") == ["envoy"]
        assert state_of(stack, "envoy") == "ready"
        stack.kill("envoy")
        assert state_of(stack, "envoy") == "died"
        stack.restart("envoy")
        assert state_of(stack, "envoy") == "ready"
    key = stack.settings.run_dir / "auth" / "key.pem"
    assert key.stat().st_mode & 0o777 == 0o600


def test_an_unknown_name_is_refused(stack: Stack) -> None:
    """A misspelt process is an error, not a silent nothing."""
    with pytest.raises(StackError, match="shard-0"):
        stack.start("shard0")


def test_a_recycled_pid_is_never_hit() -> None:
    """A process that only has the pid of ours, not its birth, gets no signal."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        recorded = Identity(stranger.pid, "another boot/1")
        assert not recorded.is_alive()
        assert not recorded.send(signal.SIGKILL)
        assert stranger.poll() is None
        stranger.communicate(b"\n")
    assert stranger.returncode == 0


def test_a_process_that_ignores_sigterm_is_killed_after_the_bound() -> None:
    """Stopping never hangs on a process that won't go."""
    code = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        identity = Identity.of(stubborn.pid)
        assert identity is not None
        assert not terminate(identity, timeout_seconds=0.2)
    assert stubborn.returncode == -signal.SIGKILL


def test_a_tied_suite_ends_with_a_killed_test_run(tmp_path: Path) -> None:
    """Even SIGKILL of the program that started them leaves no process behind."""
    code = (
        "import os, pathlib; from walletkit.stack import Stack, StackSettings;"
        f"stack = Stack(StackSettings.for_tests(pathlib.Path({str(tmp_path)!r})), tied=True);"
        f"stack.start({ONE!r}); print(stack.identity({ONE!r}).pid, flush=True);"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while Identity.of(int(done.stdout)) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert Identity.of(int(done.stdout)) is None


def test_ports_of_shards_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comma-separated list gives the shards and their number; nonsense is refused."""
    monkeypatch.setenv("GUILDER_SHARD_PORTS", "21001,21002,21003")
    assert StackSettings().shard_ports == (21001, 21002, 21003)
    monkeypatch.setenv("GUILDER_SHARD_PORTS", "21001,99999")
    with pytest.raises(ValueError, match="shard_ports"):
        StackSettings()


def test_a_relative_folder_is_fixed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing the working folder later never moves the data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GUILDER_RUN_DIR", raising=False)
    assert StackSettings().run_dir == Path(os.path.realpath(tmp_path)) / ".run"
