"""The commands behind `make up`, `make down`, `make status`: exit codes, and words for people."""

import os
import subprocess
import sys
from pathlib import Path

from walletkit.stack import StackSettings


def run(run_dir: Path, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a suite with ports of its own."""
    settings = StackSettings.for_tests(run_dir)
    environment = {
        **os.environ,
        "GUILDER_RUN_DIR": str(run_dir),
        "GUILDER_SHARD_PORTS": ",".join(map(str, settings.shard_ports)),
        "GUILDER_BOOKS_PORT": str(settings.books_port),
        "GUILDER_REDIS_PORT": str(settings.redis_port),
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-m", "walletkit.stack", command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_status_shows_every_process_and_fails_when_one_is_missing(tmp_path: Path) -> None:
    """A script can rely on the exit code, a person on the table."""
    done = run(tmp_path, "status")
    assert done.returncode == 1
    databases, services = "shard-0 shard-1 books redis", "ledger notify wallet edge relay envoy"
    for name in [*databases.split(), *services.split()]:
        assert name in done.stdout


def test_down_of_nothing_is_no_error(tmp_path: Path) -> None:
    """Stopping twice is fine."""
    done = run(tmp_path, "down")
    assert done.returncode == 0
    assert "nothing was running" in done.stdout


def test_a_malformed_setting_is_named(tmp_path: Path) -> None:
    """What is wrong is said by the variable's name, without a traceback."""
    done = run(tmp_path, "up", GUILDER_WALLET_PORT="high")
    assert done.returncode == 1
    assert "GUILDER_WALLET_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_given_twice_is_refused(tmp_path: Path) -> None:
    """Two processes on one port would be found out only after the first has started."""
    done = run(tmp_path, "up", GUILDER_BOOKS_PORT="23456", GUILDER_REDIS_PORT="23456")
    assert done.returncode == 1
    assert "23456" in done.stderr
