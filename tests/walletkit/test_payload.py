"""A payload gives back the record that was packed, whatever it is, and nothing that is broken."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from guilder.events.v1 import record_pb2 as pb
from walletkit.ids import new_id
from walletkit.payload import MAX_RECORD_BYTES, MIN_PACKED_BYTES, PayloadError, pack, size, unpack
from walletkit.record import RECORD_VERSION

MAGIC = bytes.fromhex("28b52ffd")


def record(transfers: int) -> bytes:
    """Return a serialized Record of some transfers, with ids and hashes as real ones have."""
    message = pb.Record(version=RECORD_VERSION, shard=1, time_us=1)
    for number in range(transfers):
        source, destination, ref = new_id(1), new_id(2), new_id(1)
        transaction = message.transactions.add(
            transaction_id=ref, source=source, destination=destination
        )
        transaction.postings.add(
            source=source, destination=destination, currency_code="EUR", amount_minor=number + 1
        )
        fingerprint, outcome = os.urandom(33), bytes(34)
        message.keys.add(key_hash=os.urandom(16), ref=ref, fingerprint=fingerprint, outcome=outcome)
    return message.SerializeToString()


FRAME = pack(record(30))
LONG = record(100)


@given(st.integers(0, 40).map(record) | st.binary(max_size=300).map(b"\x08".__add__))
def test_what_was_packed_is_read_back(plain: bytes) -> None:
    """Byte for byte, with the size that is told before it is read, and never longer."""
    payload = pack(plain)
    assert unpack(payload) == plain
    assert size(payload) == len(plain)
    assert len(payload) <= len(plain)


def test_records_shrink_to_less_than_half() -> None:
    """A thousand transfers take much less than they did; a lone one less, too."""
    for transfers, at_most in ((1, 0.9), (30, 0.5), (1_000, 0.5)):
        plain = record(transfers)
        assert len(pack(plain)) < at_most * len(plain), transfers


def test_small_and_incompressible_records_stay_as_they_are() -> None:
    """Where a frame saves nothing there is none."""
    for plain in (b"", record(0), b"\x08" * (MIN_PACKED_BYTES - 1), b"\x08" + os.urandom(4_000)):
        assert pack(plain) == plain
    assert pack(b"\x08" * MIN_PACKED_BYTES).startswith(MAGIC)


def test_a_record_that_is_not_packed_is_never_taken_for_a_frame() -> None:
    """Of all that a Record may hold its version comes first, and no field of it has a frame's key.

    So payloads from before there were frames are read as ever.
    """
    plain = record(5)
    assert unpack(plain) is plain
    assert all(record(transfers)[0] == 0x08 for transfers in (0, 1, 5))
    field = pb.Record.DESCRIPTOR.fields_by_number[MAGIC[0] >> 3]
    assert MAGIC[0] & 7 == 0, "a frame would begin with a varint"
    assert field.type == field.TYPE_MESSAGE, "and this field is none"


def with_content_size(frame: bytes, told: int) -> bytes:
    """Let a frame of a single segment, with a size of two bytes, tell another one."""
    assert frame[4] & 0xE0 == 0x60
    return frame[:5] + (told - 256).to_bytes(2, "little") + frame[7:]


BROKEN = {
    "cut": FRAME[:-3],
    "header alone": FRAME[:6],
    "magic alone": MAGIC,
    "noise": MAGIC + bytes(range(7, 60)),
    "more behind it": FRAME + b"\0",
    "two frames": FRAME + FRAME,
    "longer than it tells": with_content_size(FRAME, 300),
    "shorter than it tells": with_content_size(FRAME, 65_000),
    "silent about its size": zstandard.ZstdCompressor(write_content_size=False).compress(LONG),
    "too large": zstandard.compress(bytes(MAX_RECORD_BYTES + 1)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_frame_is_refused(name: str) -> None:
    """It raises one error, and never gives back a part."""
    with pytest.raises(PayloadError):
        unpack(BROKEN[name])


@given(st.integers(4, len(FRAME) - 1), st.integers(1, 255))
def test_a_changed_byte_never_does_worse_than_raise(at: int, change: int) -> None:
    """Whatever comes of it is bounded; the chain's hash is what finds that it is another record."""
    broken = bytearray(FRAME)
    broken[at] ^= change
    try:
        assert len(unpack(bytes(broken))) <= MAX_RECORD_BYTES
    except PayloadError:
        return


def test_a_small_frame_may_not_grow_without_bound() -> None:
    """What the header claims is judged before anything is allocated for it."""
    bomb = zstandard.compress(bytes(64 * MAX_RECORD_BYTES))
    assert len(bomb) < MAX_RECORD_BYTES // 64
    with pytest.raises(PayloadError, match="at most"):
        size(bomb)
    largest = zstandard.compress(bytes(MAX_RECORD_BYTES))
    assert unpack(largest) == bytes(MAX_RECORD_BYTES)
    beyond = b"\x08" * (MAX_RECORD_BYTES + 1)
    assert pack(beyond) == beyond


def test_threads_do_not_share_a_context() -> None:
    """The ledger reads records in its loop and beside it at once."""
    plains = [record(transfers) for transfers in range(1, 60)]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(5):
            assert list(threads.map(lambda plain: unpack(pack(plain)), plains)) == plains
