"""Holds, reversals, postings, limits, batches and books by the command line, on the real suite."""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from walletkit.stack import Stack

Cli = Callable[..., Result]
CliJson = Callable[..., Any]
CliLines = Callable[..., list[Any]]


@dataclass(frozen=True, slots=True)
class Payer:
    """Aliases of an account's wallets: euros with 100.00 in them, dollars, and one to pay."""

    account: str
    euros: str
    dollars: str
    shop: str


@pytest.fixture
def payer(cli_json: CliJson) -> Payer:
    """Create an account's wallets, and let some money in."""
    account = f"payer-{secrets.token_hex(4)}"
    for currency, alias in (("EUR", "euros"), ("USD", "dollars"), ("EUR", "shop")):
        made = cli_json("wallet", "create", account, currency, "--alias", alias)
        assert made["wallet"]["alias"] == alias
    payer = Payer(account, *(f"alias:{account}/{name}" for name in ("euros", "dollars", "shop")))
    cli_json("deposit", payer.euros, "100.00 EUR", "--effective-time", "2026-01-31")
    return payer


def posted(cli_json: CliJson, *wallets: str) -> list[str]:
    """Return what wallets hold."""
    return [cli_json("wallet", "balance", wallet)["postedMinor"] for wallet in wallets]


def test_holds(cli: Cli, cli_json: CliJson, payer: Payer) -> None:
    """Authorize, increment, extend, capture in part, void; then it is over, and says so."""
    made = cli_json("authorize", payer.euros, "40", "EUR", "--to", payer.shop)
    hold_id = made["hold"]["holdId"]
    assert made["balance"]["availableMinor"] == "6000"
    assert "50.00 EUR" in cli("hold", "increment", hold_id, "10 EUR").stdout
    until = "2027-01-31T10:00:00" if made["hold"]["expireTime"] < "2027" else "2028-01-31"
    later = cli_json("hold", "extend", hold_id, "--expire-time", until)
    assert later["hold"]["expireTime"].startswith(until)
    tried = cli("capture", hold_id, "--amount", "30.00 EUR", "--dry-run")
    assert "Dry run: nothing was changed." in tried.stdout
    captured = cli_json("capture", hold_id, "--amount", "30.00 EUR")
    assert captured["transaction"]["familyId"] == hold_id
    assert cli_json("hold", "show", hold_id)["openMinor"] == "2000"
    assert "voided" in cli("void", hold_id).stdout
    late = cli("hold", "capture", hold_id)
    assert (late.exit_code, "HOLD_VOIDED" in late.stderr) == (1, True)
    listed = cli_json("hold", "list", payer.euros, "--state", "voided")["holds"]
    assert [item["holdId"] for item in listed] == [hold_id]
    assert hold_id in cli("hold", "list", payer.euros).stdout
    assert posted(cli_json, payer.euros, payer.shop) == ["7000", "3000"]


def test_reversals_and_families(cli: Cli, cli_json: CliJson, payer: Payer) -> None:
    """A transfer is given back in parts, with reason and actor, and never more than it was."""
    moved = cli_json("transfer", payer.euros, payer.shop, "10.00 EUR", "--reference", "order-7")
    original = moved["transaction"]["transactionId"]
    why = ("--reason", "damaged", "--actor", "clerk")
    back = cli("reverse", original, "--amount", "4.00 EUR", *why)
    assert back.exit_code == 0, back.output
    assert "damaged" in back.stdout
    much = cli("reverse", original, "--amount", "7.00 EUR")
    assert (much.exit_code, "REVERSAL_EXCEEDS_ORIGINAL" in much.stderr) == (1, True)
    assert cli_json("reverse", original)["transaction"]["amount"]["amountMinor"] == "600"
    cli_json("verify", "--wait-lag", "20")
    family = cli_json("transaction", "family", original)["transactions"]
    assert [item["type"][17:] for item in family] == ["TRANSFER", "REVERSAL", "REVERSAL"]
    assert "reversal" in cli("transaction", "family", original).stdout
    found = cli_json(
        *("transaction", "list", "--wallet", payer.euros, "--reference", "order-7"),
        *("--type", "transfer", "--state", "completed"),
    )
    assert [item["deltaMinor"] for item in found["transactions"]] == ["-1000"]
    assert "order-7" in cli("transaction", "list", "--account", payer.account).stdout


def test_several_postings(cli: Cli, cli_json: CliJson, payer: Payer) -> None:
    """An exchange with its fee is one transaction, and each line is shown."""
    lines = (
        f"{payer.euros}>sys:exchange:20.00 EUR",
        f"sys:exchange>{payer.dollars}:23.00 USD",
        f"{payer.euros}>sys:fees:0.50 EUR",
    )
    options = [word for line in lines for word in ("--posting", line)]
    shown = cli("post", *options, "--key", "fx")
    assert shown.exit_code == 0, shown.output
    assert "23.00 USD" in shown.stdout
    again = cli_json("post", *options, "--key", "fx")
    assert (again["replayed"], len(again["transaction"]["postings"])) == (True, 3)
    assert posted(cli_json, payer.euros, payer.dollars) == ["7950", "2300"]


def test_limits_and_freezes(cli: Cli, cli_json: CliJson, payer: Payer) -> None:
    """Limits refuse and are shown with what is used; a frozen account pays nothing."""
    bounds = ("--overdraft", "10", "--velocity", "day:debits:30.00:5", "--over-capture", "20")
    assert "30.00" in cli("wallet", "limits", "set", payer.euros, *bounds).stdout
    cli_json("withdraw", payer.euros, "20", "EUR")
    over = cli("withdraw", payer.euros, "20", "EUR")
    assert (over.exit_code, "VELOCITY_LIMIT" in over.stderr) == (1, True)
    shown = cli("wallet", "limits", "show", payer.euros).stdout
    assert "debits in a day" in shown
    assert "20.00" in shown
    used = cli_json("wallet", "limits", "show", payer.euros)["usage"]
    assert "2000" in {item["debitMinor"] for item in used}
    account = payer.account
    assert cli_json("account", "limits", "set", account, "EUR", "--max-transaction", "5")["wallets"]
    assert "5.00" in cli("account", "limits", "show", account, "EUR").stdout
    assert "frozen: debits" in cli("account", "freeze", account, "--debits").stdout
    refused = cli("withdraw", payer.euros, "1", "EUR")
    assert (refused.exit_code, "FROZEN" in refused.stderr) == (1, True)
    frozen = {item["accountFreeze"] for item in cli_json("account", "wallets", account)["wallets"]}
    assert frozen == {"FREEZE_SCOPE_DEBITS"}
    assert cli_json("account", "unfreeze", account)["wallets"] == 3
    assert "debits frozen" in cli("wallet", "freeze", payer.shop, "--debits").stdout
    renamed = cli_json("wallet", "update", payer.euros, "--metadata", "a=b")
    assert renamed["wallet"]["metadata"] == {"a": "b"}


def test_assets(cli: Cli, cli_json: CliJson, payer: Payer) -> None:
    """A registered asset has decimals of its own, in amounts and in tables."""
    code = f"X{secrets.token_hex(3).upper()}"
    assert cli_json("assets", "register", code, "4")["asset"]["registered"]
    assert code in cli("assets", "list", "--registered").stdout
    taken = cli("assets", "register", code, "3")
    assert (taken.exit_code, "ASSET_EXISTS" in taken.stderr) == (1, True)
    cli_json("wallet", "create", payer.account, code, "--alias", "own")
    wallet = f"alias:{payer.account}/own"
    assert "1.2345" in cli("deposit", wallet, "1.2345", code).stdout
    assert posted(cli_json, wallet) == ["12345"]


def test_books(cli: Cli, cli_json: CliJson, cli_lines: CliLines, payer: Payer) -> None:
    """Trial balance, chart, balances at either time, statements by either, reconciliation."""
    cli_json("verify", "--wait-lag", "20")
    assert cli_json("books", "trial-balance")["balanced"]
    assert "Balanced" in cli("books", "trial-balance", "--at", "2026-01-01", "--shard", "0").stdout
    assert {item["name"] for item in cli_json("books", "chart")["accounts"]} >= {"customers"}
    assert "revenue" in cli("books", "chart").stdout
    counted = cli_json("books", "balance", payer.euros, "--effective-at", "2026-02-01")
    recorded = cli_json("books", "balance", payer.euros, "--at", "2026-02-01")
    assert (counted["postedMinor"], recorded["postedMinor"]) == ("10000", "0")
    assert "100.00" in cli("books", "balance", payer.euros).stdout
    period = ("--from", "2026-01-01", "--to", "2026-02-01")
    parts = cli_lines("statement", payer.euros, *period, "--basis", "effective")
    assert parts[-1]["footer"]["closingMinor"] == "10000"
    assert "100.00" in cli("entries", payer.euros).stdout
    assert cli_json("reconcile")["ok"]
    assert "shards and ledger agree" in cli("reconcile", "--shard", "1").stdout


def test_batches(cli: Cli, cli_json: CliJson, payer: Payer, tmp_path: Path) -> None:
    """Commands of a file stand each for itself, or with --atomic all or none; each once a key."""
    path = tmp_path / "batch.jsonl"
    commands = [
        {"deposit": {"walletId": payer.euros, "amount": "5.00 EUR"}},
        {"withdraw": {"walletId": payer.euros, "amount": "500.00 EUR"}},
        {"authorize": {"walletId": payer.euros, "amount": "1.00 EUR"}},
    ]
    path.write_text("\n".join(json.dumps(item) for item in commands))
    tried = cli("batch", str(path), "--dry-run")
    assert "2 would be done, 0 replayed, 1 declined (INSUFFICIENT_FUNDS)" in tried.stdout
    first = cli("batch", str(path), "--key", "b", "--json")
    assert first.exit_code == 1
    kinds = [next(iter(item)) for item in json.loads(first.stdout)["results"]]
    assert kinds == ["deposit", "error", "authorize"]
    again = cli("batch", str(path), "--key", "b")
    assert "0 done, 2 replayed, 1 declined" in again.stdout
    assert "line 2: INSUFFICIENT_FUNDS" in again.stdout
    none = cli("batch", str(path), "--atomic")
    assert (none.exit_code, "failed_index = 1" in none.stderr) == (1, True)
    assert posted(cli_json, payer.euros) == ["10500"]
    path.write_text("\n".join(json.dumps(commands[n]) for n in (0, 2)))
    assert len(cli_json("batch", str(path), "--atomic")["results"]) == 2
    path.write_text('{"fly": {}}')
    wrong = cli("batch", str(path))
    assert (wrong.exit_code, "line 1" in wrong.stderr) == (2, True)


def test_tail(cli: Cli, cli_json: CliJson, cli_lines: CliLines, payer: Payer) -> None:
    """Events come a line each, by wallet and type, and go on behind a cursor."""
    cli_json("withdraw", payer.euros, "1.00 EUR")
    only = ("--wallet", payer.euros)
    events = cli_lines("tail", *only, "--from-cursor", "0", "--count", "3")
    assert [item["event"]["walletSequence"] for item in events] == ["1", "2", "3"]
    rest = ("--from-cursor", events[0]["cursor"], "--type", "transaction.posted", "--count", "2")
    shown = cli("tail", *only, *rest)
    assert ("+100.00 EUR" in shown.stdout, "-1.00 EUR" in shown.stdout) == (True, True)
    assert "Go on with --from-cursor" in shown.stderr
    assert cli("tail", "--from-cursor", "nonsense").exit_code in {1, 2}


@contextmanager
def tailing(addresses: dict[str, str], wallet: str) -> Iterator[subprocess.Popen[str]]:
    """Run a tail of a wallet from its beginning, as a program of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "guilder.cli", "tail", "--from-cursor", "0", "--wallet", wallet],
        env={**os.environ, **addresses},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_ends_a_tail(addresses: dict[str, str], payer: Payer) -> None:
    """Exit code 0, the cursor to go on from, and no traceback."""
    with tailing(addresses, payer.euros) as process:
        assert process.stdout is not None
        assert "wallet.created" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Go on with --from-cursor" in errors
    assert "Traceback" not in errors


def test_a_tail_outlives_notify(
    suite: Stack, addresses: dict[str, str], cli_json: CliJson, payer: Payer
) -> None:
    """Killed and started again, notify goes on behind the last event: none missed, none twice."""
    with tailing(addresses, payer.euros) as process:
        assert process.stdout is not None
        before = [process.stdout.readline() for _ in range(2)]
        suite.kill("notify")
        cli_json("withdraw", payer.euros, "1.00 EUR")
        suite.start("notify")
        cli_json("withdraw", payer.euros, "2.00 EUR")
        after = [process.stdout.readline() for _ in range(2)]
    assert ["#1" in before[0], "#2" in before[1]] == [True, True]
    assert ["-1.00 EUR" in after[0], "-2.00 EUR" in after[1]] == [True, True]
