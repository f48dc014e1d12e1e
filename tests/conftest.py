"""Fixtures for every rung: one set of real databases a run, and fresh names in them for each test.

They have free ports and a folder of their own, so that tests run beside `make up`, and they end
with the test run, however it ends.
"""

import secrets
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis

from walletkit.stack import Stack, StackSettings


@dataclass(frozen=True, slots=True)
class FreshDatabases:
    """URLs of databases that do not exist yet: what migrates creates them, the test's end drops."""

    shards: tuple[str, ...]
    ledger: str
    notify: str
    edge: str
    redis: str


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start: run in the background, they inherit that it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have to tell even though they passed: their property `report`."""
    for passed in terminalreporter.getreports("passed"):
        for name, text in passed.user_properties:
            if name == "report":
                terminalreporter.section(passed.nodeid)
                terminalreporter.write(str(text))


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run two shards, the books' database and Redis; a test that kills one starts it again."""
    folder = tmp_path_factory.mktemp("databases")
    with Stack(StackSettings.for_tests(folder), tied=True) as stack:
        stack.start(*stack.databases)
        yield stack
    for name in stack.databases:
        # The logs stay; the data would fill the disk after some runs.
        shutil.rmtree(folder / name, ignore_errors=True)


@pytest.fixture
def fresh_databases(databases: Stack) -> Iterator[FreshDatabases]:
    """Name databases of this test's own on the running servers, and empty Redis afterwards."""
    prefix = f"t{secrets.token_hex(6)}"
    shards = range(len(databases.settings.shard_ports))
    yield FreshDatabases(
        shards=tuple(databases.shard_url(n, f"{prefix}_wallet_{n}") for n in shards),
        ledger=databases.books_url(f"{prefix}_ledger"),
        notify=databases.books_url(f"{prefix}_notify"),
        edge=databases.books_url(f"{prefix}_edge"),
        redis=databases.redis_url,
    )
    databases.start(*databases.databases)
    for number in shards:
        databases.execute(f"shard-{number}", f"DROP DATABASE IF EXISTS {prefix}_wallet_{number}")
    for name in ("ledger", "notify", "edge"):
        databases.execute("books", f"DROP DATABASE IF EXISTS {prefix}_{name}")
    with redis.Redis(host="127.0.0.1", port=databases.settings.redis_port) as client:
        client.flushall()
