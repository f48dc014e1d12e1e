"""The one builder of SQL text writes digits and ``x'hex'``, and nothing that a caller chose."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walletkit.sql.literals import id_list, literal, row, rows

values = st.integers() | st.binary(max_size=40)
VALUE = re.compile(r"-?[0-9]+|x'(?:[0-9a-f]{2})*'")
ROW = re.compile(r"\((.*?)\)")


def read(text: str) -> int | bytes:
    """Read a literal back as the server does."""
    assert VALUE.fullmatch(text), text
    return bytes.fromhex(text[2:-1]) if text[0] == "x" else int(text)


@given(values)
def test_literal_reads_back(value: int | bytes) -> None:
    """What is written is one literal, of the same kind and value."""
    found = read(literal(value))
    assert (type(found), found) == (type(value), value)


@given(st.lists(st.lists(values, min_size=1, max_size=5), min_size=1, max_size=5))
def test_rows_read_back(table: list[list[int | bytes]]) -> None:
    """No value ends its row or begins another: split at the marks, the table is the same."""
    text = rows(table)
    assert re.fullmatch(r"[0-9a-fx'(),-]*", text)
    found = [[read(cell) for cell in line.split(",")] for line in ROW.findall(text)]
    assert found == table
    assert text == ",".join(row(line) for line in table)


@given(st.sets(st.binary(min_size=16, max_size=16), min_size=1))
def test_ids_are_written_ascending(ids: set[bytes]) -> None:
    """Locks are taken in the order of the list, so it is the same everywhere."""
    assert [read(cell) for cell in id_list(ids).split(",")] == sorted(ids)


class _Number(int):
    def __str__(self) -> str:
        return "1; DROP TABLE balances"


class _Bytes(bytes):
    def hex(self, *_args: object) -> str:
        return "'; DROP TABLE balances; --"


@pytest.mark.parametrize(
    "value", ["1", "x' OR 1=1 --", 1.5, None, True, bytearray(b"x"), memoryview(b"x"), (1,)]
)
@pytest.mark.parametrize("write", [literal, lambda value: row([value])])
def test_nothing_else_is_written(value: object, write: Callable[[object], str]) -> None:
    """Text, floats, booleans and what looks like bytes are refused, never quoted."""
    with pytest.raises(TypeError):
        write(value)


@pytest.mark.parametrize("value", [_Number(1), _Bytes(b"x")])
def test_subclasses_are_refused(value: int | bytes) -> None:
    """A subclass may write itself as it likes: only the very types pass."""
    with pytest.raises(TypeError):
        literal(value)
