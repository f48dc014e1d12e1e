"""Check single fields of requests. What is malformed is refused before anything is looked up."""

import json
import re
import time
from collections.abc import Mapping
from enum import IntEnum
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from guilder.type.v1.money_pb2 import Money
from walletkit.clock import DAY_US
from walletkit.errors import invalid_field
from walletkit.ids import parse_id
from walletkit.money import MAX_AMOUNT_MINOR, MAX_EXPONENT, is_asset_code
from walletkit.rpc.times import micros_of

MAX_KEY_LENGTH = 128
MAX_REFERENCE_BYTES = 64
MAX_OPAQUE_BYTES = 4096
MAX_REASON_BYTES = 256
MAX_ACTOR_BYTES = 128
MAX_AHEAD_US = 366 * DAY_US
"""How far ahead an effective time may lie."""

Kind = TypeVar("Kind", bound=IntEnum)

_TOO_LARGE = 2**63
_KEY = re.compile(r"[\x20-\x7e]{1,128}")
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LAST_SECOND = 253_402_300_799
_NANOS = 1_000_000_000


def plain_id(field: str, text: str) -> bytes:
    """Read the id of a transaction or hold."""
    try:
        return parse_id(text)
    except ValueError:
        raise invalid_field(field, text, "must be a UUIDv7 in lower case, with hyphens") from None


def account_id(text: str, field: str = "account_id") -> str:
    """Read an account's id."""
    if not _ACCOUNT.fullmatch(text):
        raise invalid_field(field, text, "must be 1 to 64 of A-Z a-z 0-9 . _ -")
    return text


def alias(text: str) -> str:
    """Read the name that a wallet is to have, or none."""
    if text and not _ACCOUNT.fullmatch(text):
        raise invalid_field("alias", text, "must be 1 to 64 of A-Z a-z 0-9 . _ -")
    return text


def asset_code(text: str) -> str:
    """Read the code of an asset that is to be registered."""
    if not is_asset_code(text):
        rule = "must be 3 to 12 of A-Z and 0-9, a letter first, and no code of ISO 4217"
        raise invalid_field("currency_code", text, rule)
    return text


def asset_exponent(number: int) -> int:
    """Read the exponent of an asset that is to be registered."""
    if not 0 <= number <= MAX_EXPONENT:
        raise invalid_field("exponent", number, f"must be from 0 to {MAX_EXPONENT}")
    return number


def idempotency_key(key: str) -> str:
    """Read a key."""
    if not _KEY.fullmatch(key):
        rule = f"must be 1 to {MAX_KEY_LENGTH} printable ASCII characters"
        raise invalid_field("idempotency_key", key, rule)
    return key


def no_key(key: str) -> str:
    """Check that a command of an atomic batch has no key of its own."""
    if key:
        raise invalid_field("idempotency_key", key, "must be empty: an atomic batch has one key")
    return key


def amount_minor(money: Money, field: str = "amount.amount_minor") -> int:
    """Read an amount's minor units."""
    value = money.amount_minor
    if not 0 < value <= MAX_AMOUNT_MINOR:
        rule = f"must be from 1 to {MAX_AMOUNT_MINOR} minor units"
        raise invalid_field(field, value, rule)
    return value


def reference(text: str) -> bytes:
    """Read a reference."""
    raw = text.encode()
    if len(raw) > MAX_REFERENCE_BYTES:
        raise invalid_field("reference", text, f"must be at most {MAX_REFERENCE_BYTES} bytes")
    return raw


def short_text(field: str, text: str, most: int) -> str:
    """Read a text of at most so many bytes."""
    if len(text.encode()) > most:
        raise invalid_field(field, text, f"must be at most {most} bytes")
    return text


def opaque(
    description: str,
    metadata: Mapping[str, str],
    effective_us: int = 0,
    reason: str = "",
    actor: str = "",
) -> bytes:
    """Read all that is only to be told back into the one value that is kept.

    Canonical JSON, or nothing where nothing was said.
    """
    if not (description or metadata or effective_us or reason or actor):
        return b""
    said = {"a": actor, "d": description, "e": effective_us, "m": dict(metadata), "r": reason}
    kept = {name: value for name, value in said.items() if value}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    raw = text.encode()
    if len(raw) > MAX_OPAQUE_BYTES:
        field = "metadata" if metadata else "description"
        rule = f"description and metadata must be at most {MAX_OPAQUE_BYTES} bytes as JSON"
        raise invalid_field(field, f"{len(raw)} bytes", rule)
    return raw


def not_same(source: bytes, text: str, destination: bytes) -> None:
    """Check that a transfer has two ends; malformed ones have no value to compare."""
    if source and source == destination:
        raise invalid_field("destination_wallet_id", text, "must not be the source wallet")


def version(number: int, field: str = "expected_version") -> int:
    """Read an expected version."""
    if not 0 < number < _TOO_LARGE:
        raise invalid_field(field, number, "must be from 1 to 2^63 - 1")
    return number


def moment(field: str, time_: Timestamp) -> int:
    """Read a time: microseconds since 1970, at least 1, so that it differs from none."""
    if not (0 <= time_.seconds <= _LAST_SECOND and 0 <= time_.nanos < _NANOS):
        raise invalid_field(field, time_.seconds, "must be a time from 1970 to 9999")
    return max(micros_of(time_), 1)


def effective_time(time_: Timestamp) -> int:
    """Read when a transaction counts, microseconds. The bound ahead is this process's clock's."""
    time_us = moment("effective_time", time_)
    if time_us > time.time_ns() // 1000 + MAX_AHEAD_US:
        raise invalid_field("effective_time", time_.seconds, "must be at most 366 days ahead")
    return time_us


def one_of(kind: type[Kind], field: str, number: int) -> Kind:
    """Read a value of an enum; UNSPECIFIED and what is not known here are none."""
    try:
        return kind(number)
    except ValueError:
        names = ", ".join(one.name for one in kind if one)
        raise invalid_field(field, number, f"must be one of {names}") from None
