"""Find out which rows must wait for which, so that running them side by side ends as one by one.

The file's order is the truth. Two rows may swap unless one debits (or creates) a wallet that the
other touches: credits of one wallet commute, a debit's outcome depends on what came before. A debit
also waits until money of earlier rows has landed, since a credit on another shard lands later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from guilder.cli.importing.rows import Op, Row


@dataclass(slots=True)
class Plan:
    """For each row, by its index: how many rows it waits for, and which wait for it."""

    rows: Sequence[Row]
    waits_for: list[int]
    after_decision: list[list[int]]
    """Rows that wait until this one is decided."""
    after_landing: list[list[int]]
    """Rows that wait until this one's money has landed at its destination."""


@dataclass(slots=True)
class _Wallet:
    """What the rows so far did to a wallet: the last debit or creation, and the credits since."""

    last: int | None = None
    credits: list[int] = field(default_factory=list)


def make_plan(rows: Sequence[Row], wallet_ids: Mapping[str, str] = MappingProxyType({})) -> Plan:
    """Return the plan of a file's rows. Every edge leads down the file, so there is no cycle.

    ``wallet_ids`` tells by its names which wallets are the same one: an id, and its alias.
    """
    plan = Plan(rows, [0] * len(rows), [[] for _ in rows], [[] for _ in rows])
    wallets: dict[str, _Wallet] = {}

    def wallet(name: str) -> _Wallet:
        return wallets.setdefault(wallet_ids.get(name, name), _Wallet())

    for index, row in enumerate(rows):
        changed = row.label if row.op is Op.CREATE_WALLET else row.source
        if changed:
            _take_alone(plan, wallet(changed), index)
        if row.destination:
            _credit(plan, wallet(row.destination), index)
    return plan


def _take_alone(plan: Plan, wallet: _Wallet, index: int) -> None:
    if wallet.last is not None:
        _wait(plan, plan.after_decision[wallet.last], index)
    for earlier in wallet.credits:
        _wait(plan, plan.after_landing[earlier], index)
    wallet.last, wallet.credits = index, []


def _credit(plan: Plan, wallet: _Wallet, index: int) -> None:
    if wallet.last is not None:
        _wait(plan, plan.after_decision[wallet.last], index)
    wallet.credits.append(index)


def _wait(plan: Plan, waiting: list[int], index: int) -> None:
    waiting.append(index)
    plan.waits_for[index] += 1
