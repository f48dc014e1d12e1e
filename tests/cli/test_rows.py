"""Files to import: rows are read strictly, and each malformed one is named by line and rule."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guilder.cli.importing.rows import (
    COLUMNS,
    MAX_LINE_BYTES,
    FileRefusedError,
    Op,
    Sheet,
    read_sheet,
)

HEADER = ",".join(COLUMNS)
WALLETS = ("k1,create_wallet,a,alice,EUR,,,,,", "k2,create_wallet,b,bob,EUR,,,,,")


def sheet_of(folder: Path, *lines: str | bytes, header: str = HEADER) -> Sheet:
    """Write a CSV file and read it."""
    path = folder / "file.csv"
    raw = [line if isinstance(line, bytes) else line.encode() for line in (header, *lines)]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return read_sheet(path)


def problems(sheet: Sheet) -> dict[int, str]:
    """Return what is wrong, by line."""
    return {item.line: "; ".join(item.problems) for item in sheet.malformed}


def test_well_formed_rows(tmp_path: Path) -> None:
    """Each op is read with its columns; an absent expectation is OK."""
    sheet = sheet_of(
        tmp_path,
        *WALLETS,
        "k3,deposit,,,EUR,,a,12.50,ref 1,OK",
        "",
        "k4,transfer,,,EUR,a,b,1,,INSUFFICIENT_FUNDS",
        "k5,withdraw,,,EUR,b,,0.01,,",
    )
    assert not sheet.malformed
    assert [row.op for row in sheet.rows] == [
        *(Op.CREATE_WALLET, Op.CREATE_WALLET),
        *(Op.DEPOSIT, Op.TRANSFER, Op.WITHDRAW),
    ]
    assert [row.line for row in sheet.rows] == [2, 3, 4, 6, 7]
    assert [row.amount_minor for row in sheet.rows] == [0, 0, 1_250, 100, 1]
    assert [row.expect for row in sheet.rows] == ["OK"] * 3 + ["INSUFFICIENT_FUNDS", "OK"]
    assert sheet.rows[2].reference == "ref 1"


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("k9,deposit,,,EUR,,a,12.505,,", "amount: '12.505' EUR has at most 2 digits"),
        ("k9,deposit,,,EUR,,a,1e3,,", "amount: '1e3' must be a plain decimal"),
        ("k9,deposit,,,EUR,,a,-1,,", "amount: '-1' must be a plain decimal"),
        ("k9,deposit,,,EUR,,a,0,,", "amount: '0' must be from 0.01"),
        ("k9,deposit,,,EUR,,a,,,", "amount: is missing"),
        ("k9,deposit,,,ABC,,a,1,,", "currency: 'ABC' is not"),
        ("k9,deposit,,,,,a,1,,", "currency: is missing"),
        ("k9,deposit,,,EUR,a,,1,,", "source: must be empty in a deposit"),
        ("k9,deposit,,,EUR,,zz,1,,", "destination: no well-formed row above creates 'zz'"),
        ("k9,transfer,,,EUR,a,a,1,,", "destination: must not be the source"),
        ("k9,transfer,,,EUR,a,b,1,,NO_SUCH_REASON", "expect: 'NO_SUCH_REASON' is neither"),
        ("k9,fly,,,EUR,a,b,1,,", "op: must be one of"),
        (",deposit,,,EUR,,a,1,,", "key: must be 1 to 128"),
        ("ké,deposit,,,EUR,,a,1,,", "key: must be 1 to 128"),
        (f"{'k' * 129},deposit,,,EUR,,a,1,,", "key: must be 1 to 128"),
        ("k1,deposit,,,EUR,,a,1,,", "key: was used in line 2"),
        ("k9,create_wallet,a,alice,EUR,,,,,", "label: was created in line 2"),
        ("k9,create_wallet,c,al ice,EUR,,,,,", "account: must be 1 to 64"),
        ("k9,create_wallet,c d,alice,EUR,,,,,", "label: must be 1 to 64"),
        ("k9,create_wallet,c,alice,EUR,,,1,,", "amount: must be empty in a create_wallet"),
        (f"k9,deposit,,,EUR,,a,1,{'é' * 33},", "reference: must be at most 64 bytes"),
        ("k9,deposit,,,EUR,,a,1", "has 8 columns, and the header 10"),
        ('k9,deposit,,,EUR,,a,1,"open,', "is malformed CSV"),
        ("x" * (MAX_LINE_BYTES + 5), f"is longer than {MAX_LINE_BYTES} bytes"),
    ],
)
def test_a_malformed_row_is_named_and_the_rest_goes_on(
    tmp_path: Path, line: str, rule: str
) -> None:
    """The line number and the rule are told; the rows before and behind are there."""
    sheet = sheet_of(tmp_path, *WALLETS, line, "k8,deposit,,,EUR,,b,1,,")
    assert list(problems(sheet)) == [4]
    assert rule in problems(sheet)[4]
    assert [row.key for row in sheet.rows] == ["k1", "k2", "k8"]


def test_all_that_is_wrong_with_a_row_is_told(tmp_path: Path) -> None:
    """A row with several faults lists them all."""
    told = problems(sheet_of(tmp_path, "k1,transfer,x,,EUR,a a,,1.234,,"))[2]
    for rule in ("label: must be empty", "destination: is missing", "amount: ", "source: must be"):
        assert rule in told


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A line that is not UTF-8 is malformed by itself."""
    sheet = sheet_of(tmp_path, b"k1,deposit,\xff,,,,,,,", *WALLETS)
    assert problems(sheet) == {2: "is not UTF-8"}
    assert [row.line for row in sheet.rows] == [3, 4]


def test_a_row_that_needs_a_malformed_one_is_malformed(tmp_path: Path) -> None:
    """A wallet whose creation is malformed can't be used below."""
    sheet = sheet_of(tmp_path, "k1,create_wallet,a,alice,XXX,,,,,", "k2,deposit,,,EUR,,a,1,,")
    assert list(problems(sheet)) == [2, 3]


def test_windows_files(tmp_path: Path) -> None:
    """A byte order mark and CRLF are no fault."""
    path = tmp_path / "file.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join((HEADER, *WALLETS)).encode())
    sheet = read_sheet(path)
    assert [row.label for row in sheet.rows] == ["a", "b"]
    assert not sheet.malformed


@pytest.mark.parametrize("header", ["", "key,op,colour", "key,key,op", "op,amount", '"key,op'])
def test_a_header_that_says_nothing_refuses_the_file(tmp_path: Path, header: str) -> None:
    """Without known, unique columns no row can be read."""
    with pytest.raises(FileRefusedError):
        sheet_of(tmp_path, header=header)


def test_columns_in_any_order(tmp_path: Path) -> None:
    """The header's order counts, and columns that no row needs may be absent."""
    sheet = sheet_of(
        tmp_path,
        "EUR,alice,a,create_wallet,k1",
        header="currency,account,label,op,key",
    )
    assert sheet.rows[0].account == "alice"


def test_jsonl(tmp_path: Path) -> None:
    """JSONL has the same names; values are strings, amounts too, so that no float comes in."""
    rows = [
        json.dumps(
            {"key": "k1", "op": "create_wallet", "label": "a", "account": "x", "currency": "EUR"}
        ),
        json.dumps(
            {"key": "k2", "op": "deposit", "destination": "a", "amount": "1.10", "currency": "EUR"}
        ),
        json.dumps(
            {"key": "k3", "op": "deposit", "destination": "a", "amount": 1.1, "currency": "EUR"}
        ),
        '{"key": "k4", "key": "k5"}',
        "[1]",
        "{",
        '"text"',
        '{"colour": "red"}',
        "[" * 60_000,
    ]
    path = tmp_path / "file.jsonl"
    path.write_text("\n".join(rows))
    sheet = read_sheet(path)
    assert [row.amount_minor for row in sheet.rows] == [0, 110]
    told = problems(sheet)
    assert list(told) == [3, 4, 5, 6, 7, 8, 9]
    assert told[3] == "amount: must be a string, amounts too"
    assert told[5] == "must be a JSON object"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    """Whatever a line holds, each line behind the header is a row, malformed or blank."""
    path = tmp_path_factory.mktemp("any") / "file.csv"
    path.write_bytes(HEADER.encode() + b"\n" + raw)
    sheet = read_sheet(path)
    lines = raw.count(b"\n") + 1
    assert len(sheet.rows) + len(sheet.malformed) <= lines
