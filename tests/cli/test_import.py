"""Imports move each row's money once, whatever interrupts them, and tell what surprises."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from typer.testing import Result

from guilder.cli.demo.tour import fingerprint, read_balances
from guilder.cli.importing.order import make_plan
from guilder.cli.importing.rows import COLUMNS, Sheet
from guilder.cli.importing.run import Run
from guilder.cli.importing.sheet import import_sheet
from guilder.client import Addresses, CallPolicy, Guilder
from tests.cli.payrolls import fresh_payroll, one_by_one, write
from walletkit.stack import Stack

HEADER = ",".join(COLUMNS)
OK_ROWS = 2_252
DECLINES = {"CURRENCY_MISMATCH": 20, "INSUFFICIENT_FUNDS": 40}


@pytest.fixture
async def guilder(suite: Stack) -> AsyncIterator[Guilder]:
    """Give a client of the suite."""
    addresses = Addresses(*(suite.address(name) for name in ("wallet", "ledger", "notify")))
    async with Guilder(addresses, CallPolicy(max_attempts=12)) as client:
        yield client


async def finish(guilder: Guilder, sheet: Sheet) -> dict[str, int]:
    """Import what is left of a sheet; return its wallets' balances by label."""
    report, wallet_ids = await import_sheet(guilder, sheet, as_json=True)
    assert report.ok, report
    balances = await read_balances(guilder, wallet_ids)
    return {label: item.posted_minor for label, item in balances.items()}


async def interrupt(guilder: Guilder, sheet: Sheet, after: int) -> None:
    """Import, and cancel everything at the moment when so many rows are decided."""
    decided = 0

    def count() -> None:
        nonlocal decided
        decided += 1
        if decided == after:
            running.cancel()

    run = Run(guilder.wallet, make_plan(sheet.rows), count)
    running = asyncio.create_task(run.finish())
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_twice_is_once(guilder: Guilder) -> None:
    """The second run of a file decides nothing anew, and leaves the same balances."""
    sheet = fresh_payroll()
    first, wallet_ids = await import_sheet(guilder, sheet, as_json=True)
    before = fingerprint(await read_balances(guilder, wallet_ids))
    again, same_ids = await import_sheet(guilder, sheet, as_json=True)
    assert (first.new, first.replayed, dict(first.declined)) == (OK_ROWS, 0, DECLINES)
    assert (again.new, again.replayed, dict(again.declined)) == (0, OK_ROWS, DECLINES)
    assert same_ids == wallet_ids
    assert fingerprint(await read_balances(guilder, wallet_ids)) == before


async def test_interrupted_at_any_moment_it_ends_the_same(guilder: Guilder) -> None:
    """Cut off again and again, a file ends at the balances of its rows run one by one."""
    sheet = fresh_payroll()
    for after in (300, 1_000, 1_700, 2_300):
        await interrupt(guilder, sheet, after)
    assert await finish(guilder, sheet) == one_by_one(sheet)


async def test_killed_wallet_service_does_not_change_the_end(
    guilder: Guilder, suite: Stack
) -> None:
    """With the wallet service killed in the middle, the import goes on when it is back."""
    sheet = fresh_payroll()
    moment = asyncio.Event()
    decided = 0

    def count() -> None:
        nonlocal decided
        decided += 1
        if decided == 1_000:
            moment.set()

    run = Run(guilder.wallet, make_plan(sheet.rows), count)
    running = asyncio.create_task(run.finish())
    await moment.wait()
    await asyncio.to_thread(suite.kill, "wallet")
    await asyncio.to_thread(suite.start, "wallet")
    await running
    assert await finish(guilder, sheet) == one_by_one(sheet)


async def first_wallet(guilder: Guilder, sheet: Sheet) -> None:
    """Wait until another process has created the first wallet of a sheet."""
    account = sheet.rows[0].account
    for _ in range(3_000):
        if [item async for item in guilder.wallet.list_wallets(account)]:
            return
        await asyncio.sleep(0.02)


async def test_ctrl_c_says_how_to_go_on(
    guilder: Guilder, addresses: dict[str, str], tmp_path: Path
) -> None:
    """Ctrl-C ends the program at once with exit code 130 and no traceback; again, it finishes."""
    sheet = fresh_payroll()
    path = write(sheet, tmp_path / "payroll.csv")
    program = [sys.executable, "-m", "guilder.cli", "import", str(path)]
    process = subprocess.Popen(  # noqa: ASYNC220 - starting is quick
        program, env={**os.environ, **addresses}, stderr=subprocess.PIPE, text=True
    )
    try:
        await first_wallet(guilder, sheet)
        process.send_signal(signal.SIGINT)
        _, errors = await asyncio.to_thread(process.communicate, timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Run it again to go on" in errors
    assert "Traceback" not in errors
    assert await finish(guilder, sheet) == one_by_one(sheet)


def test_malformed_rows_are_listed_and_the_rest_goes_on(
    cli: Callable[..., Result], tmp_path: Path
) -> None:
    """Exit code 1, each malformed row by its line, and every other row done."""
    lines = [
        "m1,create_wallet,a,malformed-test,EUR,,,,,",
        "m2,deposit,,,EUR,,a,1.005,,",
        "m3,deposit,,,EUR,,a,5.00,,",
        "m4,deposit,,,EUR,,b,5.00,,",
    ]
    path = tmp_path / "file.csv"
    path.write_text("\n".join([HEADER, *lines]))
    result = cli("import", str(path))
    assert result.exit_code == 1
    assert "line 3: amount: '1.005' EUR has at most 2 digits after the point" in result.stdout
    assert "line 5: destination: no well-formed row above creates 'b'" in result.stdout
    assert "2 new, 0 replayed" in result.stdout
    assert "2 malformed rows." in result.stdout


def test_declines_are_outcomes_and_surprises_are_not(
    cli: Callable[..., Result], tmp_path: Path
) -> None:
    """A decline that the file expects is exit code 0; one that it does not, or a pass, is 1."""
    expected = [
        "s1,create_wallet,a,surprise-test,EUR,,,,,",
        "s2,withdraw,,,EUR,a,,5.00,,INSUFFICIENT_FUNDS",
    ]
    path = tmp_path / "file.csv"
    path.write_text("\n".join([HEADER, *expected]))
    result = cli("import", str(path))
    assert result.exit_code == 0, result.output
    assert "1 declined (INSUFFICIENT_FUNDS)" in result.stdout
    surprising = [
        "s3,withdraw,,,EUR,a,,5.00,,",
        "s4,deposit,,,EUR,,a,5.00,,INSUFFICIENT_FUNDS",
    ]
    path.write_text("\n".join([HEADER, *expected, *surprising]))
    result = cli("import", str(path))
    assert result.exit_code == 1
    assert "line 4 (withdraw): expected OK, got INSUFFICIENT_FUNDS" in result.stdout
    assert "line 5 (deposit): expected INSUFFICIENT_FUNDS, got OK" in result.stdout


def test_a_changed_row_under_an_old_key_is_a_surprise(
    cli: Callable[..., Result], tmp_path: Path
) -> None:
    """A key that decided another amount moves nothing and is reported."""
    path = tmp_path / "file.csv"
    wallet = "c1,create_wallet,a,changed-test,EUR,,,,,"
    path.write_text(f"{HEADER}\n{wallet}\nc2,deposit,,,EUR,,a,5.00,,")
    assert cli("import", str(path)).exit_code == 0
    path.write_text(f"{HEADER}\n{wallet}\nc2,deposit,,,EUR,,a,6.00,,")
    result = cli("import", str(path))
    assert result.exit_code == 1
    assert "line 3 (deposit): expected OK, got IDEMPOTENCY_KEY_REUSED" in result.stdout


def test_rows_of_a_wallet_that_was_not_created_are_skipped(
    cli: Callable[..., Result], tmp_path: Path
) -> None:
    """When a wallet's key belongs to another wallet, nothing moves in its name."""
    path = tmp_path / "file.csv"
    path.write_text(f"{HEADER}\nn1,create_wallet,a,skip-test,EUR,,,,,")
    assert cli("import", str(path)).exit_code == 0
    rows = ["n1,create_wallet,a,skip-test,USD,,,,,", "n2,deposit,,,USD,,a,6.00,,"]
    path.write_text("\n".join([HEADER, *rows]))
    result = cli("import", str(path))
    assert result.exit_code == 1
    assert "line 2 (create_wallet): expected OK, got IDEMPOTENCY_KEY_REUSED" in result.stdout
    assert "line 3 (deposit): expected OK, got SKIPPED" in result.stdout


def test_a_file_that_is_no_table_is_a_usage_error(
    cli: Callable[..., Result], tmp_path: Path
) -> None:
    """Exit code 2 for a missing file and for one without header."""
    assert cli("import", str(tmp_path / "none.csv")).exit_code == 2
    (tmp_path / "file.csv").write_text("some,text\n")
    assert cli("import", str(tmp_path / "file.csv")).exit_code == 2
