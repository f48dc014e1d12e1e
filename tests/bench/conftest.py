"""The whole suite, real, once for all benchmarks that are tried here, and wallets in it."""

import shutil
from collections.abc import Iterator

import pytest

from bench import suite as measured
from bench import wallets
from bench.ghz import GHZ
from walletkit.ids import SLOTS, format_id, new_id
from walletkit.stack import Stack, StackSettings

FUNDED = 40


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start databases, Redis, services and relay in a folder of their own."""
    folder = tmp_path_factory.mktemp("bench")
    with Stack(StackSettings.for_tests(folder), tied=True) as stack:
        stack.up()
        yield stack
    for name in stack.databases:
        shutil.rmtree(folder / name, ignore_errors=True)


@pytest.fixture(scope="session")
def accounts(suite: Stack) -> list[str]:
    """Fund some wallets, on both shards."""
    return wallets.fund(suite, FUNDED)


@pytest.fixture
def described(suite: Stack, accounts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands measure this suite, between these wallets."""
    monkeypatch.setattr(measured, "described", lambda: suite)
    monkeypatch.setattr(wallets, "fund", lambda _stack: accounts)


@pytest.fixture
def ghz() -> None:
    """Skip where the load generator is not installed."""
    if not GHZ.exists():
        pytest.skip("ghz is installed by `make tools`")


@pytest.fixture(scope="session")
def unmade() -> list[str]:
    """Return a thousand ids of wallets that exist nowhere, in slots all over the shards."""
    return [format_id(new_id(number * SLOTS // 1_000)) for number in range(1_000)]
