"""Labels: what a transaction can be found by. No I/O."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guilder.events.v1 import record_pb2 as events
from ledger.domain import label
from ledger.store.codec import MalformedRecordError, decode
from walletkit.ids import SystemKind, new_id, system_wallet_id


def test_a_label_is_a_hash_over_its_framed_parts() -> None:
    """It is kept in rows, so it must never change: each part with its length before it."""
    framed = b"\0\0\0\x09reference\0\0\0\x03one"
    assert label.reference_label(b"one") == hashlib.sha256(framed).digest()[:16]
    framed = b"\0\0\0\x08metadata\0\0\0\x01k\0\0\0\x02vv"
    assert label.metadata_label("k", "vv") == hashlib.sha256(framed).digest()[:16]
    framed = b"\0\0\0\x06family\0\0\0\x10" + bytes(16)
    assert label.family_label(bytes(16)) == hashlib.sha256(framed).digest()[:16]


TEXT = st.text(max_size=5)


@given(st.tuples(TEXT, TEXT), st.tuples(TEXT, TEXT))
def test_pairs_that_differ_have_other_labels(one: tuple[str, str], two: tuple[str, str]) -> None:
    """Wherever key ends and value begins."""
    assert (label.metadata_label(*one) == label.metadata_label(*two)) == (one == two)


def test_a_transaction_has_a_label_of_each_thing() -> None:
    """Reference first, then metadata by ascending key, then the family."""
    family = new_id(0)
    said = json.dumps({"d": "text", "m": {"b": "2", "a": "1"}}).encode()
    assert label.labels_of(b"ref", said, family) == [
        *(label.reference_label(b"ref"), label.metadata_label("a", "1")),
        *(label.metadata_label("b", "2"), label.family_label(family)),
    ]
    assert label.labels_of(b"", b"", b"") == []
    assert label.labels_of(b"", b'{"d":"text"}', b"") == []


def test_sixteen_pairs_of_metadata_are_found() -> None:
    """By ascending key; any further ones are only shown."""
    metadata = {f"key{n:02d}": "x" for n in reversed(range(20))}
    found = label.labels_of(b"", json.dumps({"m": metadata}).encode(), b"")
    assert found == [label.metadata_label(f"key{n:02d}", "x") for n in range(16)]


@pytest.mark.parametrize(
    "opaque",
    [
        *(b'{"m"', b'"m"', b'["m"]', b'{"m":3}', b'{"m":{"k":3}}', b'{"d":"\\"m\\""}'),
        *(b'\xff"m"', b'{"m":' + b"[" * 5_000, b'{"m":' + b"9" * 5_000 + b"}"),
    ],
)
def test_what_can_not_be_read_has_no_labels(opaque: bytes) -> None:
    """A caller's text never stops a shard's stream."""
    assert label.labels_of(b"", opaque, b"") == []


def test_half_a_character_has_a_label_too() -> None:
    """JSON can write a lone surrogate, which is no text."""
    assert len(label.labels_of(b"", b'{"m":{"k":"\\ud800"}}', b"")) == 1


def test_decoding_gives_each_label_its_place() -> None:
    """Place and id of the transaction that has it; effective times by place."""
    record = events.Record(version=1)
    first, second = new_id(0), new_id(0)
    record.transactions.add(transaction_id=first)
    record.transactions.add(transaction_id=second, reference=b"r", effective_time_us=-5)
    transit = events.Posting(
        source=system_wallet_id(SystemKind.TRANSIT, 0, "EUR"), destination=new_id(0), amount_minor=1
    )
    for effective_us in (0, 7):
        leg = record.landed_legs.add(transaction_id=new_id(1), effective_time_us=effective_us)
        leg.postings.append(transit)
    decoded = decode(record.SerializeToString())
    assert decoded.labels == [(label.reference_label(b"r"), 1, second)]
    assert decoded.effective == {1: -5, -2: 7}


@pytest.mark.parametrize(
    "transaction",
    [
        events.Transaction(transaction_id=b"short", reference=b"r"),
        events.Transaction(transaction_id=new_id(0), type=256),  # type: ignore[arg-type]
    ],
)
def test_a_transaction_that_no_row_can_hold_is_refused(transaction: events.Transaction) -> None:
    """Before anything is asked of the database: a column would pad or cut it."""
    record = events.Record(version=1, transactions=[transaction])
    with pytest.raises(MalformedRecordError):
        decode(record.SerializeToString())


@pytest.mark.parametrize("field", ["hold_id", "wallet_id"])
def test_a_hold_without_whole_ids_is_refused(field: str) -> None:
    """As every other id."""
    change = events.HoldChange(hold_id=new_id(0), wallet_id=new_id(0))
    setattr(change, field, b"short")
    record = events.Record(version=1, hold_changes=[change])
    with pytest.raises(MalformedRecordError):
        decode(record.SerializeToString())
