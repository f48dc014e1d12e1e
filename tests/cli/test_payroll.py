"""The example payroll is what its generator makes, and what the demo needs."""

from collections import Counter

from examples.make_payroll import render
from guilder.cli.importing.rows import Op, read_sheet
from tests.cli.payrolls import PAYROLL, one_by_one


def test_the_file_is_what_the_generator_makes() -> None:
    """The committed bytes come from the committed program."""
    assert PAYROLL.read_text(encoding="utf-8") == render()


def test_the_file_shows_what_the_suite_does() -> None:
    """At least 2,000 well-formed rows, three currencies, every op, and both kinds of decline."""
    sheet = read_sheet(PAYROLL)
    assert not sheet.malformed
    assert len(sheet.rows) >= 2_000
    assert {row.currency for row in sheet.rows} == {"EUR", "USD", "JPY"}
    assert {row.op for row in sheet.rows} == set(Op)
    expected = Counter(row.expect for row in sheet.rows)
    assert expected["INSUFFICIENT_FUNDS"] >= 20
    assert expected["CURRENCY_MISMATCH"] >= 20


def test_its_outcomes_are_those_of_its_rows() -> None:
    """Run one by one from nothing, each row ends as it says, and nobody ends below zero."""
    assert min(one_by_one(read_sheet(PAYROLL)).values()) >= 0
