"""The whole suite, real, once for all tests of the command line; and the program, run on it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from guilder.cli.app import app
from walletkit.stack import Stack, StackSettings


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run all services on databases of their own."""
    with Stack(StackSettings.for_tests(tmp_path_factory.mktemp("suite")), tied=True) as stack:
        stack.up()
        yield stack


@pytest.fixture(scope="session")
def addresses(suite: Stack) -> dict[str, str]:
    """Return the environment that leads the program to the suite."""
    return {
        f"GUILDER_{name.upper()}_ADDRESS": suite.address(name)
        for name in ("wallet", "ledger", "notify")
    }


@pytest.fixture
def cli(addresses: dict[str, str]) -> Callable[..., Result]:
    """Run the program within this process and return what it did."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments, env={**addresses, "COLUMNS": "200"})

    return run


@pytest.fixture
def cli_json(cli: Callable[..., Result]) -> Callable[..., Any]:
    """Run the program with --json; return its document, once it has left with exit code 0."""

    def run(*arguments: str) -> Any:  # noqa: ANN401 - any JSON
        result = cli(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


@pytest.fixture
def cli_lines(cli: Callable[..., Result]) -> Callable[..., list[Any]]:
    """Run the program with --json; return its JSON lines, once it has left with exit code 0."""

    def run(*arguments: str) -> list[Any]:
        result = cli(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    return run
