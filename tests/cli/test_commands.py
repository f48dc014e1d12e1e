"""The commands on the real suite: what they do, how errors look, and which exit code says what."""

import csv
import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from guilder.cli.app import app
from guilder.cli.session import EXIT_CODES
from walletkit.stack.settings import free_ports

Cli = Callable[..., Result]
CliJson = Callable[..., Any]
CliLines = Callable[..., list[Any]]
NOBODY = "01a204bb-1931-72b2-aa47-8ac2230edfb1"
"""A well-formed id that no wallet has."""


@pytest.fixture
def wallet(cli_json: CliJson) -> Callable[..., str]:
    """Create wallets and return their ids."""

    def create(currency: str = "EUR", account: str = "commands") -> str:
        wallet_id: str = cli_json("wallet", "create", account, currency)["wallet"]["walletId"]
        return wallet_id

    return create


def test_money_moves_and_is_seen(cli: Cli, cli_json: CliJson, wallet: Callable[..., str]) -> None:
    """Deposit, transfer and withdraw change balances, transactions and statements."""
    source, destination = wallet(), wallet(account="commands-2")
    cli_json("deposit", source, "12.50", "EUR", "--reference", "in")
    moved = cli_json("transfer", source, destination, "2.50", "EUR", "--metadata", "a=b")
    taken = cli_json("withdraw", source, "1", "EUR")
    assert moved["transaction"]["metadata"] == {"a": "b"}
    assert taken["balance"]["postedMinor"] == "900"
    balance = cli_json("wallet", "balance", source)
    assert (balance["postedMinor"], balance["exponent"]) == ("900", 2)
    found = cli_json("transaction", "show", moved["transaction"]["transactionId"])
    assert found["destinationWalletId"] == destination
    assert "2.50" in cli("wallet", "balance", destination).stdout
    listed = [item["walletId"] for item in cli_json("wallet", "list", "commands-2")["wallets"]]
    assert destination in listed


def test_statements_run_from_opening_to_closing(
    cli: Cli, cli_json: CliJson, cli_lines: CliLines, wallet: Callable[..., str]
) -> None:
    """A statement's lines lead from its opening to its closing balance, in every format."""
    wallet_id = wallet()
    for amount in ("1.00", "2.00", "3.00"):
        cli_json("deposit", wallet_id, amount, "EUR")
    cli_json("withdraw", wallet_id, "4.00", "EUR")
    cli_json("verify", "--wait-lag", "20")
    header, *lines, footer = cli_lines("statement", wallet_id)
    assert (header["header"]["openingMinor"], footer["footer"]["closingMinor"]) == ("0", "200")
    assert [item["line"]["balanceMinor"] for item in lines] == ["100", "300", "600", "200"]
    shown = cli("statement", wallet_id).stdout
    assert "opening balance" in shown
    assert "outside" in shown
    assert "4 entries" in shown
    rows = list(csv.DictReader(cli("statement", wallet_id, "--format", "csv").stdout.splitlines()))
    assert len(rows) == len(("opening", "debits", "credits", "closing", *lines))
    newest = cli_json("entries", wallet_id, "--limit", "2")["entries"]
    assert [item["postedAfterMinor"] for item in newest] == ["600", "200"]
    assert "no entries" in cli("entries", wallet_id, "--to", "2020-01-01").stdout
    past = cli_lines("statement", wallet_id, "--to", "2020-01-01", "--basis", "effective")
    assert past[-1]["footer"]["lineCount"] == "0"


def test_a_key_makes_a_command_safe_to_repeat(
    cli: Cli, cli_json: CliJson, wallet: Callable[..., str]
) -> None:
    """The same key again is a replay and says so; for another request it is an error."""
    wallet_id = wallet()
    first = cli_json("deposit", wallet_id, "1.00", "EUR", "--key", "k")
    again = cli_json("deposit", wallet_id, "1.00", "EUR", "--key", "k")
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert first["transaction"] == again["transaction"]
    shown = cli("deposit", wallet_id, "1.00", "EUR", "--key", "k")
    assert "Replayed" in shown.stdout
    other = cli("deposit", wallet_id, "2.00", "EUR", "--key", "k")
    assert other.exit_code == 1
    assert "IDEMPOTENCY_KEY_REUSED" in other.stderr


def test_wallets_freeze_and_close(cli: Cli, cli_json: CliJson, wallet: Callable[..., str]) -> None:
    """A frozen wallet moves nothing; an empty one closes for good."""
    wallet_id = wallet("JPY")
    assert "frozen" in cli("wallet", "freeze", wallet_id).stdout
    refused = cli("deposit", wallet_id, "1", "JPY")
    assert (refused.exit_code, "WALLET_FROZEN" in refused.stderr) == (1, True)
    assert cli_json("wallet", "unfreeze", wallet_id)["wallet"]["status"] == "WALLET_STATUS_ACTIVE"
    assert "closed" in cli("wallet", "close", wallet_id).stdout
    assert "closed" in cli("wallet", "show", wallet_id).stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "text"),
    [
        (("wallet", "show", "x"), 2, "wallet_id"),
        (("wallet", "show", NOBODY), 1, "WALLET_NOT_FOUND"),
        (("wallet", "create", "a b", "EUR"), 2, "account_id"),
        (("wallet", "create", "a", "EURO"), 2, "currency_code"),
        (("wallet", "create", "a", "EUR", "--key", ""), 2, "idempotency_key"),
        (("wallet", "create", "a", "EUR", "--metadata", "x"), 2, "NAME=VALUE"),
        (("deposit", NOBODY, "1.00", "EUR"), 1, "WALLET_NOT_FOUND"),
        (("deposit", NOBODY, "1.005", "EUR"), 2, "at most 2 digits"),
        (("deposit", NOBODY, "0", "EUR"), 2, "from 0.01"),
        (("deposit", NOBODY, "1", "XYZ"), 2, "unknown currency"),
        (("transfer", NOBODY, NOBODY, "1", "EUR"), 2, "destination_wallet_id"),
        (("deposit", NOBODY, "1", "EUR", "--reference", "x" * 65), 2, "reference"),
        (("transaction", "show", NOBODY), 1, "TRANSACTION_NOT_FOUND"),
        (("statement", NOBODY), 1, "WALLET_NOT_FOUND"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_errors_name_reason_and_field(
    cli: Cli, arguments: tuple[str, ...], exit_code: int, text: str
) -> None:
    """What is malformed is exit code 2 and names the field; the rest is 1 and names the reason."""
    result = cli(*arguments)
    assert result.exit_code == exit_code, result.output
    assert text in result.stderr
    assert "Traceback" not in result.output


def test_a_decline_shows_the_numbers(cli: Cli, wallet: Callable[..., str]) -> None:
    """Insufficient funds say what is available and what was needed, on stderr and in JSON."""
    wallet_id = wallet()
    result = cli("withdraw", wallet_id, "5.00", "EUR")
    assert result.exit_code == 1
    assert "required = 500" in result.stderr
    error = json.loads(cli("withdraw", wallet_id, "5.00", "EUR", "--json").stdout)["error"]
    assert (error["code"], error["reason"]) == ("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS")
    assert error["metadata"]["required"] == "500"
    assert error["idempotencyKey"]


def test_nobody_listens() -> None:
    """Exit code 3, the addresses, and the key to try again with."""
    (port,) = free_ports(1)
    env = {"GUILDER_WALLET_ADDRESS": f"127.0.0.1:{port}"}
    result = CliRunner().invoke(app, ["deposit", NOBODY, "1", "EUR", "--key", "mine"], env=env)
    assert result.exit_code == 3
    assert f"127.0.0.1:{port}" in result.stderr
    assert "--key mine" in result.stderr


def test_what_callers_wrote_drives_no_terminal(cli: Cli, wallet: Callable[..., str]) -> None:
    """Escape sequences and markup in references are shown, not obeyed."""
    wallet_id = wallet()
    result = cli("deposit", wallet_id, "1", "EUR", "--reference", "\x1b[2J[red]x[/red]")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "[red]x[/red]" in result.stdout


def test_help_tells_the_exit_codes() -> None:
    """Every --help ends with what the exit codes mean."""
    for command in ((), ("verify",), ("import",), ("deposit",), ("hold", "capture"), ("tail",)):
        result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "300"})
        assert EXIT_CODES in " ".join(result.stdout.split())
