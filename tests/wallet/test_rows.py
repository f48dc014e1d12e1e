"""Rows from templates are those that the one builder of literals writes, and refuse the same."""

from operator import attrgetter, itemgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.domain.batch import Balance, Changes, Decided, NewLeg, NewTransaction
from wallet.domain.commands import Intent, Transfer
from wallet.domain.kinds import (
    RETURN_LEG,
    LegResult,
    TransactionState,
    TransactionType,
    WalletStatus,
)
from wallet.domain.outcome import Expired
from wallet.store.rows import (
    balance_selects,
    idem_rows,
    inbox_rows,
    intent_rows,
    outcome_rows,
    transaction_rows,
)
from walletkit.ids import slot_of
from walletkit.sql.literals import literal, row

NOW = b"2026-01-02 03:04:05.000006"
ids = st.binary(min_size=16, max_size=16)
opaque = st.binary(max_size=40)
numbers = st.integers(min_value=-(2**63), max_value=2**63 - 1)
commands = st.builds(
    Transfer,
    ref=ids,
    slot=numbers,
    type=st.sampled_from(TransactionType),
    source=ids,
    destination=ids,
    currency=st.text("ABC'\\;-", max_size=12),
    amount=numbers,
    reference=opaque,
    opaque=opaque,
    expected_version=numbers,
    key_hash=ids,
    fingerprint=opaque,
)
intents = st.builds(
    Intent,
    tx_id=ids,
    leg=st.integers(min_value=0, max_value=255),
    source=ids,
    destination=ids,
    currency=st.text("ABC'\\;-", max_size=12),
    amount=numbers,
    legs=numbers,
    effective_us=numbers,
)
balances = st.builds(
    Balance,
    currency=st.just("EUR"),
    posted=numbers,
    held=numbers,
    overdraft_limit=numbers,
    status=st.sampled_from(WalletStatus),
    version=numbers,
)


def written(table: list[tuple[Any, ...]]) -> list[str]:
    """Write rows value by value, by primary key."""
    return [row([int(v) if isinstance(v, int) else v for v in one]) for one in sorted(table)]


def changes_of(made: list[Transfer], kept: bytes = b"") -> Changes:
    """Return the changes of a batch that makes transactions."""
    state = TransactionState.COMPLETED
    return Changes(
        transactions=[NewTransaction(c, state, c.source, c.destination, (), ()) for c in made],
        # What was decided is told in no row, only the form in which it is kept.
        keys=[Decided(c, Expired(), kept) for c in made],  # type: ignore[arg-type]
    )


by_keys = (attrgetter("ref"), attrgetter("key_hash"))


@given(st.lists(commands, max_size=4, unique_by=by_keys), opaque, numbers)
def test_transactions_and_keys(made: list[Transfer], kept: bytes, day: int) -> None:
    """What every transfer writes has its values in their places, sorted by primary key."""
    changes = changes_of(made, kept)
    assert transaction_rows(changes, NOW) == written(
        [
            (
                *(c.ref, c.slot, c.type, TransactionState.COMPLETED, c.source, c.destination),
                *(c.currency.encode(), c.amount, NOW, c.reference, c.opaque),
            )
            for c in made
        ]
    )
    assert idem_rows(changes, day) == written([(c.key_hash, day, c.slot, c.ref) for c in made])
    assert outcome_rows(changes) == written([(c.ref, c.slot, c.fingerprint, kept) for c in made])


@given(st.lists(intents, max_size=4, unique_by=itemgetter(0, 1)))
def test_legs(opened: list[Intent]) -> None:
    """What a transfer to another shard writes, there and at home, has its values in their places.

    A return's slot is that of the wallet that could not be credited.
    """
    plain = [
        (
            *(one.tx_id, one.leg, slot_of(one.source if one.leg >= RETURN_LEG else one.tx_id)),
            *(one.source, one.destination, one.currency.encode(), one.amount),
        )
        for one in opened
    ]
    assert intent_rows(opened, full=False) == written(plain)
    full = [(*v, o.legs, o.effective_us) for v, o in zip(plain, opened, strict=True)]
    assert intent_rows(opened, full=True) == written(full)
    legs = [NewLeg(one, one.amount, LegResult.RETURNED, (), None) for one in opened]
    assert inbox_rows(legs) == written(
        [(one.tx_id, one.leg, one.amount, LegResult.RETURNED) for one in opened]
    )


@given(st.dictionaries(ids, balances, min_size=1, max_size=4))
def test_balances(touched: dict[bytes, Balance]) -> None:
    """The first SELECT of a derived table names its columns, and all are in the order of ids."""
    table = [
        [literal(w), *[literal(int(n)) for n in (b.posted, b.held, b.status, b.version)]]
        for w, b in sorted(touched.items(), key=itemgetter(0))
    ]
    table[0] = [f"{value} {name}" for value, name in zip(table[0], "aphsv", strict=True)]
    assert balance_selects(touched) == [f"SELECT {','.join(values)}" for values in table]


@pytest.mark.parametrize(
    "wrong",
    [{"amount": "1); DROP"}, {"slot": "7"}, {"reference": "x'"}, {"opaque": bytearray(b"x")}],
)
def test_nothing_else_is_written(wrong: dict[str, Any]) -> None:
    """A text in the place of a number or of bytes is refused, and so is what only looks like bytes.

    Whoever made it is at fault, but a caller's text must never get into a packet.
    """
    plain = Transfer(
        *(b"r" * 16, 1, TransactionType.TRANSFER, b"s" * 16, b"d" * 16, "EUR", 5, b"", b"", -1),
        *(b"k" * 16, b"f" * 33),
    )
    with pytest.raises(TypeError):
        transaction_rows(changes_of([plain._replace(**wrong)]), NOW)
