"""What a wallet's status and its account's freeze allow, and how they may change. Pure."""

from ledger.domain.account import Account
from ledger.domain.holding import Problem
from ledger.domain.record import Change, ChangeKind, Freeze, HoldKind, Status

_FREEZES = frozenset(Freeze)
_FROZEN = (Status.FROZEN, Status.DEBITS_FROZEN)
_RESERVING = frozenset({HoldKind.AUTHORIZED, HoldKind.INCREMENTED})
_UNSAID = 0
"""The first records said no status before a change, and knew no freeze of debits."""


def refusal(status: int, freeze: int, delta: int, n: int) -> str:
    """Say why a wallet can't take a posting; empty if it can.

    A credit that was decided before the freeze still lands: only a landed leg's ``n`` is negative.
    """
    if status == Status.CLOSED:
        return "no posting of a closed wallet"
    if delta < 0:
        frozen = status != Status.ACTIVE or freeze != Freeze.NONE
        return "no debit of a frozen wallet" if frozen else ""
    if n < 0 or (status != Status.FROZEN and freeze != Freeze.ALL):
        return ""
    return "no credit of a frozen wallet but a landed leg"


def hold_refusal(status: int, freeze: int, kind: int) -> str:
    """Say why a wallet's hold can't change; empty if it can.

    A frozen wallet's holds end, and are extended; a capture's own posting is a debit.
    """
    if status == Status.CLOSED:
        return "no hold of a closed wallet"
    frozen = status != Status.ACTIVE or freeze != Freeze.NONE
    return "no new hold of a frozen wallet" if frozen and kind in _RESERVING else ""


def problems_of(change: Change, before: Account) -> list[Problem]:
    """Say what a change of a wallet does that it may not, given its account before."""
    found: list[Problem] = []
    if change.created != (change.version == 1):
        found.append(("version at creation", 1, change.version))
    if change.account_freeze not in _FREEZES:
        found.append(("freeze of the account", "0 to 2", change.account_freeze))
    if change.overdraft_limit < 0:
        found.append(("overdraft limit", "0 or more", change.overdraft_limit))
    if change.created:
        return found + _differ("status", (Status.ACTIVE, _UNSAID), change)
    return found + _before(change, before) + _after(change, before)


def _before(change: Change, before: Account) -> list[Problem]:
    """Compare what the change says of the time before it; reconciliation relies on that."""
    said = change.previous_status
    plain = Status.DEBITS_FROZEN not in (before.status, change.status)
    pairs = (
        ("previous status", before.status, before.status if said == _UNSAID and plain else said),
        ("previous freeze of the account", before.account_freeze, change.previous_freeze),
        ("previous overdraft limit", before.overdraft_limit, change.previous_limit),
    )
    return [(what, want, found) for what, want, found in pairs if want != found]


def _after(change: Change, before: Account) -> list[Problem]:
    """Compare what the change leaves with what its kind may do."""
    if before.status == Status.CLOSED:
        return [("status", "closed for good", change.status)]
    found: list[Problem] = []
    status, freeze = (before.status, change.status), (before.account_freeze, change.account_freeze)
    match change.kind:
        case ChangeKind.FROZEN if freeze[0] != freeze[1]:
            found += _unless(freeze[1] != Freeze.NONE, "freeze of the account", "1 or 2", freeze[1])
            found += _same("status", status)
        case ChangeKind.FROZEN:
            allowed = [item.name for item in _FROZEN if item != status[0]]
            fits = status[1] in _FROZEN and status[0] != status[1]
            found += _unless(fits, "status", " or ".join(allowed), status[1])
        case ChangeKind.UNFROZEN if freeze[0] != freeze[1]:
            found += _unless(freeze[1] == Freeze.NONE, "freeze of the account", 0, freeze[1])
            found += _same("status", status)
        case ChangeKind.UNFROZEN:
            fits = status[0] in _FROZEN and status[1] == Status.ACTIVE
            found += _unless(fits, "status", "ACTIVE after a freeze", status[1])
        case ChangeKind.CLOSED:
            found += _closing(change, before) + _same("freeze of the account", freeze)
        case ChangeKind.UPDATED | ChangeKind.LIMITED:
            found += _same("status", status) + _same("freeze of the account", freeze)
        case _:
            found.append(("kind of a wallet's change", "1 to 6", change.kind))
    if change.kind not in (ChangeKind.LIMITED, ChangeKind.CLOSED):
        found += _same("overdraft limit", (before.overdraft_limit, change.overdraft_limit))
    return found


def _closing(change: Change, before: Account) -> list[Problem]:
    found = _unless(change.status == Status.CLOSED, "status", "CLOSED", change.status)
    found += _unless(before.posted == 0, "balance when closed", 0, before.posted)
    found += _unless(before.held == 0, "held when closed", 0, before.held)
    allowed = (0, before.overdraft_limit)
    fits = change.overdraft_limit in allowed
    return found + _unless(fits, "overdraft limit", 0, change.overdraft_limit)


def _differ(what: str, expected: tuple[int, int], change: Change) -> list[Problem]:
    found = change.status, change.previous_status
    return [] if found == expected else [(what, expected[0], f"{found[0]} after {found[1]}")]


def _same(what: str, pair: tuple[int, int]) -> list[Problem]:
    return _unless(pair[0] == pair[1], what, pair[0], pair[1])


def _unless(fits: bool, what: str, expected: object, found: object) -> list[Problem]:  # noqa: FBT001  # a condition, no option
    return [] if fits else [(what, expected, found)]
