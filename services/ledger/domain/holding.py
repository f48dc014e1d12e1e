"""A hold as the journal has left it, and what can contradict a change of it (I8). Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ledger.domain.record import HoldChange, HoldKind, HoldState, Posting, Record


class Hold(NamedTuple):
    """A hold as it is now. Minor units."""

    shard: int
    wallet_id: bytes
    currency: str
    state: int
    authorized: int
    captured: int
    released: int
    expire_time_us: int

    @property
    def open(self) -> int:
        """What is still reserved."""
        if self.state != HoldState.AUTHORIZED:
            return 0
        return self.authorized - self.captured - self.released


Holds = Mapping[bytes, Hold]

Problem = tuple[str, object, object]
"""What does not fit, what was expected, what was found."""


def holds_of(record: Record) -> set[bytes]:
    """Return every hold that is needed to journal a record."""
    return {change.hold_id for change in record.holds}


def hold_after(change: HoldChange, shard: int) -> Hold:
    """Return the hold as a change says that it is."""
    return Hold(
        *(shard, change.wallet_id, change.currency, change.state),
        *(change.authorized, change.captured, change.released, change.expire_time_us),
    )


def problems_of(change: HoldChange, before: Hold | None, after: Hold) -> list[Problem]:
    """Say what a change does that it may not, given the hold before it and after it."""
    if change.kind == HoldKind.AUTHORIZED:
        return _problems_of_new(before, after)
    if before is None:
        return [("hold", "authorized before it is changed", "unknown")]
    if before.state != HoldState.AUTHORIZED:
        return [("hold", "unchanged once it has ended", f"a change of kind {change.kind}")]
    expected = _expected(change, before)
    if expected is None:
        return [("kind of a hold's change", "1 to 6", change.kind)]
    found = _differences(expected, after)
    if not _moves(change, before):
        found.append(("hold", "a change that moves it on", f"nothing new of kind {change.kind}"))
    if after.released < 0 or after.captured + after.released > after.authorized:
        text = f"{after.captured} captured, {after.released} released"
        found.append(("hold", f"{after.authorized} at most", text))
    return found


def _problems_of_new(before: Hold | None, after: Hold) -> list[Problem]:
    if before is not None:
        return [("hold", "authorized once", "authorized again")]
    expected = after._replace(state=HoldState.AUTHORIZED, captured=0, released=0)
    found = _differences(expected, after)
    if after.authorized <= 0:
        found.append(("authorized of a hold", "1 or more", after.authorized))
    return found


def _expected(change: HoldChange, before: Hold) -> Hold | None:
    """Return the hold after a change of this kind, which changes nothing else of it."""
    rest = before.authorized - before.captured
    match change.kind:
        case HoldKind.INCREMENTED:
            return before._replace(authorized=change.authorized)
        case HoldKind.EXTENDED:
            return before._replace(expire_time_us=change.expire_time_us)
        case HoldKind.CAPTURED if change.state == HoldState.CAPTURED:
            rest = before.authorized - change.captured
            return before._replace(
                state=HoldState.CAPTURED, captured=change.captured, released=rest
            )
        case HoldKind.CAPTURED:
            return before._replace(captured=change.captured)
        case HoldKind.VOIDED:
            return before._replace(state=HoldState.VOIDED, released=rest)
        case HoldKind.EXPIRED:
            return before._replace(state=HoldState.EXPIRED, released=rest)
        case _:
            return None


def _moves(change: HoldChange, before: Hold) -> bool:
    """Tell whether what a change of this kind is for has grown."""
    match change.kind:
        case HoldKind.INCREMENTED:
            return change.authorized > before.authorized
        case HoldKind.EXTENDED:
            return change.expire_time_us > before.expire_time_us
        case HoldKind.CAPTURED:
            return change.captured > before.captured
        case _:
            return True


def _differences(expected: Hold, after: Hold) -> list[Problem]:
    return [
        (f"{name} of a hold", want, found)
        for name, want, found in zip(Hold._fields, expected, after, strict=True)
        if want != found
    ]


class Captures:
    """The captures of one record: each transaction moves what one change of a hold took out."""

    def __init__(self, record: Record) -> None:
        self._parents = dict(record.captures)
        self._debits = _debits(record.postings, record.captures) if record.captures else {}

    def take(self, change: HoldChange, before: Hold | None) -> list[Problem]:
        """Say what does not fit between a capture's change and its transaction.

        A transaction is taken by one change alone.
        """
        parent = self._parents.pop(change.tx_id, None)
        if parent is None:
            return [("capture", "a transaction of its own in the record", "none")]
        if parent != change.hold_id:
            return [("hold of a capture", change.hold_id.hex(), parent.hex())]
        grown = change.captured - (before.captured if before else 0)
        moved = self._debits.get((change.tx_id, change.wallet_id), 0)
        if moved != grown:
            return [("amount of a capture", grown, moved)]
        return []

    def left(self) -> Iterable[tuple[bytes, bytes]]:
        """Return the captures that no hold's change has named, with what they follow."""
        return self._parents.items()


def _debits(
    postings: Iterable[Posting], captures: Mapping[bytes, bytes]
) -> dict[tuple[bytes, bytes], int]:
    """Sum up what captures take out of each wallet."""
    sums: dict[tuple[bytes, bytes], int] = {}
    for posting in postings:
        n, _, tx_id, source, _, _, amount, *_ = posting
        if n >= 0 and tx_id in captures:
            sums[tx_id, source] = sums.get((tx_id, source), 0) + amount
    return sums
