"""Compare the admin actions that a record tells with what it does: none without the other."""

from collections import Counter
from collections.abc import Iterable, Iterator

from guilder.events.v1 import record_pb2 as pb

Told = tuple[int, int]
"""An action, and the place of its change."""

STATUSES = {
    pb.WALLET_CHANGE_KIND_FROZEN: pb.AUDIT_ACTION_FREEZE_WALLET,
    pb.WALLET_CHANGE_KIND_UNFROZEN: pb.AUDIT_ACTION_UNFREEZE_WALLET,
    pb.WALLET_CHANGE_KIND_CLOSED: pb.AUDIT_ACTION_CLOSE_WALLET,
}


def faults(shard: int, seq: int, record: pb.Record) -> Iterable[str]:
    """Return a sentence for each action that is told without its change, or not told."""
    told: Counter[Told] = Counter((event.action, event.place) for event in record.audit_events)
    expected = Counter(_actions(record))
    if told != expected:
        yield f"shard {shard}: record {seq} tells {told - expected}, not {expected - told}"


def _actions(record: pb.Record) -> Iterator[Told]:
    for place, change in enumerate(record.wallet_changes):
        # What an account's freeze does to its wallets leaves their own status alone.
        if change.kind in STATUSES and change.status != change.previous_status:
            yield STATUSES[change.kind], place
    yield from _limits(record)
    for place, account in enumerate(record.account_changes):
        if account.currency_code:
            yield pb.AUDIT_ACTION_SET_ACCOUNT_LIMITS, place
        elif account.freeze:
            yield pb.AUDIT_ACTION_FREEZE_ACCOUNT, place
        else:
            yield pb.AUDIT_ACTION_UNFREEZE_ACCOUNT, place
    for place in range(len(record.asset_registrations)):
        yield pb.AUDIT_ACTION_REGISTER_ASSET, place
    for place, transaction in enumerate(record.transactions):
        if transaction.type == pb.TRANSACTION_TYPE_REVERSAL:
            yield pb.AUDIT_ACTION_REVERSE_TRANSACTION, place


def _limits(record: pb.Record) -> Iterator[Told]:
    """Limits of an account touch its wallets, too: then their own can't be told from the record."""
    action = pb.AUDIT_ACTION_SET_WALLET_LIMITS
    places = {
        place
        for place, change in enumerate(record.wallet_changes)
        if change.kind == pb.WALLET_CHANGE_KIND_LIMITED
    }
    if any(account.currency_code for account in record.account_changes):
        places &= {event.place for event in record.audit_events if event.action == action}
    for place in places:
        yield action, place
