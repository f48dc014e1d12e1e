"""Pack a record's bytes into its payload, and read payloads back. Pure.

The payload is what is hashed, stored and sent; it is packed once, where a batch is saved, and never
again. A packed one is a zstd frame, one that is not packed the serialized Record itself. They can't
be confused: a frame begins with 28 B5 2F FD; a Record begins with 08, the key of its version, which
is never 0, and 28 would be the key of a field 5 that is a varint, which Record has not.
"""

import threading

import zstandard

MAX_RECORD_BYTES = 8 * 1024 * 1024
"""The longest record that is packed, or unpacked: a broken frame must not eat memory. Records have
about 1 MiB at most; in hex a longer one would not fit into a packet of 16 MiB."""
MIN_PACKED_BYTES = 128
"""Below this a frame saves nothing: little repeats in a record without transactions."""
LEVEL = -1
"""Of zstd, measured on real records of 1 to 1,000 transfers: within 1 % as small as level 1 at
three quarters of its time, at one transfer a third; level 3 saves 5 % more and takes twice as
long. What a transfer consists of is ids and hashes, which nothing compresses."""

_MAGIC = zstandard.FRAME_HEADER


class PayloadError(ValueError):
    """A payload is no frame that ``pack`` makes."""


class _Contexts(threading.local):
    """Of each thread its own: no context may be used by two at once, and one is dear to make."""

    def __init__(self) -> None:
        # Who reads checks the hash chain, which is stronger than a checksum.
        self.pack = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False)
        self.unpack = zstandard.ZstdDecompressor(max_window_size=MAX_RECORD_BYTES)


_contexts = _Contexts()


def pack(record: bytes) -> bytes:
    """Return the payload of a serialized Record: itself where packing does not pay."""
    if not MIN_PACKED_BYTES <= len(record) <= MAX_RECORD_BYTES:
        return record
    packed = _contexts.pack.compress(record)
    return packed if len(packed) < len(record) else record


def unpack(payload: bytes) -> bytes:
    """Return the serialized Record of a payload. Raise ``PayloadError``.

    One that is not packed is returned as it is, and may be anything.
    """
    if not payload.startswith(_MAGIC):
        return payload
    # Before anything is allocated for what the frame claims to hold.
    size(payload)
    try:
        return _contexts.unpack.decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise PayloadError(f"a broken frame: {error}") from error


def size(payload: bytes) -> int:
    """Return how long the Record of a payload is, by its header. Raise ``PayloadError``."""
    if not payload.startswith(_MAGIC):
        return len(payload)
    try:
        record_bytes = zstandard.frame_content_size(payload)
    except zstandard.ZstdError as error:
        raise PayloadError(f"a broken frame: {error}") from error
    if record_bytes < 0:
        raise PayloadError("a frame that does not tell its size")
    if record_bytes > MAX_RECORD_BYTES:
        raise PayloadError(f"a frame of {record_bytes} bytes: at most {MAX_RECORD_BYTES}")
    return record_bytes
