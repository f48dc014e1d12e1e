"""Payrolls that nobody has imported: the example's rows under keys and accounts of their own."""

import csv
import secrets
from dataclasses import replace
from pathlib import Path

from guilder.cli.importing.rows import COLUMNS, Op, Row, Sheet, read_sheet

PAYROLL = Path(__file__).resolve().parents[2] / "examples" / "payroll.csv"


def fresh_payroll() -> Sheet:
    """Return the example payroll; its wallets and keys exist nowhere yet."""
    tag = secrets.token_hex(4)
    rows = read_sheet(PAYROLL).rows
    return Sheet([_renamed(row, tag) for row in rows])


def write(sheet: Sheet, path: Path) -> Path:
    """Write a sheet as CSV; amounts as they were in the example."""
    with PAYROLL.open(encoding="utf-8", newline="") as file:
        amounts = [record["amount"] for record in csv.DictReader(file)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row, amount in zip(sheet.rows, amounts, strict=True):
            values = {name: getattr(row, name) for name in COLUMNS if name != "amount"}
            writer.writerow([amount if name == "amount" else values[name] for name in COLUMNS])
    return path


def one_by_one(sheet: Sheet) -> dict[str, int]:
    """Return what the wallets hold after the rows that expect OK, and check that the others can't.

    The rows are run here, one by one, by the plainest model of money.
    """
    currency: dict[str, str] = {}
    held: dict[str, int] = {}
    for row in sheet.rows:
        if row.op is Op.CREATE_WALLET:
            currency[row.label], held[row.label] = row.currency, 0
            continue
        sides = [label for label in (row.source, row.destination) if label]
        if any(currency[label] != row.currency for label in sides):
            assert row.expect == "CURRENCY_MISMATCH"
        elif row.source and held[row.source] < row.amount_minor:
            assert row.expect == "INSUFFICIENT_FUNDS"
        else:
            assert row.expect == "OK"
            for label in sides:
                held[label] += row.amount_minor if label == row.destination else -row.amount_minor
    return held


def _renamed(row: Row, tag: str) -> Row:
    account = f"{tag}.{row.account}" if row.account else ""
    return replace(row, key=f"{tag}-{row.key}", account=account)
