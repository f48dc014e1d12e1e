"""Rows run side by side only where any order ends the same."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from guilder.cli.importing.order import make_plan
from guilder.cli.importing.rows import Op, Row

LABELS = "abcd"


@st.composite
def rows_of(draw: st.DrawFn) -> list[Row]:
    """Make a file: four wallets, then movements between them."""
    rows = [
        Row(line=number, key=f"c{number}", op=Op.CREATE_WALLET, currency="EUR", label=label)
        for number, label in enumerate(LABELS)
    ]
    for number in range(draw(st.integers(0, 12))):
        op = draw(st.sampled_from([Op.DEPOSIT, Op.WITHDRAW, Op.TRANSFER]))
        source, destination = draw(st.permutations(LABELS))[:2]
        rows.append(
            Row(
                line=number,
                key=f"m{number}",
                op=op,
                currency="EUR",
                source="" if op is Op.DEPOSIT else source,
                destination="" if op is Op.WITHDRAW else destination,
                amount_minor=draw(st.integers(1, 5)),
            )
        )
    return rows


def one_by_one(rows: list[Row]) -> dict[str, int]:
    """Return what the wallets hold after running the rows in the file's order."""
    held = dict.fromkeys(LABELS, 0)
    for row in rows:
        if row.source and held[row.source] < row.amount_minor:
            continue
        if row.source:
            held[row.source] -= row.amount_minor
        if row.destination:
            held[row.destination] += row.amount_minor
    return held


def side_by_side(rows: list[Row], random: Random) -> dict[str, int]:
    """Run rows by their plan in a random order; money lands at a random moment after its row."""
    plan = make_plan(rows)
    held = dict.fromkeys(LABELS, 0)
    waits_for = list(plan.waits_for)
    ready = [index for index, count in enumerate(waits_for) if count == 0]
    under_way: list[int] = []
    decided: list[int] = []

    def release(waiting: list[int]) -> None:
        for index in waiting:
            waits_for[index] -= 1
            if waits_for[index] == 0:
                ready.append(index)

    while ready or under_way:
        if under_way and (not ready or random.random() < 0.5):
            index = under_way.pop(random.randrange(len(under_way)))
            held[rows[index].destination] += rows[index].amount_minor
            release(plan.after_landing[index])
            continue
        index = ready.pop(random.randrange(len(ready)))
        row = rows[index]
        decided.append(index)
        release(plan.after_decision[index])
        if row.source and held[row.source] < row.amount_minor:
            release(plan.after_landing[index])
            continue
        if row.source:
            held[row.source] -= row.amount_minor
        if row.destination:
            under_way.append(index)
        else:
            release(plan.after_landing[index])
    assert sorted(decided) == list(range(len(rows)))
    return held


@given(rows_of(), st.randoms(use_true_random=False))
def test_every_order_that_the_plan_allows_ends_as_the_files(
    rows: list[Row], random: Random
) -> None:
    """Any run by the plan gives the balances of running the rows one by one."""
    assert side_by_side(rows, random) == one_by_one(rows)


@given(rows_of())
def test_credits_of_one_wallet_run_together(rows: list[Row]) -> None:
    """A row waits only for rows that share a wallet with it."""
    plan = make_plan(rows)
    for index, row in enumerate(rows):
        for waiting in plan.after_decision[index] + plan.after_landing[index]:
            assert {row.label, row.source, row.destination} & {
                rows[waiting].source,
                rows[waiting].destination,
            } - {""}


def test_deposits_do_not_wait_for_each_other() -> None:
    """Many credits of a wallet start at once, behind its creation."""
    rows = [Row(1, "c", Op.CREATE_WALLET, "EUR", label="a")]
    rows += [
        Row(number, f"d{number}", Op.DEPOSIT, "EUR", destination="a", amount_minor=1)
        for number in range(2, 10)
    ]
    assert make_plan(rows).waits_for == [0] + [1] * 8
