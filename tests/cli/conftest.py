"""The whole suite, real, once for all tests of the command line; and the program, run on it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from guilder.cli.app import app
from guilder.wallet.v1.limits_pb2 import ListAssetsResponse
from guilder.wallet.v1.resources_pb2 import Asset, Wallet
from guilder.wallet.v1.wallet_service_pb2 import GetWalletResponse
from tests.cli.fake_suite import FakeSuite, serving
from walletkit.stack import Stack, StackSettings

GOLD = Asset(currency_code="GOLDG", exponent=4, registered=True)


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
        for name in ("wallet", "ledger", "notify", "edge")
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


@pytest.fixture
def fake() -> Iterator[FakeSuite]:
    """Serve a fake suite that knows a wallet in EUR and an asset of its own."""
    with serving() as suite:
        suite.answers["GetWallet"] = GetWalletResponse(
            wallet=Wallet(wallet_id="w-1", currency_code="EUR", exponent=2)
        )
        suite.answers["ListAssets"] = ListAssetsResponse(assets=[GOLD])
        yield suite


@pytest.fixture
def run(fake: FakeSuite) -> Callable[..., Result]:
    """Run the program on the fake."""
    environment = {**fake.environment, "COLUMNS": "200"}
    return lambda *arguments: CliRunner().invoke(app, arguments, env=environment)
