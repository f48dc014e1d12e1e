"""`guilder verify` proves a clean suite, finds what is planted, and passes nothing unchecked."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from guilder.cli.app import app
from guilder.cli.importing.order import make_plan
from guilder.cli.importing.run import Run
from guilder.client import Addresses, Guilder
from tests.cli.payrolls import PAYROLL, fresh_payroll
from walletkit.stack import Stack

Cli = Callable[..., Result]
CliJson = Callable[..., Any]


@pytest.fixture(autouse=True, scope="module")
def some_money(addresses: dict[str, str]) -> None:
    """Let there be something to prove: transfers within and between shards."""
    result = CliRunner().invoke(app, ["import", str(PAYROLL)], env=addresses)
    assert result.exit_code == 0, result.output


@contextmanager
def planted(stack: Stack, name: str, change: str, undo: str) -> Iterator[None]:
    """Damage a database behind the suite's back, and mend it again."""
    stack.execute(name, change)
    try:
        yield
    finally:
        stack.execute(name, undo)


def test_a_clean_suite(cli: Cli, cli_json: CliJson) -> None:
    """Every invariant is OK, with what was looked at, once the ledger has caught up."""
    found = cli_json("verify", "--wait-lag", "30")
    assert found["ok"]
    assert {check["result"] for check in found["checks"]} == {"OK"}
    assert all(check["scope"] for check in found["checks"])
    shown = cli("verify")
    assert shown.exit_code == 0
    assert "Clean: every invariant holds" in shown.stdout


async def write(suite: Stack, done: threading.Event) -> int:
    """Import payrolls until told to stop; return how many rows were done."""
    addresses = Addresses(*(suite.address(name) for name in ("wallet", "ledger", "notify")))
    decided = 0

    def count() -> None:
        nonlocal decided
        decided += 1
        if done.is_set():
            running.cancel()

    async with Guilder(addresses) as guilder:
        while not done.is_set():
            run = Run(guilder.wallet, make_plan(fresh_payroll().rows), count)
            running = asyncio.create_task(run.finish())
            with suppress(asyncio.CancelledError):
                await running
    return decided


def test_while_traffic_flows(suite: Stack, cli_json: CliJson) -> None:
    """Running beside writes, it finds nothing: each comparison is of one moment."""
    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: asyncio.run(write(suite, done)))
        try:
            verdicts = [cli_json("verify") for _ in range(5)]
        finally:
            done.set()
        assert writing.result() > 0
    assert all(verdict["ok"] for verdict in verdicts)
    assert verdicts[0]["checks"][0]["scope"] != verdicts[-1]["checks"][0]["scope"]


def test_a_changed_balance_is_found(cli: Cli, suite: Stack) -> None:
    """A balance that no record gives: exit code 1, and wallet, shard and both amounts named."""
    table = "wallet_0.balances"
    wallet = suite.execute("shard-0", f"SELECT HEX(MIN(wallet_id)) FROM {table}").split()[-1]
    where = f"WHERE wallet_id=UNHEX('{wallet}')"
    with planted(
        suite,
        "shard-0",
        f"UPDATE {table} SET posted=posted+1 {where}",
        f"UPDATE {table} SET posted=posted-1 {where}",
    ):
        result = cli("verify", "--json")
        assert result.exit_code == 1
        found = json.loads(result.stdout)
        assert not found["ok"]
        failed = {check["invariant"] for check in found["checks"] if check["result"] == "FAIL"}
        assert failed == {"I1", "I7"}
        text = wallet.lower()
        named = [item for item in found["differences"] if "walletId" in item]
        assert [item["walletId"].replace("-", "") for item in named] == [text]
        assert int(named[0]["actual"]) - int(named[0]["expected"]) == 1
        shown = cli("verify").stdout
        assert "FAIL: 1" in shown
        assert "NOT clean" in shown
    assert cli("verify").exit_code == 0


def test_a_changed_byte_is_found(cli: Cli, suite: Stack) -> None:
    """A byte of a record that the ledger keeps: I9 fails at that record."""
    change = (
        "UPDATE ledger.records SET payload=INSERT(payload, 10, 1, "
        "CHAR(ASCII(SUBSTRING(payload, 10, 1)) ^ 1)) WHERE shard=1 AND seq=2"
    )
    with planted(suite, "books", change, change):
        result = cli("verify", "--json")
        assert result.exit_code == 1
        found = json.loads(result.stdout)
        hashes = [item for item in found["differences"] if item["invariant"] == "I9"]
        # Once for its hash, and once more where what is left can't be unpacked.
        assert {(item["shard"], item["seq"]) for item in hashes} == {(1, "2")}
    assert cli("verify").exit_code == 0


def test_a_ledger_that_is_away(cli: Cli, suite: Stack) -> None:
    """What can't be checked is no success: exit code 1, and each proof that is missing is named."""
    suite.stop("ledger")
    try:
        result = cli("verify")
        assert result.exit_code == 1
        assert "UNCHECKED" in result.stdout
        assert "not checked: I2, I10: legs between shards" in result.stdout
        assert "Traceback" not in result.output
    finally:
        suite.start("ledger")
