"""`guilder import --dry-run` says what an import would do, row by row, and changes nothing."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from guilder.cli.importing.rows import COLUMNS
from tests.cli.payrolls import fresh_payroll, one_by_one, write

Cli = Callable[..., Result]
CliJson = Callable[..., Any]


@pytest.fixture
def account(cli_json: CliJson) -> str:
    """Create a wallet `main` in EUR of a fresh account, with 10.00 in it."""
    name = f"import-{secrets.token_hex(4)}"
    cli_json("wallet", "create", name, "EUR", "--alias", "main")
    cli_json("deposit", f"alias:{name}/main", "10.00", "EUR")
    return name


def rows_of(account: str) -> list[dict[str, str]]:
    """Return rows of every kind and fate, as JSONL has them."""
    main = f"alias:{account}/main"
    return [
        {"key": "1", "op": "create_wallet", "label": "a", "account": account, "currency": "EUR"},
        {"key": "2", "op": "transfer", "source": main, "destination": "a", "amount": "4.00"},
        {"key": "3", "op": "transfer", "source": "a", "destination": main, "amount": "1.50"},
        {"key": "4", "op": "withdraw", "source": main, "amount": "8.00"},
        {"key": "5", "op": "withdraw", "source": "a", "amount": "2.50"},
    ]


def written(path: Path, account: str) -> Path:
    """Write the rows with keys of this account; the fourth is meant to fail."""
    records = [
        {"currency": "EUR", **row, "key": f"{account}-{row['key']}"} for row in rows_of(account)
    ]
    records[3]["expect"] = "INSUFFICIENT_FUNDS"
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


def test_a_rehearsal_is_what_the_import_then_does(
    cli: Cli, cli_json: CliJson, account: str, tmp_path: Path
) -> None:
    """Rows, declines and balances of a JSONL file are foretold; afterwards all is done already."""
    path, main = written(tmp_path / "file.jsonl", account), f"alias:{account}/main"
    told = cli_json("import", str(path), "--dry-run")
    assert [row["result"] for row in told["rows"]] == ["OK", "OK", "OK", "INSUFFICIENT_FUNDS", "OK"]
    foretold = {item["name"]: (item["beforeMinor"], item["afterMinor"]) for item in told["wallets"]}
    assert foretold == {main: ("1000", "750"), "a": ("0", "0")}
    assert cli_json("wallet", "balance", main)["postedMinor"] == "1000"
    shown = cli("import", str(path), "--dry-run").stdout
    for text in ("Wallets that would change", "-2.50", "new", "Dry run: nothing was changed."):
        assert text in shown
    done = cli_json("import", str(path))
    assert (done["new"], done["declined"]) == (4, {"INSUFFICIENT_FUNDS": 1})
    assert cli_json("wallet", "balance", main)["postedMinor"] == "750"
    again = cli_json("import", str(path), "--dry-run")
    assert (again["new"], again["replayed"], again["declined"]) == (0, 4, {"INSUFFICIENT_FUNDS": 1})
    assert {item["beforeMinor"] == item["afterMinor"] for item in again["wallets"]} == {True}
    assert "No wallet would change." in cli("import", str(path), "--dry-run").stdout


def test_a_rehearsed_payroll_ends_as_foretold(cli_json: CliJson, tmp_path: Path) -> None:
    """All of the example: each row as it expects, each wallet as its rows run one by one."""
    sheet = fresh_payroll()
    told = cli_json("import", str(write(sheet, tmp_path / "payroll.csv")), "--dry-run")
    assert told["ok"]
    after = {item["name"]: int(item["afterMinor"]) for item in told["wallets"]}
    assert after == one_by_one(sheet)


def test_a_rehearsal_names_the_rule_that_refuses(
    cli: Cli, cli_json: CliJson, account: str, tmp_path: Path
) -> None:
    """The service's own rules are asked: frozen, unknown, another currency, a reused key."""
    main = f"alias:{account}/main"
    cli_json("deposit", main, "1.00", "EUR", "--key", f"{account}-r")
    cli_json("wallet", "freeze", main, "--debits")
    rows = [
        f"{account}-1,withdraw,,,EUR,{main},,1.00,,",
        f"{account}-2,deposit,,,USD,,{main},1.00,,",
        f"{account}-3,deposit,,,EUR,,alias:{account}/none,1.00,,",
        f"{account}-r,deposit,,,EUR,,{main},2.00,,",
        f"{account}-4,deposit,,,EUR,,{main},2.00,,",
    ]
    path = tmp_path / "file.csv"
    path.write_text("\n".join([",".join(COLUMNS), *rows]))
    result = cli("import", str(path), "--dry-run", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [row["result"] for row in told["rows"]] == [
        *("WALLET_FROZEN", "CURRENCY_MISMATCH", "WALLET_NOT_FOUND", "IDEMPOTENCY_KEY_REUSED", "OK")
    ]
    assert "expected OK, got WALLET_FROZEN" in cli("import", str(path), "--dry-run").stdout


def test_an_import_in_a_registered_asset(cli: Cli, cli_json: CliJson, tmp_path: Path) -> None:
    """A currency that ISO does not know is asked for; one that nobody knows is malformed."""
    code = f"Y{secrets.token_hex(3).upper()}"
    cli_json("assets", "register", code, "3")
    rows = [
        f"{code}-1,create_wallet,a,{code},{code},,,,,",
        f"{code}-2,deposit,,,{code},,a,1.234,,",
        f"{code}-3,deposit,,,NOPE,,a,1.234,,",
    ]
    path = tmp_path / "file.csv"
    path.write_text("\n".join([",".join(COLUMNS), *rows]))
    result = cli("import", str(path))
    assert (result.exit_code, "2 new, 0 replayed" in result.stdout) == (1, True), result.output
    assert "line 4: currency: 'NOPE'" in result.stdout
