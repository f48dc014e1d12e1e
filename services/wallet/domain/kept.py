"""How an outcome is kept with its idempotency key.

The kept form must be readable for as long as keys live: it begins with a byte that names its
layout. What the command itself says, and what never changes about a wallet or a hold, is not in it.
"""

import json
import struct
from collections.abc import Callable, Iterable

from wallet.domain.commands import Line, Transfer
from wallet.domain.kinds import (
    AccountFreeze,
    HoldState,
    TransactionState,
    TransactionType,
    WalletStatus,
)
from wallet.domain.outcome import (
    AccountSet,
    AssetSet,
    AtomicSet,
    BalanceAfter,
    Hold,
    HoldSet,
    KeyedOutcome,
    Posted,
    WalletFacts,
    WalletSet,
)
from walletkit.errors import ServiceError
from walletkit.ids import is_system

MAX_KEPT_BYTES = 1024
"""The longest kept form but that of several postings."""
MAX_KEPT_LINES_BYTES = 8192
"""The longest kept form of several postings: a hundred with two wallets each."""

_POSTED = 1
_DECLINED = 2
_WALLET = 3
_MOVED = 4
_HOLD = 5
_ACCOUNT = 6
_ASSET = 7
_LINES = 8
_ATOMIC = 9
_NARROW = 10
"""As ``_POSTED``, of balances with nothing held and no credit line, as nearly all are."""

_BALANCE = struct.Struct(">qqqQ")
_POSTED_HEAD = struct.Struct(">BqB")
_NARROW_BALANCE = struct.Struct(">qI")
_NARROW_BOTH = struct.Struct(">BqBqIqI")
_NARROW_VERSIONS = 2**32
_WALLET_HEAD = struct.Struct(">BqB")
_MOVED_HEAD = struct.Struct(">BqBq")
_HOLD_STATE = struct.Struct(">Bqqqq")
_HOLD_HEAD = struct.Struct(">Bq")
_ACCOUNT_HEAD = struct.Struct(">BBI")
_LINES_HEAD = struct.Struct(">BqB")
_ATOMIC_HEAD = struct.Struct(">BH")
_HAS_SOURCE = 1
_HAS_DESTINATION = 2
_HAS_HOLD = 4
_FREEZE_SHIFT = 4
"""A wallet's status shares its byte with how far its account is frozen."""
_STATUS_MASK = 15
_OF_LINES = frozenset({TransactionType.POSTING, TransactionType.REVERSAL})
"""Transactions of several postings. Any other reversal has a customer wallet on its home shard."""


def encode(outcome: KeyedOutcome) -> bytes:
    """Return the form that is kept with the key."""
    if isinstance(outcome, Posted):
        return _encode_posted(outcome)
    if isinstance(outcome, WalletSet):
        state = outcome.status | outcome.account_freeze << _FREEZE_SHIFT
        head = _WALLET_HEAD.pack(_WALLET, outcome.facts.create_time_us, state)
        return head + _BALANCE.pack(*outcome.after)
    if isinstance(outcome, HoldSet):
        head = _HOLD_HEAD.pack(_HOLD, outcome.hold.create_time_us)
        return head + _hold_state(outcome.hold) + _BALANCE.pack(*outcome.after)
    if isinstance(outcome, AccountSet):
        return _ACCOUNT_HEAD.pack(_ACCOUNT, outcome.freeze, outcome.wallets)
    if isinstance(outcome, AssetSet):
        return bytes((_ASSET,))
    if isinstance(outcome, AtomicSet):
        return _ATOMIC_HEAD.pack(_ATOMIC, len(outcome.outcomes))
    declined = {"r": outcome.reason, "m": outcome.message, "d": dict(outcome.metadata)}
    return bytes((_DECLINED,)) + json.dumps(declined, separators=(",", ":")).encode()


def is_declined(kept: bytes) -> bool:
    """Tell whether a decline was kept."""
    return kept[0] == _DECLINED


def decode_declined(kept: bytes) -> ServiceError:
    """Read a decline."""
    declined = json.loads(kept[1:])
    return ServiceError(declined["r"], declined["m"], declined["d"])


def decode_posted(kept: bytes, command: Transfer, state: TransactionState) -> Posted | ServiceError:
    """Read what was kept for a transfer; ``state`` is the transaction's of now."""
    if is_declined(kept):
        return decode_declined(kept)
    layout, create_time_us, flags = _POSTED_HEAD.unpack_from(kept)
    if layout == _NARROW:
        source, destination = _decode_narrow(kept, flags)
    else:
        source, destination, _ = _decode_sides(kept, _POSTED_HEAD.size, flags)
    return Posted(command, state, create_time_us, source, destination, replayed=True)


def decode_moved(
    kept: bytes, told: Callable[[int], Transfer], state: TransactionState, hold: Hold | None = None
) -> Posted | ServiceError:
    """Read what was kept for a capture or a reversal.

    ``told`` says what is told of a transaction of the amount decided; ``hold`` is what was captured
    as it is now.
    """
    if is_declined(kept):
        return decode_declined(kept)
    _, create_time_us, flags, amount = _MOVED_HEAD.unpack_from(kept)
    source, destination, at = _decode_sides(kept, _MOVED_HEAD.size, flags)
    if flags & _HAS_HOLD and hold is not None:
        hold = _decode_hold_state(kept, at, hold)
    return Posted(
        told(amount), state, create_time_us, source, destination, replayed=True, hold=hold
    )


def decode_lines(
    kept: bytes, command: Transfer, lines: tuple[Line, ...], state: TransactionState
) -> Posted | ServiceError:
    """Read what was kept for several postings; ``lines`` name the home's system wallets."""
    if is_declined(kept):
        return decode_declined(kept)
    wallets = _customers(lines)
    _, create_time_us, mask_bytes = _LINES_HEAD.unpack_from(kept)
    at = _LINES_HEAD.size + mask_bytes
    mask = int.from_bytes(kept[_LINES_HEAD.size : at], "big")
    here = [wallet_id for n, wallet_id in enumerate(sorted(wallets)) if mask >> n & 1]
    balances = tuple(
        (wallet_id, wallets[wallet_id], BalanceAfter(*after))
        for wallet_id, after in zip(here, _BALANCE.iter_unpack(kept[at:]), strict=True)
    )
    away = wallets.keys() - set(here)
    return Posted(
        command,
        state,
        create_time_us,
        None,
        None,
        replayed=True,
        lines=lines if len(lines) > 1 else (),
        balances=balances,
        legs=tuple(leg for leg, line in enumerate(lines) if line.destination in away),
    )


def decode_wallet(kept: bytes, facts: WalletFacts) -> WalletSet | ServiceError:
    """Read what was kept for a wallet's creation or change."""
    if is_declined(kept):
        return decode_declined(kept)
    _, create_time_us, state = _WALLET_HEAD.unpack_from(kept)
    after = BalanceAfter(*_BALANCE.unpack_from(kept, _WALLET_HEAD.size))
    facts = facts._replace(create_time_us=create_time_us)
    status, freeze = WalletStatus(state & _STATUS_MASK), AccountFreeze(state >> _FREEZE_SHIFT)
    return WalletSet(facts, status, after, replayed=True, account_freeze=freeze)


def decode_hold(kept: bytes, hold: Hold) -> HoldSet | ServiceError:
    """Read what was kept for a hold; of ``hold`` only what never changes counts."""
    if is_declined(kept):
        return decode_declined(kept)
    _, create_time_us = _HOLD_HEAD.unpack_from(kept)
    hold = _decode_hold_state(kept, _HOLD_HEAD.size, hold._replace(create_time_us=create_time_us))
    after = BalanceAfter(*_BALANCE.unpack_from(kept, _HOLD_HEAD.size + _HOLD_STATE.size))
    return HoldSet(hold, after, replayed=True)


def decode_account(kept: bytes, account_id: str) -> AccountSet | ServiceError:
    """Read what was kept for an account; limits are the command's."""
    if is_declined(kept):
        return decode_declined(kept)
    _, freeze, wallets = _ACCOUNT_HEAD.unpack_from(kept)
    return AccountSet(account_id, AccountFreeze(freeze), wallets, "", None, replayed=True)


def _encode_posted(outcome: Posted) -> bytes:
    source, destination = outcome.source_after, outcome.destination_after
    if source is None and destination is None and outcome.command.type in _OF_LINES:
        return _encode_lines(outcome)
    hold = outcome.hold
    flags = (
        (source is not None) * _HAS_SOURCE
        | (destination is not None) * _HAS_DESTINATION
        | (hold is not None) * _HAS_HOLD
    )
    if outcome.command.parent:
        amount = outcome.command.amount
        kept = _MOVED_HEAD.pack(_MOVED, outcome.create_time_us, flags, amount)
    elif hold is None and _is_narrow(source) and _is_narrow(destination):
        return _encode_narrow(outcome, flags)
    else:
        kept = _POSTED_HEAD.pack(_POSTED, outcome.create_time_us, flags)
    if source is not None:
        kept += _BALANCE.pack(*source)
    if destination is not None:
        kept += _BALANCE.pack(*destination)
    if hold is not None:
        kept += _hold_state(hold)
    return kept


def _is_narrow(after: BalanceAfter | None) -> bool:
    if after is None:
        return True
    _, held, overdraft_limit, version = after
    return not held and not overdraft_limit and version < _NARROW_VERSIONS


def _encode_narrow(outcome: Posted, flags: int) -> bytes:
    source, destination = outcome.source_after, outcome.destination_after
    time_us = outcome.create_time_us
    if source is not None and destination is not None:
        paying, paid = (source.posted, source.version), (destination.posted, destination.version)
        return _NARROW_BOTH.pack(_NARROW, time_us, flags, *paying, *paid)
    kept = _POSTED_HEAD.pack(_NARROW, time_us, flags)
    one = source or destination
    return kept if one is None else kept + _NARROW_BALANCE.pack(one.posted, one.version)


def _decode_narrow(kept: bytes, flags: int) -> tuple[BalanceAfter | None, BalanceAfter | None]:
    """Read the balances that there are: the source's first."""
    sides = [
        BalanceAfter(posted, 0, 0, version)
        for posted, version in _NARROW_BALANCE.iter_unpack(kept[_POSTED_HEAD.size :])
    ]
    source = sides[0] if flags & _HAS_SOURCE else None
    return source, sides[-1] if flags & _HAS_DESTINATION else None


def _encode_lines(outcome: Posted) -> bytes:
    """Keep which of the wallets are here, as a bit each, and their balances, both by id."""
    told = outcome.command
    one = Line(told.source, told.destination, told.currency, told.amount)
    wallets = sorted(_customers(outcome.lines or (one,)))
    here = {wallet_id for wallet_id, _, _ in outcome.balances}
    mask = sum(1 << n for n, wallet_id in enumerate(wallets) if wallet_id in here)
    mask_bytes = (len(wallets) + 7) // 8
    head = _LINES_HEAD.pack(_LINES, outcome.create_time_us, mask_bytes)
    balances = [_BALANCE.pack(*after) for _, _, after in outcome.balances]
    return b"".join((head, mask.to_bytes(mask_bytes, "big"), *balances))


def _customers(lines: Iterable[Line]) -> dict[bytes, str]:
    """Return the currencies of all wallets but system wallets."""
    return {
        side: line.currency
        for line in lines
        for side in (line.source, line.destination)
        if not is_system(side)
    }


def _decode_sides(
    kept: bytes, at: int, flags: int
) -> tuple[BalanceAfter | None, BalanceAfter | None, int]:
    """Read the balances that there are; return also where what follows begins."""
    source = destination = None
    if flags & _HAS_SOURCE:
        source = BalanceAfter(*_BALANCE.unpack_from(kept, at))
        at += _BALANCE.size
    if flags & _HAS_DESTINATION:
        destination = BalanceAfter(*_BALANCE.unpack_from(kept, at))
        at += _BALANCE.size
    return source, destination, at


def _hold_state(hold: Hold) -> bytes:
    return _HOLD_STATE.pack(
        hold.state, hold.authorized, hold.captured, hold.released, hold.expire_time_us
    )


def _decode_hold_state(kept: bytes, at: int, hold: Hold) -> Hold:
    state, authorized, captured, released, expire_time_us = _HOLD_STATE.unpack_from(kept, at)
    return hold._replace(
        state=HoldState(state),
        authorized=authorized,
        captured=captured,
        released=released,
        expire_time_us=expire_time_us,
    )
