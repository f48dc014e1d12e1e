"""The whole suite as real processes, once for all tests here; each test finds all of it running."""

import os
import shutil
from collections.abc import Iterator

import pytest

from walletkit.stack import Stack, StackSettings

LONG = os.environ.get("GUILDER_LONG") == "1"


@pytest.fixture(scope="session")
def running_suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start databases, Redis, services and relay in a folder of their own."""
    folder = tmp_path_factory.mktemp("e2e")
    with Stack(StackSettings.for_tests(folder), tied=True) as stack:
        stack.up()
        yield stack
    for name in stack.databases:
        shutil.rmtree(folder / name, ignore_errors=True)


@pytest.fixture
def suite(running_suite: Stack) -> Stack:
    """Return the suite, with everything that an earlier test has ended started again."""
    running_suite.up()
    return running_suite
