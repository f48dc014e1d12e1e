"""The whole suite, Envoy before it, once for all tests here."""

import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.front.door import Door, opened
from walletkit.stack import Stack, StackSettings
from walletkit.stack.settings import LOOPBACK, free_ports


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start databases, Redis, services, relay and Envoy in a folder of their own."""
    folder = tmp_path_factory.mktemp("front")
    (port,) = free_ports(1)
    # Whoever wants to know collects there; by itself nothing is followed.
    traces = {"trace_address": f"{LOOPBACK}:{port}", "trace_ratio": 0.0}
    settings = StackSettings.for_tests(folder).model_copy(update=traces)
    with Stack(settings, tied=True) as stack:
        stack.up()
        yield stack
    for name in stack.databases:
        shutil.rmtree(folder / name, ignore_errors=True)


@pytest.fixture
def mended(suite: Stack) -> Iterator[Stack]:
    """Return the suite to a test that ends some of it; what it ended is started again."""
    yield suite
    suite.up()


@pytest_asyncio.fixture
async def door(suite: Stack) -> AsyncIterator[Door]:
    """Open a client at the suite's Envoy, who has every role."""
    async with opened(suite) as door:
        yield door
