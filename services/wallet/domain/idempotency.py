"""Name a key and a request, so that a repeated call is known again and a changed one is refused.

Scope = (client, scope wallet or account). The fingerprint covers the resolved command in an
encoding of our own, never protobuf's bytes, which may differ between two equal requests: a version
byte, and the SHA-256 of a tag of the command's own and of every field that its caller chose. What
counts and how far it is to be told back later (effective time, description, metadata, reason,
actor) is all in ``opaque``; an admin action's reason is a part of its own. Whose credential it is
and whether a call is a dry run are no part of it: the scope has the client.
"""

import hashlib
import struct
from collections.abc import Iterable

from wallet.domain.commands import Limits, Line
from wallet.domain.kinds import ANY_VERSION, AccountFreeze, WalletStatus

FINGERPRINT_VERSION = b"\x01"
"""First byte of a fingerprint.

Names the encoding below, so that it can change while old keys live.
"""

_LENGTH = struct.Struct(">I")
_TRANSFER = struct.Struct(">cB16s16s12sqq")
_STATUS = struct.Struct(">Bq")
_NUMBER = struct.Struct(">q")
_LINE = struct.Struct(">16s16s12sq")
_VERSION = struct.Struct(">16sq")
_LIMITS = struct.Struct(">qBqqqB")
_VELOCITY = struct.Struct(">BBqq")
KEY_HASH_BYTES = 16


def key_hash(client: bytes, scope: bytes, key: str) -> bytes:
    """Return 16 bytes of SHA-256 over client, scope and key, each with its length before it."""
    named, length = key.encode(), _LENGTH.pack
    # ``_join``, written out: every request has a key.
    parts = (length(len(client)), client, length(len(scope)), scope, length(len(named)), named)
    return hashlib.sha256(b"".join(parts)).digest()[:KEY_HASH_BYTES]


def part_key_hash(batch_key_hash: bytes, index: int) -> bytes:
    """Return the key of one command of an atomic batch.

    No caller's key gives the same: theirs are hashed in three parts, this one in two.
    """
    parts = (batch_key_hash, _NUMBER.pack(index))
    return hashlib.sha256(_join(parts)).digest()[:KEY_HASH_BYTES]


def transfer_fingerprint(  # the fields of the command that a caller chooses, one for one
    type_: int,
    source: bytes,
    destination: bytes,
    currency: str,
    amount: int,
    expected_version: int,
    reference: bytes,
    opaque: bytes,
) -> bytes:
    """Return the fingerprint of a transfer, deposit or withdrawal."""
    fixed = _TRANSFER.pack(
        b"T", type_, source, destination, currency.encode(), amount, expected_version
    )
    digest = hashlib.sha256(fixed + _LENGTH.pack(len(reference)) + reference + opaque).digest()
    return FINGERPRINT_VERSION + digest


def create_fingerprint(account_id: str, currency: str, opaque: bytes, alias: str = "") -> bytes:
    """Return the fingerprint of a wallet's creation."""
    parts = (account_id.encode(), currency.encode(), opaque)
    # Without a name as it was before there were names: old keys live on.
    return _digest(b"W", *parts, *((alias.encode(),) if alias else ()))


def status_fingerprint(
    kind: int,
    wallet_id: bytes,
    status: WalletStatus = WalletStatus.FROZEN,
    expected_version: int = ANY_VERSION,
    reason: str = "",
) -> bytes:
    """Return the fingerprint of a change of status."""
    parts = [bytes((kind,)), wallet_id]
    if (status, expected_version) != (WalletStatus.FROZEN, ANY_VERSION):
        parts.append(_STATUS.pack(status, expected_version))
    return _digest(b"S", *parts, *_reason(reason))


def update_fingerprint(wallet_id: bytes, opaque: bytes, expected_version: int) -> bytes:
    """Return the fingerprint of a replacement of metadata."""
    return _digest(b"U", wallet_id, opaque, _NUMBER.pack(expected_version))


def wallet_limits_fingerprint(
    wallet_id: bytes, limits: Limits, expected_version: int, reason: str = ""
) -> bytes:
    """Return the fingerprint of a wallet's limits."""
    expected = _NUMBER.pack(expected_version)
    return _digest(b"L", wallet_id, *_limits(limits), expected, *_reason(reason))


def account_limits_fingerprint(
    account_id: str, currency: str, limits: Limits, reason: str = ""
) -> bytes:
    """Return the fingerprint of an account's limits."""
    parts = (account_id.encode(), currency.encode(), *_limits(limits))
    return _digest(b"M", *parts, *_reason(reason))


def freeze_fingerprint(account_id: str, freeze: AccountFreeze, reason: str = "") -> bytes:
    """Return the fingerprint of a freeze or unfreeze of an account."""
    return _digest(b"F", account_id.encode(), bytes((freeze,)), *_reason(reason))


def asset_fingerprint(currency: str, exponent: int, reason: str = "") -> bytes:
    """Return the fingerprint of an asset's registration."""
    return _digest(b"R", currency.encode(), bytes((exponent,)), *_reason(reason))


def authorize_fingerprint(  # the fields of the command that a caller chooses, one for one
    wallet_id: bytes,
    destination: bytes,
    currency: str,
    amount: int,
    expire_time_us: int,
    expected_version: int,
    reference: bytes,
    opaque: bytes,
) -> bytes:
    """Return the fingerprint of an authorization."""
    numbers = _numbers(amount, expire_time_us, expected_version)
    return _digest(b"H", wallet_id, destination, currency.encode(), numbers, reference, opaque)


def increment_fingerprint(
    hold_id: bytes, currency: str, amount: int, expected_version: int
) -> bytes:
    """Return the fingerprint of an increment of a hold."""
    return _digest(b"I", hold_id, currency.encode(), _numbers(amount, expected_version))


def extend_fingerprint(hold_id: bytes, expire_time_us: int, expected_version: int) -> bytes:
    """Return the fingerprint of an extension of a hold."""
    return _digest(b"E", hold_id, _numbers(expire_time_us, expected_version))


def capture_fingerprint(  # the fields of the command that a caller chooses, one for one
    hold_id: bytes,
    destination: bytes,
    currency: str,
    amount: int,
    expected_version: int,
    reference: bytes,
    opaque: bytes,
    *,
    final: bool,
) -> bytes:
    """Return the fingerprint of a capture."""
    numbers = _numbers(amount, expected_version, int(final))
    return _digest(b"C", hold_id, destination, currency.encode(), numbers, reference, opaque)


def void_fingerprint(hold_id: bytes, expected_version: int) -> bytes:
    """Return the fingerprint of a void."""
    return _digest(b"V", hold_id, _numbers(expected_version))


def reverse_fingerprint(
    original: bytes,
    currency: str,
    amount: int,
    expected_version: int,
    reference: bytes,
    opaque: bytes,
) -> bytes:
    """Return the fingerprint of a reversal: the wallets follow from the original."""
    numbers = _numbers(amount, expected_version)
    return _digest(b"B", original, currency.encode(), numbers, reference, opaque)


def post_fingerprint(
    lines: Iterable[Line],
    expected_versions: Iterable[tuple[bytes, int]],
    reference: bytes,
    opaque: bytes,
    original: bytes = b"",
) -> bytes:
    """Return the fingerprint of several postings, or of the reversal of several."""
    posted = b"".join([_LINE.pack(s, d, c.encode(), amount) for s, d, c, amount in lines])
    versions = b"".join([_VERSION.pack(*pair) for pair in expected_versions])
    return _digest(b"P", posted, versions, reference, opaque, original)


def atomic_fingerprint(fingerprints: Iterable[bytes]) -> bytes:
    """Return the fingerprint of an atomic batch, made of those of its commands."""
    return _digest(b"A", *fingerprints)


def _reason(reason: str) -> tuple[bytes, ...]:
    """Write the reason of an admin action.

    Without one as it was before there were reasons: old keys live on. Nothing that could stand in
    its place, a status or a window, begins with this letter.
    """
    return (b"r" + reason.encode(),) if reason else ()


def _limits(limits: Limits) -> list[bytes]:
    """Write limits: which optional bounds are set, then each number."""
    optional = (limits.min_balance, limits.max_balance, limits.max_transaction)
    given = sum((value is not None) << place for place, value in enumerate(optional))
    numbers = [value or 0 for value in optional]
    head = _LIMITS.pack(limits.overdraft, given, *numbers, limits.over_capture_percent)
    return [head, *[_VELOCITY.pack(*limit) for limit in limits.velocity]]


def _numbers(*numbers: int) -> bytes:
    return b"".join([_NUMBER.pack(number) for number in numbers])


def _digest(tag: bytes, *parts: bytes) -> bytes:
    return FINGERPRINT_VERSION + hashlib.sha256(_join((tag, *parts))).digest()


def _join(parts: tuple[bytes, ...]) -> bytes:
    return b"".join([_LENGTH.pack(len(part)) + part for part in parts])
