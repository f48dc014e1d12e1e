"""What must hold of a shard in memory after every batch, and what of an outcome is said again."""

import copy
from collections import Counter
from dataclasses import fields, replace

from tests.domain.memory_shard import MemoryShard
from wallet.domain.batch import Balance, Batch, Changes
from wallet.domain.bound import Bound, account_owner
from wallet.domain.commands import PostTransaction, Transfer
from wallet.domain.kinds import HoldState, TransactionState, TransactionType
from wallet.domain.outcome import (
    AtomicSet,
    Closed,
    Expired,
    Landed,
    Outcome,
    Posted,
    WalletSet,
)
from walletkit.errors import ServiceError
from walletkit.money import MAX_BALANCE_MINOR

Originals = dict[bytes, Transfer | PostTransaction]
"""Every transaction ever made, by id."""


def check_shard(shard: MemoryShard, originals: Originals) -> None:
    """Check I1, I3 and I8, that nothing is reversed twice, and what accounts have held."""
    sums: Counter[str] = Counter()
    for row in shard.balances.values():
        sums[row.currency] += row.posted
        assert row.available >= 0, "I3"
        assert row.posted <= MAX_BALANCE_MINOR
    for (_, currency), posted in shard.system.items():
        sums[currency] += posted
    assert not any(sums.values()), "I1"
    held = check_holds(shard, originals)
    for tx_id, total in shard.reversed.items():
        assert 0 < total <= amount_of(originals[tx_id])
    for account_id in {facts.account_id for facts in shard.facts.values()}:
        bound = shard.bounds.get(account_owner(account_id, "EUR"))
        if bound is not None:
            mine = [w for w, f in shard.facts.items() if f.account_id == account_id]
            euros = [w for w in mine if shard.balances[w].currency == "EUR"]
            assert bound.held == sum(held[w] for w in euros)


def check_holds(shard: MemoryShard, originals: Originals) -> Counter[bytes]:
    """Check that holds add up, with their wallets and with their captures; return what is held."""
    held: Counter[bytes] = Counter()
    captured: Counter[bytes] = Counter()
    for told in originals.values():
        if isinstance(told, Transfer) and told.type == TransactionType.CAPTURE:
            captured[told.parent] += told.amount
    for hold in shard.holds.values():
        assert min(hold.captured, hold.released, hold.open) >= 0, "I8"
        assert (hold.open > 0) == (hold.state == HoldState.AUTHORIZED), "I8"
        assert captured[hold.hold_id] == hold.captured, "I8"
        held[hold.wallet_id] += hold.open
    assert all(row.held == held[w] for w, row in shard.balances.items()), "I8"
    return held


def amount_of(original: Transfer | PostTransaction) -> int:
    """Return what can be reversed of a transaction."""
    if isinstance(original, PostTransaction):
        return sum(one.amount for one in original.lines)
    return original.amount


def seen(batch: Batch) -> dict[str, object]:
    """Copy all of a batch but its keys, as deep as anything in it can change."""
    whole = {**_fields(batch), **{f"changes.{k}": v for k, v in _fields(batch.changes).items()}}
    return {name: v for name, v in whole.items() if name not in _OF_KEYS}


_OF_KEYS = {"changes", "changes.keys", "decided", "kept"}


def _fields(whole: Batch | Changes) -> dict[str, object]:
    return {field.name: _copied(getattr(whole, field.name)) for field in fields(whole)}


def _copied(value: object) -> object:
    if isinstance(value, dict):
        return {k: replace(v) if isinstance(v, Balance | Bound) else v for k, v in value.items()}
    return copy.copy(value) if isinstance(value, list | set) else value


def steady(outcome: Outcome) -> object:
    """Return what every replay must say again: not what later changes have moved on."""
    if isinstance(outcome, ServiceError):
        return (outcome.reason, outcome.message, dict(outcome.metadata))
    if isinstance(outcome, AtomicSet):
        return tuple(steady(one) for one in outcome.outcomes)
    if isinstance(outcome, Posted):
        return outcome._replace(state=TransactionState.COMPLETED, replayed=False)
    if isinstance(outcome, WalletSet):
        facts = outcome.facts._replace(opaque=b"")
        return outcome._replace(facts=facts, replayed=False)
    if isinstance(outcome, Landed | Closed | Expired):
        return outcome
    return outcome._replace(replayed=False)
