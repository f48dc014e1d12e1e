"""Make, read and write ids. Pure: may be used from every room, imports nothing of ours.

An id is 16 bytes, laid out as a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, version,
the 12-bit *slot* in ``rand_a``, variant, 62 random bits. So ids sort by time, and an id routes by
itself. System wallets have ids of their own form, which begin with a zero byte; no UUIDv7 made
after 1970 does.
"""

import hashlib
import os
import time
from enum import IntEnum

SLOTS = 4096
NIL = bytes(16)

_TEXT_LENGTH = 36
_NO_SYSTEM_WALLET = "not a system wallet"
_CURRENCY_BYTES = 12
_RANDOM_BYTES = 8
_RANDOM_IDS = 512


class SystemKind(IntEnum):
    """Which part of the outside a system wallet stands for (design.

    One of each per shard and currency).
    """

    WORLD = 1
    FEES = 2
    EXCHANGE = 3
    TRANSIT = 4
    SUSPENSE = 5


class _RandomPool:
    """Draw random bytes for many ids at once.

    A system call for each id would show on the hot path.
    """

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Forget what is left, so that two processes never draw the same bytes."""
        self._bytes, self._at = b"", 0

    def draw(self) -> int:
        """Return 64 random bits."""
        at = self._at
        if at >= len(self._bytes):
            self._bytes, at = os.urandom(_RANDOM_BYTES * _RANDOM_IDS), 0
        self._at = at + _RANDOM_BYTES
        return int.from_bytes(self._bytes[at : at + _RANDOM_BYTES], "big")


_pool = _RandomPool()


def new_id(slot: int) -> bytes:
    """Make a fresh id that carries ``slot``."""
    random_bits = _pool.draw() & 0x3FFF_FFFF_FFFF_FFFF
    high = (time.time_ns() // 1_000_000) << 16 | 0x7000 | slot
    return (high << 64 | 0x8000_0000_0000_0000 | random_bits).to_bytes(16, "big")


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
    if len(text) != _TEXT_LENGTH or text[14] != "7" or text[19] not in "89ab":
        message = "not a UUIDv7"
        raise ValueError(message)
    id_ = bytes.fromhex(text.replace("-", ""))
    if len(id_) != len(NIL) or id_[0] == 0 or format_id(id_) != text:
        message = "not a canonical UUID"
        raise ValueError(message)
    return id_


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
