"""The MariaDB and Redis processes of the suite: command lines, and a first start's data folder."""

import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

from walletkit.stack import probes
from walletkit.stack.errors import StackError
from walletkit.stack.process import Spec, program
from walletkit.stack.settings import LOOPBACK, StackSettings

INSTALL_TIMEOUT_SECONDS = 120
BOOKS = "books"
REDIS = "redis"
REDIS_PROGRAM = "redis-server"


def shard_name(number: int) -> str:
    """Return the process name of a shard."""
    return f"shard-{number}"


def specs(settings: StackSettings) -> list[Spec]:
    """List the shards, the database of ledger and notify, and Redis."""
    shards = [
        _mariadb(settings, shard_name(number), port, "GUILDER_SHARD_PORTS", number + 1)
        for number, port in enumerate(settings.shard_ports)
    ]
    server_id = len(shards) + 1
    books = _mariadb(settings, BOOKS, settings.books_port, "GUILDER_BOOKS_PORT", server_id)
    return [*shards, books, _redis(settings)]


def _mariadb(
    settings: StackSettings, name: str, port: int, port_setting: str, server_id: int
) -> Spec:
    data = settings.run_dir / name
    return Spec(
        name=name,
        argv=("mariadbd", *_mariadb_options(settings, data, port, server_id)),
        executable=program("mariadbd"),
        folder=data,
        log=settings.run_dir / "log" / f"{name}.log",
        probe=partial(probes.database, port),
        port=port,
        port_setting=port_setting,
        prepare=partial(_prepare, data),
    )


def _mariadb_options(
    settings: StackSettings, data: Path, port: int, server_id: int
) -> tuple[str, ...]:
    """Return the settings a production shard has too, but for the sizes and the open root."""
    return (
        "--no-defaults",  # first, or the system's configuration is read
        *_as_root(),
        f"--datadir={data}",
        # Relative to the data folder: an absolute path may exceed a socket's 107 characters.
        "--socket=mariadbd.sock",
        f"--tmpdir={_scratch(data)}",
        "--pid-file=mariadbd.pid",
        f"--port={port}",
        f"--bind-address={LOOPBACK}",
        "--skip-name-resolve",
        f"--server-id={server_id}",
        # Durability and recovery.
        "--innodb-flush-log-at-trx-commit=1",
        "--innodb-flush-method=O_DIRECT",
        *_binlog(settings),
        # Behaviour.
        "--transaction-isolation=READ-COMMITTED",
        # A long IN list would be turned into a join that locks in list order, and deadlocks.
        "--in-predicate-conversion-threshold=0",
        "--character-set-server=utf8mb4",
        "--default-time-zone=+00:00",
        "--max-allowed-packet=64M",
        f"--max-connections={settings.max_connections}",
        # Sizes.
        f"--innodb-buffer-pool-size={settings.buffer_pool_mb}M",
        f"--innodb-log-file-size={settings.redo_log_mb}M",
        "--aria-pagecache-buffer-size=8M",
        "--key-buffer-size=1M",
        "--performance-schema=OFF",
        "--log-warnings=1",
    )


def _binlog(settings: StackSettings) -> tuple[str, ...]:
    if not settings.binlog:
        return ("--skip-log-bin",)
    return (
        "--log-bin=binlog",
        "--binlog-format=ROW",
        "--binlog-row-image=MINIMAL",
        "--binlog-annotate-row-events=OFF",
        "--sync-binlog=1",
        f"--max-binlog-size={settings.binlog_file_mb}M",
        f"--binlog-expire-logs-seconds={settings.binlog_expire_seconds}",
    )


def _as_root() -> tuple[str, ...]:
    """Say that root is meant: MariaDB refuses to run as root by mistake."""
    return ("--user=root",) if os.geteuid() == 0 else ()


def _scratch(data: Path) -> Path:
    """Return a server's own folder for temporary files: each deletes what it finds when it starts.

    In a shared one that would be the other servers' tables.
    """
    return data.with_name(f"{data.name}.tmp")


def _prepare(data: Path) -> None:
    """Make a data folder once; one that an interrupted first start left half made is redone."""
    _scratch(data).mkdir(parents=True, exist_ok=True)
    finished = data / "mysql_upgrade_info"
    if finished.exists():
        return
    partial_data = data.with_name(f"{data.name}.partial")
    shutil.rmtree(partial_data, ignore_errors=True)
    command = [
        program("mariadb-install-db"),
        "--no-defaults",
        *_as_root(),
        f"--datadir={partial_data}",
        f"--tmpdir={_scratch(data)}",
    ]
    command += ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
    command += ["--innodb-log-file-size=8M"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(
            f"{data.name}: mariadb-install-db failed with exit code {done.returncode}:\n"
            f"{done.stdout}{done.stderr}"
        )
    if data.exists():
        data.rmdir()
    partial_data.rename(data)


def _redis(settings: StackSettings) -> Spec:
    data = settings.run_dir / REDIS
    return Spec(
        name=REDIS,
        # Debian's redis-check-rdb is the server's binary under another name: called redis-server
        # it serves. The package redis-server would start a daemon that nobody asked for.
        argv=(
            REDIS_PROGRAM,
            *("--port", str(settings.redis_port), "--bind", LOOPBACK),
            *("--dir", str(data), "--appendonly", "yes", "--appendfsync", "everysec"),
            *("--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no"),
        ),
        executable=program(REDIS_PROGRAM, "redis-check-rdb"),
        folder=data,
        log=settings.run_dir / "log" / f"{REDIS}.log",
        probe=partial(probes.redis_server, settings.redis_port),
        port=settings.redis_port,
        port_setting="GUILDER_REDIS_PORT",
    )
