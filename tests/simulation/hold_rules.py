"""I8, from the records alone: what may happen to a hold, change by change."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from guilder.events.v1 import record_pb2 as events

AUTHORIZED = events.HOLD_STATE_AUTHORIZED
_ENDS = {
    events.HOLD_CHANGE_KIND_VOIDED: events.HOLD_STATE_VOIDED,
    events.HOLD_CHANGE_KIND_EXPIRED: events.HOLD_STATE_EXPIRED,
}


def open_of(hold: events.HoldChange) -> int:
    """Return what a hold still reserves."""
    return hold.authorized_minor - hold.captured_minor - hold.released_minor


def faults(
    change: events.HoldChange,
    before: events.HoldChange | None,
    capture: events.Transaction | None,
    now_us: int,
) -> Iterable[str]:
    """Say what is wrong with the next change of a hold. ``capture``: what its wallet moved next."""
    name = f"hold {change.hold_id.hex()}"
    if (change.kind == events.HOLD_CHANGE_KIND_AUTHORIZED) != (before is None):
        yield f"{name} changed before it was made, or was made twice"
        return
    if open_of(change) < 0 or (change.state == AUTHORIZED) != (open_of(change) > 0):
        yield f"{name} is in state {change.state} with {open_of(change)} open"
    if before is None:
        if (change.captured_minor, change.released_minor) != (0, 0):
            yield f"{name} was made with something gone"
        if change.expire_time_us <= now_us:
            yield f"{name} was made when it was over"
        return
    yield from _next(name, change, before, now_us)
    yield from _end(name, change, before)
    if change.kind == events.HOLD_CHANGE_KIND_CAPTURED:
        yield from _moved(name, change, before, capture)


def _next(
    name: str, change: events.HoldChange, before: events.HoldChange, now_us: int
) -> Iterable[str]:
    """A change follows what was, in time, and does what its kind says."""
    if before.state != AUTHORIZED:
        yield f"{name} changed after it had ended"
    over = now_us >= before.expire_time_us
    if over != (change.kind == events.HOLD_CHANGE_KIND_EXPIRED):
        yield f"{name} took change {change.kind} at {now_us}, it ends at {before.expire_time_us}"
    if (change.wallet_id, change.currency_code) != (before.wallet_id, before.currency_code):
        yield f"{name} went to another wallet"
    if _steps(change) - _expected(change, before):
        yield f"{name} took a change {change.kind} that does something else, too"


def _steps(change: events.HoldChange) -> set[tuple[str, int]]:
    return {
        ("authorized", change.authorized_minor),
        ("captured", change.captured_minor),
        ("released", change.released_minor),
        ("expires", change.expire_time_us),
    }


def _expected(change: events.HoldChange, before: events.HoldChange) -> set[tuple[str, int]]:
    """Return what stays as it was, and what this kind of change may change."""
    same = _steps(before)
    if change.kind == events.HOLD_CHANGE_KIND_INCREMENTED:
        if change.authorized_minor > before.authorized_minor:
            same.add(("authorized", change.authorized_minor))
    elif change.kind == events.HOLD_CHANGE_KIND_EXTENDED:
        if change.expire_time_us > before.expire_time_us:
            same.add(("expires", change.expire_time_us))
    elif change.kind == events.HOLD_CHANGE_KIND_CAPTURED:
        if change.captured_minor > before.captured_minor:
            same.add(("captured", change.captured_minor))
        if change.state == events.HOLD_STATE_CAPTURED:
            same.add(("released", change.authorized_minor - change.captured_minor))
    else:
        same.add(("released", before.released_minor + open_of(before)))
    return same


def _end(name: str, change: events.HoldChange, before: events.HoldChange) -> Iterable[str]:
    """One terminal state, and the right one."""
    if change.kind in _ENDS:
        right = change.state == _ENDS[change.kind]
    elif change.kind == events.HOLD_CHANGE_KIND_CAPTURED:
        right = change.state in {AUTHORIZED, events.HOLD_STATE_CAPTURED}
    else:
        right = change.state == before.state
    if not right:
        yield f"{name} came to state {change.state} by change {change.kind}"


def _moved(
    name: str,
    change: events.HoldChange,
    before: events.HoldChange,
    capture: events.Transaction | None,
) -> Iterable[str]:
    """A capture is its own transaction's amount, by the wallet's very next version."""
    amount = change.captured_minor - before.captured_minor
    if capture is None or capture.transaction_id != change.transaction_id:
        yield f"{name} was captured, and something else moved behind it"
        return
    if (capture.parent_id, capture.family_id) != (change.hold_id, change.hold_id):
        yield f"{name} was captured by a transaction of another family"
    if [(p.source, p.amount_minor) for p in capture.postings] != [(change.wallet_id, amount)]:
        yield f"{name} was captured for {amount}, which is not what moved"


def held_faults(
    change: events.HoldChange, before: events.HoldChange | None, held: int
) -> Iterable[str]:
    """A wallet holds what its open holds reserve: a change moves both alike."""
    delta = open_of(change) - (open_of(before) if before is not None else 0)
    if change.held_after_minor != held + delta:
        yield f"holds {change.held_after_minor}, {held} and {delta} are meant"


def sum_faults(
    holds: Mapping[bytes, events.HoldChange], made: Sequence[events.Transaction]
) -> Iterable[str]:
    """All captures of a hold sum to what it says was captured."""
    captured: Counter[bytes] = Counter()
    for new in made:
        if new.type == events.TRANSACTION_TYPE_CAPTURE:
            captured[new.parent_id] += sum(posting.amount_minor for posting in new.postings)
    for hold_id in captured.keys() | holds.keys():
        told = holds[hold_id].captured_minor if hold_id in holds else None
        if told != captured[hold_id]:
            yield f"hold {hold_id.hex()} says {told} captured, {captured[hold_id]} moved"
