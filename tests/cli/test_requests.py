"""What each command asks the services, and what it refuses to ask; without a suite."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from guilder.cli.app import app
from tests.cli.fake_suite import FakeSuite
from walletkit.errors import ServiceError

Run = Callable[..., Result]

EURO = {"currencyCode": "EUR", "amountMinor": "1250"}

TEXTS = ("--reference", "r", "--description", "d", "--metadata", "a=b")
SAID = {"reference": "r", "description": "d", "metadata": {"a": "b"}}
VERSION = ("--expected-version", "3")
WHY = ("--reason", "why")
BECAUSE = {"reason": "why"}
TIME = ("--effective-time", "2026-01-31T10:00:00+01:00")
AT = "2026-01-31T09:00:00Z"

CASES: list[tuple[str, str, tuple[str, ...], dict[str, Any]]] = [
    (
        "wallet create a EUR",
        "CreateWallet",
        ("--alias", "x", "--metadata", "a=b"),
        {"accountId": "a", "currencyCode": "EUR", "alias": "x", "metadata": {"a": "b"}},
    ),
    ("wallet update w", "UpdateWallet", VERSION, {"walletId": "w", "expectedVersion": "3"}),
    (
        "wallet freeze w",
        "FreezeWallet",
        ("--debits",),
        {"walletId": "w", "scope": "FREEZE_SCOPE_DEBITS"},
    ),
    (
        "wallet freeze w",
        "FreezeWallet",
        WHY,
        {"walletId": "w", "scope": "FREEZE_SCOPE_ALL", **BECAUSE},
    ),
    ("wallet unfreeze w", "UnfreezeWallet", WHY, {"walletId": "w", **BECAUSE}),
    (
        "wallet close w",
        "CloseWallet",
        (*VERSION, *WHY),
        {"walletId": "w", "expectedVersion": "3", **BECAUSE},
    ),
    (
        "account freeze a",
        "FreezeAccount",
        ("--debits", *WHY),
        {"accountId": "a", "scope": "FREEZE_SCOPE_DEBITS", **BECAUSE},
    ),
    ("account unfreeze a", "UnfreezeAccount", WHY, {"accountId": "a", **BECAUSE}),
    (
        "deposit alias:a/x 12.50 EUR",
        "Deposit",
        (*TEXTS, *VERSION, *TIME),
        {
            "walletId": "alias:a/x",
            "amount": EURO,
            "expectedVersion": "3",
            "effectiveTime": AT,
            **SAID,
        },
    ),
    (
        "withdraw w 1.2345 GOLDG",
        "Withdraw",
        (),
        {"walletId": "w", "amount": {"currencyCode": "GOLDG", "amountMinor": "12345"}},
    ),
    (
        "transfer w v 12.5 EUR",
        "Transfer",
        (),
        {"sourceWalletId": "w", "destinationWalletId": "v", "amount": EURO},
    ),
    (
        "authorize w 12.50 EUR",
        "Authorize",
        ("--to", "v", "--expire-time", "2026-01-31T09:00:00"),
        {"walletId": "w", "amount": EURO, "destinationWalletId": "v", "expireTime": AT},
    ),
    ("hold increment h 12.50 EUR", "IncrementHold", (), {"holdId": "h", "amount": EURO}),
    (
        "hold extend h",
        "ExtendHold",
        ("--expire-time", "2026-01-31T09:00:00Z"),
        {"holdId": "h", "expireTime": AT},
    ),
    (
        "capture h",
        "CaptureHold",
        ("--amount", "12.50 EUR", "--final", "--to", "v"),
        {"holdId": "h", "amount": EURO, "final": True, "destinationWalletId": "v"},
    ),
    ("hold capture h", "CaptureHold", (), {"holdId": "h"}),
    ("void h", "VoidHold", VERSION, {"holdId": "h", "expectedVersion": "3"}),
    (
        "reverse t",
        "ReverseTransaction",
        ("--amount", "12.50 EUR", "--reason", "why", "--actor", "who"),
        {"transactionId": "t", "amount": EURO, "reason": "why", "actor": "who"},
    ),
    (
        "post",
        "PostTransaction",
        (
            *("--posting", "alias:a/x>sys:fees:12.50 EUR", "--posting", "w > v:12.50 EUR"),
            *("--expected-version", "w=3"),
        ),
        {
            "postings": [
                {
                    "sourceWalletId": "alias:a/x",
                    "destinationWalletId": "sys:fees",
                    "amount": EURO,
                },
                {"sourceWalletId": "w", "destinationWalletId": "v", "amount": EURO},
            ],
            "expectedVersions": {"w": "3"},
        },
    ),
    (
        "wallet limits set w",
        "SetWalletLimits",
        (
            *("--overdraft", "100", "--min", "0", "--max", "500.5", "--max-transaction", "12.50"),
            *("--over-capture", "20", "--velocity", "day:debits:1000.00:5", *WHY),
            *("--velocity", "month:net-debits:10", "--velocity", "hour:credits::7"),
        ),
        {
            "walletId": "w",
            **BECAUSE,
            "limits": {
                "overdraftLimitMinor": "10000",
                "minBalanceMinor": "0",
                "maxBalanceMinor": "50050",
                "maxTransactionMinor": "1250",
                "overCapturePercent": 20,
                "velocity": [
                    {
                        "window": "VELOCITY_WINDOW_DAY",
                        "basis": "VELOCITY_BASIS_DEBITS",
                        "maxAmountMinor": "100000",
                        "maxCount": "5",
                    },
                    {
                        "window": "VELOCITY_WINDOW_MONTH",
                        "basis": "VELOCITY_BASIS_NET_DEBITS",
                        "maxAmountMinor": "1000",
                    },
                    {
                        "window": "VELOCITY_WINDOW_HOUR",
                        "basis": "VELOCITY_BASIS_CREDITS",
                        "maxCount": "7",
                    },
                ],
            },
        },
    ),
    (
        "account limits set a GOLDG",
        "SetAccountLimits",
        ("--max-transaction", "1.5", *WHY),
        {
            "accountId": "a",
            "currencyCode": "GOLDG",
            "limits": {"maxTransactionMinor": "15000"},
            **BECAUSE,
        },
    ),
    (
        "assets register SILVER 3",
        "RegisterAsset",
        WHY,
        {"currencyCode": "SILVER", "exponent": 3, **BECAUSE},
    ),
]


@pytest.mark.parametrize(("words", "method", "options", "wanted"), CASES)
def test_a_change_asks_for_what_it_says(
    fake: FakeSuite,
    run: Run,
    words: str,
    method: str,
    options: tuple[str, ...],
    wanted: dict[str, Any],
) -> None:
    """Each change sends its fields, its key, and with --dry-run asks only what it would do."""
    command = (*words.split(), *options)
    assert run(*command, "--key", "k").exit_code == 0
    dry = run(*command, "--dry-run", "--json")
    assert dry.exit_code == 0, dry.output
    assert isinstance(json.loads(dry.stdout), dict)
    assert fake.requests(method) == [wanted, {**wanted, "validateOnly": True}]
    keys = [request["idempotencyKey"] for name, request in fake.asked if name == method]
    assert keys[0] == "k"
    assert len(keys[1]) == len("01a204bb-1931-72b2-aa47-8ac2230edfb1")


READS: list[tuple[str, str, dict[str, Any]]] = [
    ("wallet show w", "GetWallet", {"walletId": "w"}),
    ("wallet balance w", "GetBalance", {"walletId": "w"}),
    ("wallet list a", "ListWallets", {"accountId": "a", "pageSize": 200}),
    ("account wallets a --limit 7", "ListWallets", {"accountId": "a", "pageSize": 7}),
    ("wallet limits show w", "GetWalletLimits", {"walletId": "w"}),
    (
        "account limits show a EUR",
        "GetAccountLimits",
        {"accountId": "a", "currencyCode": "EUR"},
    ),
    ("hold show h", "GetHold", {"holdId": "h"}),
    (
        "hold list w --state voided",
        "ListHolds",
        {"walletId": "w", "state": "HOLD_STATE_VOIDED", "pageSize": 50},
    ),
    ("transaction show t", "GetTransaction", {"transactionId": "t"}),
    ("transaction family t", "GetTransactionFamily", {"id": "t"}),
    (
        (
            "transaction list --account a --reference r --metadata k=v --type capture"
            " --type posting --state returned --from 2026-01-31T09:00:00 --to 2026-02-01"
        ),
        "ListTransactions",
        {
            "accountId": "a",
            "reference": "r",
            "metadataKey": "k",
            "metadataValue": "v",
            "types": ["TRANSACTION_TYPE_CAPTURE", "TRANSACTION_TYPE_POSTING"],
            "states": ["TRANSACTION_STATE_RETURNED"],
            "startTime": AT,
            "endTime": "2026-02-01T00:00:00Z",
            "pageSize": 50,
        },
    ),
    ("entries alias:a/x", "ListEntries", {"walletId": "w-1", "pageSize": 50}),
    ("audit list", "ListAuditEvents", {"pageSize": 50}),
    ("assets list", "ListAssets", {}),
    ("books chart", "GetChartOfAccounts", {}),
    (
        "books balance alias:a/x --effective-at 2026-01-31T09:00:00",
        "GetBalance",
        {"walletId": "w-1", "atEffectiveTime": AT},
    ),
    ("reconcile --shard 1", "Reconcile", {"shard": 1}),
]


@pytest.mark.parametrize(("words", "method", "wanted"), READS)
def test_a_read_asks_for_what_it_says(
    fake: FakeSuite, run: Run, words: str, method: str, wanted: dict[str, Any]
) -> None:
    """Each read sends its filters, and shows even an empty answer, as a table and as JSON."""
    for option in ((), ("--json",)):
        result = run(*words.split(), *option)
        assert result.exit_code == 0, result.output
        assert fake.requests(method)[-1] == wanted
        assert not option or isinstance(json.loads(result.stdout), dict)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("deposit w 12.50", "12.50 EUR"),
        ("deposit w 12,50 EUR", "plain decimal"),
        ("deposit w 1e2 EUR", "plain decimal"),
        ("deposit w 1.23456 GOLDG", "at most 4 digits"),
        ("deposit w 1 NOPE", "unknown currency"),
        ("deposit w 1 EUR --effective-time yesterday", "--effective-time"),
        ("capture h --amount 5", "'--amount'"),
        ("hold extend h", "--expire-time"),
        ("hold list w --state gone", "--state"),
        ("post", "--posting"),
        ("post --posting a>b", "SOURCE>DEST:AMOUNT"),
        ("post --posting a:1.00EUR", "SOURCE>DEST:AMOUNT"),
        ("post --posting a>b:1 --expected-version a=x", "a version is a number"),
        ("transaction list", "--wallet"),
        ("transaction list --type bribe --wallet w", "--type"),
        ("wallet limits set w --velocity week:debits:1", "hour, day, month"),
        ("wallet limits set w --velocity day:debits", "WINDOW:BASIS:AMOUNT"),
        ("wallet limits set w --velocity day:debits:1:x", "a count is a number"),
        ("wallet limits set w --max 1.234", "at most 2 digits"),
        ("wallet limits set w --over-capture 101", "--over-capture"),
        ("account limits set a NOPE", "unknown currency"),
        ("books balance w --at 2026-01-01 --effective-at 2026-01-01", "--effective-at"),
        ("assets register X 9", "DECIMALS"),
    ],
)
def test_what_is_malformed_is_never_sent(run: Run, fake: FakeSuite, words: str, text: str) -> None:
    """Exit code 2, with the option and its rule; no change was asked for."""
    result = run(*words.split())
    assert (result.exit_code, text in result.stderr) == (2, True), result.output
    assert {name for name, _ in fake.asked} <= {"ListAssets", "GetWallet"}


@pytest.mark.parametrize(
    ("reason", "exit_code", "text"),
    [
        ("VELOCITY_LIMIT", 1, "VELOCITY_LIMIT: no"),
        ("VERSION_MISMATCH", 1, "Read it and decide again, with a fresh key."),
        ("IDEMPOTENCY_KEY_REUSED", 1, "Use a fresh key."),
        ("INVALID_FIELD", 2, "INVALID_FIELD: no"),
        ("OVERLOADED", 3, "Run the same command again with --key k"),
        ("OUTCOME_UNKNOWN", 3, "Retry with the same key"),
        ("INTERNAL", 1, "request id"),
    ],
)
def test_errors_say_what_to_do(
    run: Run, fake: FakeSuite, reason: str, exit_code: int, text: str
) -> None:
    """Every error has its exit code, its reason, what can be done, and never a traceback."""
    fake.answers["Deposit"] = ServiceError(reason, "no", {"limit": "day"})
    result = run("deposit", "w", "1", "EUR", "--key", "k")
    assert (result.exit_code, text in result.stderr) == (exit_code, True), result.output
    assert "Traceback" not in result.output
    shown = json.loads(run("deposit", "w", "1", "EUR", "--key", "k", "--json").stdout)
    assert (shown["error"]["reason"], shown["error"]["idempotencyKey"]) == (reason, "k")
    dry = run("deposit", "w", "1", "EUR", "--key", "k", "--dry-run")
    assert "--key k" not in dry.stderr


def test_postings_out_of_a_file(run: Run, fake: FakeSuite, tmp_path: Path) -> None:
    """A JSON list, amounts as text or as the API has them; those of the command line follow."""
    path = tmp_path / "postings.json"
    first = {"sourceWalletId": "w", "destinationWalletId": "v", "amount": "12.50 EUR"}
    path.write_text(json.dumps([first, {**first, "amount": EURO}]))
    assert run("post", "--file", str(path), "--posting", "w>v:12.50 EUR").exit_code == 0
    (request,) = fake.requests("PostTransaction")
    assert request["postings"] == [{**first, "amount": EURO}] * 3
    for text, rule in (
        ("{", "malformed JSON"),
        ("3", "must be a JSON list"),
        ('[{"sourceWalletId": "w", "amount": 12.5}]', "amount"),
        ('[{"wallet": "w"}]', "wallet"),
        ('[{"amount": "1"}]', "12.50 EUR"),
    ):
        path.write_text(text)
        result = run("post", "--file", str(path))
        assert (result.exit_code, rule in result.stderr) == (2, True), result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(shell: str) -> None:
    """--show-completion prints what the shell is to read."""
    result = CliRunner().invoke(app, ["--show-completion", shell], prog_name="guilder")
    assert result.exit_code == 0, result.output
    assert "_GUILDER_COMPLETE" in result.stdout


def test_completion_knows_the_commands() -> None:
    """What the script asks the program for: the commands that begin so."""
    environment = {
        "_GUILDER_COMPLETE": "complete_bash",
        "COMP_WORDS": "guilder hold ca",
        "COMP_CWORD": "2",
    }
    result = CliRunner().invoke(app, [], prog_name="guilder", env=environment)
    assert result.stdout.split() == ["capture"]
