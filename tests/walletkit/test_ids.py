"""Ids carry their slot and time, and have one text form."""

import hashlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walletkit import ids
from walletkit.ids import SystemKind

slots = st.integers(0, ids.SLOTS - 1)
CANONICAL = "018bcfe5-6800-7007-8000-000000000001"


@given(slots)
def test_new_id_carries_slot_and_time(slot: int) -> None:
    """A fresh id is a UUIDv7 of this moment with the slot in ``rand_a``."""
    before_ms = time.time_ns() // 1_000_000
    id_ = ids.new_id(slot)
    assert ids.slot_of(id_) == slot
    assert before_ms <= ids.time_ms_of(id_) <= time.time_ns() // 1_000_000
    assert (id_[6] >> 4, id_[8] >> 6) == (7, 0b10)
    assert not ids.is_system(id_)


def test_new_ids_differ() -> None:
    """Thousands of ids made in the same milliseconds are all different."""
    made = {ids.new_id(5) for _ in range(20_000)}
    assert len(made) == 20_000


@given(slots)
def test_text_round_trip(slot: int) -> None:
    """The text form reads back as the same id, also where system wallets are allowed."""
    id_ = ids.new_id(slot)
    assert ids.parse_id(ids.format_id(id_)) == id_
    assert ids.parse_wallet_id(ids.format_id(id_)) == id_


@given(
    st.sampled_from(SystemKind), st.integers(0, 65_535), st.sampled_from(["EUR", "JPY", "ABCDEF"])
)
def test_system_text_round_trip(kind: SystemKind, shard: int, currency: str) -> None:
    """A system wallet's id is 16 bytes, can be taken apart, and reads back from its text."""
    id_ = ids.system_wallet_id(kind, shard, currency)
    assert len(id_) == 16
    assert ids.is_system(id_)
    assert ids.system_parts(id_) == (kind, shard, currency)
    text = ids.format_id(id_)
    assert text == f"sys:{shard}:{kind.name.lower()}:{currency}"
    assert ids.parse_wallet_id(text) == id_


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        CANONICAL.upper(),
        CANONICAL.replace("-", ""),
        f"{{{CANONICAL}}}",
        f"urn:uuid:{CANONICAL}",
        f" {CANONICAL}",
        f"{CANONICAL} ",
        f"{CANONICAL}\n",
        CANONICAL[:-1],
        CANONICAL + "0",
        CANONICAL.replace("-7007-", "-4007-"),
        CANONICAL.replace("-8000-", "-c000-"),
        CANONICAL.replace("018bcfe5", "g18bcfe5"),
        CANONICAL.replace("018bcfe5", "008bcfe5"),
        CANONICAL.replace("018bcfe5-6800", "018bcfe56-800"),
        CANONICAL.replace("018bcfe5", "\uff1018bcfe5"),
        "00000000-0000-0000-0000-000000000000",
        "018b cfe5 6800 7007 8000 00000000001",
    ],
)
def test_only_canonical_ids_are_read(text: str) -> None:
    """One id has one text: other versions, cases and spellings are refused."""
    with pytest.raises(ValueError, match=r"UUID|hexadecimal"):
        ids.parse_id(text)


@given(st.text(max_size=40) | st.text("0123456789abcdef-78", min_size=36, max_size=36))
def test_reading_never_breaks(text: str) -> None:
    """Whatever comes in is an id whose text it is, or ``ValueError``."""
    try:
        id_ = ids.parse_wallet_id(text)
    except ValueError:
        return
    assert ids.format_id(id_) == text


@pytest.mark.parametrize(
    "text",
    [
        "sys:",
        "sys:0:world",
        "sys:0:world:EUR:x",
        "sys:0:moon:EUR",
        "sys:0:WORLD:EUR",
        "sys:0:world:eur",
        "sys:0:world:",
        "sys:-1:world:EUR",
        "sys:65536:world:EUR",
        "sys:00:world:EUR",
        "sys:٣:world:EUR",
        "sys:0:world:ABCDEFGHIJKLM",
        "sys:0:world:ÄÖ",
        "sys:0:world:EU\0",
    ],
)
def test_only_canonical_system_wallets_are_read(text: str) -> None:
    """Unknown kinds, shards out of range, other spellings and long currencies are refused."""
    with pytest.raises(ValueError, match=r"system wallet|to unpack|invalid literal"):
        ids.parse_wallet_id(text)


@given(st.text("abcXYZ019._-", min_size=1, max_size=64))
def test_slot_of_account_is_that_of_its_md5(account: str) -> None:
    """The rule is public: others compute it too."""
    digest = hashlib.md5(account.encode(), usedforsecurity=False).hexdigest()
    assert ids.slot_of_account(account) == int(digest, 16) >> 96 & 0xFFF


def test_slot_of_account_is_pinned() -> None:
    """Accounts must not move by an edit: these slots are in databases."""
    assert [ids.slot_of_account(a) for a in ("alice", "bob", "a.b-c_d")] == [690, 444, 1385]
