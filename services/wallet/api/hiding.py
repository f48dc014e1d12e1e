"""Take out of answers what a customer may not read: of others balances and postings, staff's words.

He may pay any wallet, and learns whether that went well; what the other has, and what bounds it, is
not his to know. No I/O.
"""

from collections.abc import Iterator

from google.protobuf.message import Message

from guilder.wallet.v1 import resources_pb2 as res
from walletkit.errors import ServiceError
from walletkit.ids import parse_id

_TOLD = frozenset(("wallet_id", "wallet_currency", "amount_currency", "requested", "failed_index"))
"""What a payer hears of a wallet that can't take his money, beside the reason."""
_WORLD = ":world:"


def balance_ids(reply: Message) -> set[bytes]:
    """Return the wallets whose balances a reply to a command tells and that may be another's."""
    return {parse_id(balance.wallet_id) for balance in _balances(reply) if balance.wallet_id}


def hide_balances(reply: Message, own: set[bytes]) -> None:
    """Take out the balances of all other wallets."""
    fields = reply.DESCRIPTOR.fields_by_name
    if "balances" in fields:
        kept = [one for one in _balances(reply) if parse_id(one.wallet_id) in own]
        reply.ClearField("balances")
        reply.balances.extend(kept)  # type: ignore[attr-defined]  # it has the field
    elif any(parse_id(one.wallet_id) not in own for one in _balances(reply)):
        reply.ClearField("destination_balance")


def without_figures(error: ServiceError) -> ServiceError:
    """Say why another's wallet can't take money, but not what it has and what bounds it."""
    told = {name: value for name, value in error.metadata.items() if name in _TOLD}
    if len(told) == len(error.metadata):
        return error
    return ServiceError(error.reason, error.entry.meaning, told, error.violations)


def side_ids(transaction: res.Transaction) -> set[bytes]:
    """Return the wallets that a transaction touched."""
    sides = {transaction.source_wallet_id, transaction.destination_wallet_id}
    for posting in transaction.postings:
        sides |= {posting.source_wallet_id, posting.destination_wallet_id}
    return {parse_id(side) for side in sides if side and not side.startswith("sys:")}


def hide_postings(transaction: res.Transaction, own: set[bytes]) -> None:
    """Take out the postings of several that touch only wallets of others."""
    kept = [one for one in transaction.postings if _touches(one, own)]
    if len(kept) == len(transaction.postings):
        return
    del transaction.postings[:]
    transaction.postings.extend(kept)
    # What is said of the whole is what its first posting says.
    first = kept[0]
    transaction.source_wallet_id = _named(first.source_wallet_id)
    transaction.destination_wallet_id = _named(first.destination_wallet_id)
    transaction.amount.CopyFrom(first.amount)
    transaction.exponent = first.exponent


def hide_cause(transaction: res.Transaction) -> None:
    """Take out who reversed it and why: staff writes that for staff."""
    transaction.ClearField("actor")
    transaction.ClearField("reason")


def _touches(posting: res.TransactionPosting, own: set[bytes]) -> bool:
    sides = (posting.source_wallet_id, posting.destination_wallet_id)
    return any(not side.startswith("sys:") and parse_id(side) in own for side in sides)


def _named(side: str) -> str:
    """Name a side as transactions do: the outside has no name there."""
    return "" if side.startswith("sys:") and _WORLD in side else side


def _balances(reply: Message) -> Iterator[res.Balance]:
    fields = reply.DESCRIPTOR.fields_by_name
    if "balances" in fields:
        yield from reply.balances  # type: ignore[attr-defined]
    elif "destination_balance" in fields and reply.HasField("destination_balance"):
        yield reply.destination_balance  # type: ignore[attr-defined]
