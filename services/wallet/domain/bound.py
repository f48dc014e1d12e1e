"""A wallet's or account's limits, what it has used of them, and how both are kept. Pure.

A window is an hour, day or month of the UTC calendar. Usage is kept for all three from the moment
that the row exists, whichever of them the limits name: so a limit that is set later finds what was
moved since then in the window it names. What was moved before the row existed is not known here.
"""

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

from wallet.domain.commands import Limits, VelocityLimit
from wallet.domain.kinds import VelocityBasis, VelocityWindow
from walletkit.clock import DAY_US, to_datetime, to_us

HOUR_US = DAY_US // 24
USAGE_VERSION = 1
"""First byte of a kept usage. An unknown one is refused: limits that can't be read fail closed."""

_SPENT = struct.Struct(">q16s16sQQ")
_SUM_BYTES = 16
_DECEMBER = 12
_ACCOUNT_TAG = b"guilder account limits"
_ACCOUNT_FIRST_BYTE = b"\xff"
_ID_BYTES = 16


class Spent(NamedTuple):
    """What was moved within one window. Minor units; a value, so that copies of a row are cheap."""

    start_us: int = 0
    """When the window began, microseconds; 0 before the first movement."""
    debits: int = 0
    credits: int = 0
    begun: int = 0
    """Debits begun: direct ones and holds. A capture was begun as its hold."""
    received: int = 0
    """How many credits came in."""

    @property
    def net(self) -> int:
        """What left, less what came in."""
        return self.debits - self.credits


Usage = tuple[Spent, Spent, Spent]
"""Of the hour, the day and the month, in this order."""
UNUSED: Usage = (Spent(), Spent(), Spent())


@dataclass(slots=True)
class Bound:
    """A row of limits, locked with the batch. Minor units.

    All of its fields hold values, so ``dataclasses.replace(bound)`` is a full copy.
    """

    owner: bytes
    """The wallet, or for an account ``account_owner``: 16 bytes."""
    slot: int
    limits: Limits
    held: int
    """What open holds of the owner's wallets reserve; kept for accounts, whose wallets are many.

    0 for a wallet: its balance has it.
    """
    usage: Usage = UNUSED

    def spent(self, window: VelocityWindow, now_us: int) -> Spent:
        """Return what was moved in the window of now."""
        return _at(self.usage[window - 1], window, now_us)

    def move(self, now_us: int, delta: int) -> None:
        """Note a posting in every window: below zero a debit, above a credit."""
        hour, day, month = self._now(now_us)
        self.usage = (_moved(hour, delta), _moved(day, delta), _moved(month, delta))

    def begin(self, now_us: int) -> None:
        """Note in every window that one more debit was begun."""
        hour, day, month = self._now(now_us)
        self.usage = (_begun(hour), _begun(day), _begun(month))

    def window_end_us(self, window: VelocityWindow, now_us: int) -> int:
        """Return when the window that counts now is over."""
        return window_end(window, max(now_us, self.usage[window - 1].start_us))

    def _now(self, now_us: int) -> Usage:
        hour, day, month = self.usage
        return (
            _at(hour, VelocityWindow.HOUR, now_us),
            _at(day, VelocityWindow.DAY, now_us),
            _at(month, VelocityWindow.MONTH, now_us),
        )


def window_start(window: VelocityWindow, now_us: int) -> int:
    """Return when the UTC hour, day or month of a moment began, microseconds."""
    if window == VelocityWindow.HOUR:
        return now_us - now_us % HOUR_US
    if window == VelocityWindow.DAY:
        return now_us - now_us % DAY_US
    day = now_us // DAY_US * DAY_US
    return day - (to_datetime(day).day - 1) * DAY_US


def window_end(window: VelocityWindow, now_us: int) -> int:
    """Return when the UTC hour, day or month of a moment is over, microseconds."""
    start = window_start(window, now_us)
    if window == VelocityWindow.HOUR:
        return start + HOUR_US
    if window == VelocityWindow.DAY:
        return start + DAY_US
    first = to_datetime(start)
    if first.month == _DECEMBER:
        return to_us(first.replace(year=first.year + 1, month=1))
    return to_us(first.replace(month=first.month + 1))


def account_owner(account_id: str, currency: str) -> bytes:
    """Return the owner of an account's row of limits in one currency, 16 bytes.

    The first byte is 0xFF: a system wallet's id begins with 0x00, and a UUIDv7, which begins with
    its milliseconds, will begin with 0xFF in the year 10854. So no wallet's row can be taken for an
    account's. The other 120 bits are SHA-256 of account and currency.
    """
    account, code = account_id.encode(), currency.encode()
    # With its length before it, an account can't run into the currency behind it.
    text = b"".join((_ACCOUNT_TAG, bytes((len(account),)), account, code))
    return _ACCOUNT_FIRST_BYTE + hashlib.sha256(text).digest()[: _ID_BYTES - 1]


def encode_usage(usage: Usage) -> bytes:
    """Return the kept form of a usage: 169 bytes.

    Sums take 16 bytes: nothing bounds what may pass through a wallet within a month.
    """
    kept = [bytes((USAGE_VERSION,))]
    kept += [
        _SPENT.pack(
            spent.start_us,
            spent.debits.to_bytes(_SUM_BYTES, "big"),
            spent.credits.to_bytes(_SUM_BYTES, "big"),
            spent.begun,
            spent.received,
        )
        for spent in usage
    ]
    return b"".join(kept)


def decode_usage(kept: bytes) -> Usage:
    """Read a kept usage. Raise ``ValueError`` where its form is unknown."""
    if len(kept) != 1 + 3 * _SPENT.size or kept[0] != USAGE_VERSION:
        message = f"usage of limits in an unknown form: {kept[:1].hex()}, {len(kept)} bytes"
        raise ValueError(message)
    hour, day, month = (_decode_spent(kept, 1 + n * _SPENT.size) for n in range(3))
    return hour, day, month


def encode_limits(limits: Limits) -> bytes:
    """Return the kept form of limits: canonical JSON of what is set, or nothing where nothing is.

    At most 1,000 bytes. The same limits give the same bytes.
    """
    shown: dict[str, Any] = {}
    if limits.overdraft:
        shown["overdraft"] = limits.overdraft
    if limits.over_capture_percent:
        shown["over_capture_percent"] = limits.over_capture_percent
    for name in ("min_balance", "max_balance", "max_transaction"):
        if getattr(limits, name) is not None:
            shown[name] = getattr(limits, name)
    if limits.velocity:
        shown["velocity"] = [_shown_velocity(limit) for limit in sorted(limits.velocity)]
    if not shown:
        return b""
    return json.dumps(shown, separators=(",", ":"), sort_keys=True).encode()


def decode_limits(kept: bytes) -> Limits:
    """Read kept limits; nothing kept is no limits."""
    if not kept:
        return Limits()
    shown = json.loads(kept)
    velocity = tuple(
        VelocityLimit(
            VelocityWindow[limit["window"]],
            VelocityBasis[limit["basis"]],
            limit.get("max_amount", 0),
            limit.get("max_count", 0),
        )
        for limit in shown.pop("velocity", ())
    )
    return Limits(**shown, velocity=velocity)


def _shown_velocity(limit: VelocityLimit) -> dict[str, Any]:
    shown: dict[str, Any] = {"window": limit.window.name, "basis": limit.basis.name}
    if limit.max_amount:
        shown["max_amount"] = limit.max_amount
    if limit.max_count:
        shown["max_count"] = limit.max_count
    return shown


def _decode_spent(kept: bytes, at: int) -> Spent:
    start_us, debits, credits_, begun, received = _SPENT.unpack_from(kept, at)
    debits, credits_ = int.from_bytes(debits, "big"), int.from_bytes(credits_, "big")
    return Spent(start_us, debits, credits_, begun, received)


def _at(spent: Spent, window: VelocityWindow, now_us: int) -> Spent:
    """Begin a new window where the one in use is over.

    Only forward: a clock that runs backwards finds the later window still in use, so that nothing
    is forgotten.
    """
    start = window_start(window, now_us)
    return Spent(start) if start > spent.start_us else spent


def _moved(spent: Spent, delta: int) -> Spent:
    if delta < 0:
        return spent._replace(debits=spent.debits - delta)
    return spent._replace(credits=spent.credits + delta, received=spent.received + 1)


def _begun(spent: Spent) -> Spent:
    return spent._replace(begun=spent.begun + 1)
