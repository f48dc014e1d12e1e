"""Make, read and write ids. Pure: may be used from every room, imports nothing of ours.

An id is 16 bytes, laid out as a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, version,
the 12-bit *slot* in ``rand_a``, variant, 62 random bits. So ids sort by time, and an id routes by
itself. System wallets have ids of their own form, which begin with a zero byte; no UUIDv7 made
after 1970 does.
"""

import hashlib
import os
import re
import struct
import time
from enum import IntEnum

SLOTS = 4096
SLOT_ACTIVE, SLOT_FENCED = 1, 2
"""States of a slot: its shard writes to it, or nobody does until somebody has looked."""
NIL = bytes(16)

# It does not begin with a zero byte: system wallets do.
_UUID7 = re.compile(
    r"(?!00)[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII
)
_NO_SYSTEM_WALLET = "not a system wallet"
_CURRENCY_BYTES = 12
_HALVES = struct.Struct(">QQ")
_DRAWN = struct.Struct(">512Q")


class SystemKind(IntEnum):
    """Which part of the outside a system wallet stands for (design.

    One of each per shard and currency).
    """

    WORLD = 1
    FEES = 2
    EXCHANGE = 3
    TRANSIT = 4
    SUSPENSE = 5


_random: list[int] = []
"""64 random bits each, drawn for many ids at once: a system call for each would show on the hot
path."""
# Two processes must never take the same ones.
os.register_at_fork(after_in_child=_random.clear)


def new_id(slot: int) -> bytes:
    """Make a fresh id that carries ``slot``."""
    if not _random:
        _random.extend(_DRAWN.unpack(os.urandom(_DRAWN.size)))
    high = (time.time_ns() // 1_000_000) << 16 | 0x7000 | slot
    return _HALVES.pack(high, 0x8000_0000_0000_0000 | _random.pop() & 0x3FFF_FFFF_FFFF_FFFF)


def slot_of(id_: bytes) -> int:
    """Return the slot that an id carries."""
    return (id_[6] & 0x0F) << 8 | id_[7]


def slot_of_account(account_id: str) -> int:
    """Return the slot of an account: the first 8 hex digits of its MD5, modulo 4,096."""
    return int(hashlib.md5(account_id.encode(), usedforsecurity=False).hexdigest()[:8], 16) % SLOTS


def time_ms_of(id_: bytes) -> int:
    """Return when an id was made, in milliseconds since 1970."""
    return int.from_bytes(id_[:6], "big")


def format_id(id_: bytes) -> str:
    """Write an id as text: a hyphenated UUID, or ``sys:<shard>:<kind>:<currency>``."""
    if id_[0] == 0:
        return _format_system(id_)
    text = id_.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def parse_id(text: str) -> bytes:
    """Read a UUIDv7 in its canonical, lower-case form. Raise ``ValueError`` for anything else."""
    if _UUID7.fullmatch(text) is None:
        message = "not a canonical UUIDv7"
        raise ValueError(message)
    return bytes.fromhex(text.replace("-", ""))


def system_wallet_id(kind: SystemKind, shard: int, currency_code: str) -> bytes:
    """Return the id of a system wallet.

    00, kind, shard in two bytes, currency padded with NUL to twelve.
    """
    return (
        bytes((0, kind))
        + shard.to_bytes(2, "big")
        + currency_code.encode().ljust(_CURRENCY_BYTES, b"\0")
    )


def is_system(wallet_id: bytes) -> bool:
    """Tell whether an id is that of a system wallet."""
    return wallet_id[0] == 0


def system_parts(wallet_id: bytes) -> tuple[SystemKind, int, str]:
    """Take a system wallet's id apart: kind, shard, currency."""
    currency_code = wallet_id[4:].rstrip(b"\0").decode()
    return (
        SystemKind(wallet_id[1]),
        int.from_bytes(wallet_id[2:4], "big"),
        currency_code,
    )


def parse_wallet_id(text: str) -> bytes:
    """Read a wallet's id in either form. Raise ``ValueError`` for anything else."""
    if not text.startswith("sys:"):
        return parse_id(text)
    _, shard, kind, currency_code = text.split(":")
    try:
        id_ = system_wallet_id(SystemKind[kind.upper()], int(shard), currency_code)
    except (KeyError, OverflowError) as error:
        raise ValueError(_NO_SYSTEM_WALLET) from error
    # Read back, so that one wallet has one text; a long currency would make a long id.
    if len(id_) != len(NIL) or not currency_code.isupper() or not text.isascii():
        raise ValueError(_NO_SYSTEM_WALLET)
    if _format_system(id_) != text:
        raise ValueError(_NO_SYSTEM_WALLET)
    return id_


def _format_system(id_: bytes) -> str:
    kind, shard, currency_code = system_parts(id_)
    return f"sys:{shard}:{kind.name.lower()}:{currency_code}"
