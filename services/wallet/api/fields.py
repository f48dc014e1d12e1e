"""Check single fields of requests. What is malformed is refused before anything is looked up."""

import json
import re
from collections.abc import Callable, Mapping
from typing import TypeVar, TypeVarTuple

from guilder.type.v1.money_pb2 import Money
from walletkit.errors import ServiceError, invalid_field, invalid_fields
from walletkit.ids import parse_id
from walletkit.money import MAX_AMOUNT_MINOR, is_known

MAX_KEY_LENGTH = 128
MAX_REFERENCE_BYTES = 64
MAX_OPAQUE_BYTES = 4096

Arguments = TypeVarTuple("Arguments")
Value = TypeVar("Value")

_TOO_LARGE = 2**63
_KEY = re.compile(r"[\x20-\x7e]{1,128}")
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Form:
    """Read the fields of one request, and refuse it for all that are malformed at once."""

    __slots__ = ("_faults",)

    def __init__(self) -> None:
        """Begin with nothing wrong."""
        self._faults: list[ServiceError] = []

    def read(self, check: Callable[[*Arguments], Value], *args: *Arguments) -> Value:
        """Return what a check below returns; what it refuses has no value, see ``done``."""
        try:
            return check(*args)
        except ServiceError as fault:
            self._faults.append(fault)
            return None  # type: ignore[return-value]  # nobody uses it: done() raises

    def done(self) -> None:
        """Raise ``ServiceError`` INVALID_FIELD with an entry for each malformed field, if any."""
        if self._faults:
            raise invalid_fields(self._faults)


def wallet_id(field: str, text: str) -> bytes:
    """Read a wallet's or transaction's id."""
    try:
        return parse_id(text)
    except ValueError:
        raise invalid_field(field, text, "must be a UUIDv7 in lower case, with hyphens") from None


def account_id(text: str) -> str:
    """Read an account's id."""
    if not _ACCOUNT.fullmatch(text):
        raise invalid_field("account_id", text, "must be 1 to 64 of A-Z a-z 0-9 . _ -")
    return text


def currency_code(field: str, code: str) -> str:
    """Read a currency."""
    if not is_known(code):
        raise invalid_field(field, code, "must be an ISO 4217 currency code in upper case")
    return code


def idempotency_key(key: str) -> str:
    """Read a key."""
    if not _KEY.fullmatch(key):
        rule = f"must be 1 to {MAX_KEY_LENGTH} printable ASCII characters"
        raise invalid_field("idempotency_key", key, rule)
    return key


def amount_minor(money: Money) -> int:
    """Read an amount's minor units."""
    value = money.amount_minor
    if not 0 < value <= MAX_AMOUNT_MINOR:
        rule = f"must be from 1 to {MAX_AMOUNT_MINOR} minor units"
        raise invalid_field("amount.amount_minor", value, rule)
    return value


def reference(text: str) -> bytes:
    """Read a reference."""
    raw = text.encode()
    if len(raw) > MAX_REFERENCE_BYTES:
        raise invalid_field("reference", text, f"must be at most {MAX_REFERENCE_BYTES} bytes")
    return raw


def opaque(description: str, metadata: Mapping[str, str]) -> bytes:
    """Read description and metadata into the one value that is kept: canonical JSON, or nothing."""
    if not description and not metadata:
        return b""
    kept: dict[str, object] = {}
    if description:
        kept["d"] = description
    if metadata:
        kept["m"] = dict(metadata)
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    raw = text.encode()
    if len(raw) > MAX_OPAQUE_BYTES:
        field = "metadata" if metadata else "description"
        rule = f"description and metadata must be at most {MAX_OPAQUE_BYTES} bytes as JSON"
        raise invalid_field(field, f"{len(raw)} bytes", rule)
    return raw


def read_opaque(raw: bytes) -> tuple[str, dict[str, str]]:
    """Return description and metadata."""
    if not raw:
        return "", {}
    kept = json.loads(raw)
    return kept.get("d", ""), kept.get("m", {})


def not_same(source: bytes, text: str, destination: bytes) -> None:
    """Check that a transfer has two ends; malformed ones have no value to compare."""
    if source and source == destination:
        raise invalid_field("destination_wallet_id", text, "must not be the source wallet")


def version(number: int) -> int:
    """Read an expected version."""
    if not 0 < number < _TOO_LARGE:
        raise invalid_field("expected_version", number, "must be from 1 to 2^63 - 1")
    return number
